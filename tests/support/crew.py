"""Workers that keep a daemon busy, and know what has to be found of their work after its death.

Theory of operation. Each worker has its own containers and networks and does one thing at a time, so it knows in which
state they are; the daemon is busy with several workers at once. A `Thing` has `fates`: in which states it may be found.
A request adds what it leads to, its answer leaves nothing else, and a refusal takes it back. So after a death what was
answered has one fate, and what was not has those of before and after, and those a person would find had they pulled
the plug in between: a container that was killed to be removed, and was not removed yet.

Fates are `absent`, `created`, `running` and `exited CODE` for a container, `absent` and `present` for a network. A
brief container ends by itself: its fate is its exit status from the moment it is started.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, TypeAlias

from linkspan.model.errors import LinkspanError
from tests.support.inventory import Answers, Json
from tests.support.mooring import PATIENCE, GoneError, Mooring, RefusedError, page, publishing, serving
from tests.support.packets import Site

Act: TypeAlias = "Callable[[Vessel], Coroutine[Any, Any, None]]"

SLOTS = 3
"""How many containers a worker has at most."""


@dataclass
class Thing:
    """A container or a network of a worker."""

    name: str
    fates: set[str] = field(default_factory=lambda: {"absent"})


@dataclass
class Vessel(Thing):
    """A container, and how it was made. `phase` is what its worker last knew: empty until it is made."""

    id: str = ""
    phase: str = ""
    port: int = 0
    code: int = 0
    brief: bool = False
    removes_itself: bool = False
    owner: str = ""
    """The id of the container in whose network it lives."""
    networks: set[str] = field(default_factory=set)
    hit: bool = False
    """Whether it may have been killed before it ended by itself."""
    unsure: str = ""
    """The network it was joining or leaving when the daemon died."""

    @property
    def created(self) -> str:
        """As what it is found before its start. What is to be removed at its end is removed when a daemon starts and
        it does not run, as in Docker.
        """
        return self.ended("created")

    @property
    def started(self) -> str:
        """As what it is found after its start."""
        return self.ended(f"exited {self.code}") if self.brief else "running"

    @property
    def killed(self) -> str:
        """As what it is found once it was killed."""
        return self.ended("exited 137")

    def ended(self, state: str) -> str:
        return "absent" if self.removes_itself else state

    def forget(self) -> None:
        """It is gone."""
        self.id = self.phase = self.owner = self.unsure = ""
        self.networks = set()
        self.hit = False
        self.fates = {"absent"}


class Tally:
    """Counts answers, of all workers together."""

    def __init__(self) -> None:
        self.answered = 0
        self._counted = asyncio.Event()

    def count(self) -> None:
        """One more."""
        self.answered += 1
        self._counted.set()

    async def more(self, number: int) -> None:
        """Wait for so many from now on."""
        enough = self.answered + number
        while self.answered < enough:
            self._counted.clear()
            await self._counted.wait()


class Worker:
    """Does at random what people do."""

    def __init__(self, place: Mooring, number: int, dice: Random, seen: set[str], tally: Tally) -> None:
        self._place = place
        self._dice = dice
        self._seen = seen
        self.asked: list[str] = []
        """What was asked for, for the reader of a failure."""
        self._tally = tally
        self.vessels = [Vessel(f"v{number}-{slot}") for slot in range(SLOTS)]
        self._ports = 10000 + 5000 * number
        self.networks = [Thing(f"n{number}-{letter}") for letter in "ab"]

    async def work(self) -> None:
        """Go on until the daemon is gone."""
        with suppress(GoneError):
            while True:
                await self._dice.choice(list(self._possible()))()

    def _possible(self) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
        """What can be done now; what is named twice is done twice as often."""
        for vessel in self.vessels:
            yield from (partial(act, vessel) for act in self._acts(vessel))
        for network in self.networks:
            if network.fates == {"absent"}:
                yield partial(self._create_network, network)
            elif not any(network.name in vessel.networks for vessel in self.vessels):
                yield partial(self._remove_network, network)
        yield self._look_inside

    def _acts(self, vessel: Vessel) -> Sequence[Act]:
        memberships = () if vessel.owner or vessel.brief else (self._connect, self._disconnect)
        restart = () if vessel.removes_itself else (self._restart,)
        if not vessel.phase:
            return (self._create, self._create)
        if vessel.phase != "running":
            start = (self._start,) * 4 if self._can_start(vessel) else ()
            return (*start, self._remove, *memberships)
        if vessel.brief:
            return (self._await_end, self._await_end, self._remove)
        return (self._stop, self._remove, self._kill, self._exec, *memberships, *restart)

    def _can_start(self, vessel: Vessel) -> bool:
        """Whether the one whose network it lives in runs."""
        return not vessel.owner or any(each.id == vessel.owner and each.phase == "running" for each in self.vessels)

    # --------------------------------------------------------------------------------------------------- containers

    async def _create(self, vessel: Vessel) -> None:
        """A server, one that ends by itself, or one in the network of another."""
        dice = self._dice
        owners = [each.id for each in self.vessels if each.phase == "running" and not (each.owner or each.brief)]
        self._ports += 1
        vessel.port = self._ports
        vessel.owner = dice.choice(["", dice.choice(owners)]) if owners else ""
        vessel.brief, vessel.removes_itself = dice.random() < 0.35, dice.random() < 0.25
        vessel.code = dice.randrange(1, 100)
        network = dice.choice(["bridge", *(each.name for each in self.networks if each.fates == {"present"})])
        host: dict[str, Any] = {"NetworkMode": network, **publishing(vessel.port)}
        argv = serving(vessel.name)
        vessel.networks = {network}
        if vessel.owner:
            host, vessel.networks = {"NetworkMode": f"container:{vessel.owner}"}, set()
            argv = serving(vessel.name, vessel.port)
        if vessel.brief:
            argv = ("sh", "-c", f"sleep 0.0{dice.randrange(10)}; exit {vessel.code}")
        vessel.fates |= {vessel.created}
        with self._asking(f"create {vessel.name} {vessel} {host} {argv}"):
            vessel.id = await self._place.create(
                vessel.name, *argv, HostConfig={**host, "AutoRemove": vessel.removes_itself}
            )
        self._seen.add(vessel.id)
        vessel.fates, vessel.phase = {vessel.created}, "created"

    async def _change(self, vessel: Vessel, verb: str, fate: str, phase: str, *between: str) -> None:
        """Ask for a change to a new phase, in which the vessel is found as `fate`."""
        vessel.fates |= {fate, *between}
        with self._asking(f"{verb} {vessel.name}"):
            await self._place.api.post(f"/containers/{vessel.id}/{verb}")
        vessel.fates, vessel.phase = {fate}, phase
        if phase == "exited" and vessel.removes_itself:
            vessel.forget()

    async def _start(self, vessel: Vessel) -> None:
        await self._change(vessel, "start", vessel.started, "running")

    async def _stop(self, vessel: Vessel) -> None:
        await self._change(vessel, "stop?t=0", vessel.killed, "exited")

    async def _kill(self, vessel: Vessel) -> None:
        await self._change(vessel, "kill", vessel.killed, "exited")

    async def _restart(self, vessel: Vessel) -> None:
        if self._can_start(vessel):
            await self._change(vessel, "restart?t=0", "running", "running", vessel.killed)

    async def _remove(self, vessel: Vessel) -> None:
        vessel.hit = vessel.phase == "running"
        vessel.fates |= {"absent", *({vessel.killed} if vessel.hit else ())}
        with self._asking(f"rm {vessel.name}"):
            try:
                await self._place.api.delete(f"/containers/{vessel.id}?force=1")
            except RefusedError as refused:  # it was faster
                if not (vessel.brief and vessel.removes_itself and refused.status in (404, 409)):
                    raise
        vessel.forget()

    async def _await_end(self, vessel: Vessel) -> None:
        with self._asking(f"wait {vessel.name}"):
            await await_end(self._place, vessel)
        vessel.phase = "exited"
        if vessel.removes_itself:
            vessel.forget()

    async def _exec(self, vessel: Vessel) -> None:
        await self._look_into(vessel.id)

    async def _look_inside(self) -> None:
        """The bystanders' containers can be entered all the time."""
        await self._look_into("server")

    async def _look_into(self, container: str) -> None:
        with self._asking(f"exec {container}"):
            said = await self._place.api.exec(container, "echo", "here")
            if not said:
                await self._place.api.get("/_ping")  # a stream that a death has cut has no end to tell it by
            assert said.endswith(b"here\n"), said

    # ----------------------------------------------------------------------------------------------------- networks

    async def _create_network(self, network: Thing) -> None:
        network.fates.add("present")
        with self._asking(f"network create {network.name}"):
            await self._place.api.post("/networks/create", {"Name": network.name})
        network.fates = {"present"}

    async def _remove_network(self, network: Thing) -> None:
        """Refused while a container that is gone lends its network to one that runs."""
        network.fates.add("absent")
        with self._asking(f"network rm {network.name}"):
            try:
                await self._place.api.delete(f"/networks/{network.name}")
            except RefusedError as refused:
                if refused.status != 403 or not any(each.owner and each.phase == "running" for each in self.vessels):
                    raise
                network.fates = {"present"}
                return
        network.fates = {"absent"}

    async def _connect(self, vessel: Vessel) -> None:
        present = {each.name for each in self.networks if each.fates == {"present"}}
        if others := sorted(present - vessel.networks):
            await self.join(vessel, self._dice.choice(others))

    async def _disconnect(self, vessel: Vessel) -> None:
        if len(vessel.networks) > 1:
            await self.leave(vessel, self._dice.choice(sorted(vessel.networks)))

    async def join(self, vessel: Vessel, network: str) -> None:
        vessel.unsure = network
        vessel.networks.add(network)
        with self._asking(f"connect {vessel.name} {network}"):
            await self._place.api.post(f"/networks/{network}/connect", {"Container": vessel.id})
        vessel.unsure = ""

    async def leave(self, vessel: Vessel, network: str) -> None:
        vessel.unsure = network
        with self._asking(f"disconnect {vessel.name} {network}"):
            await self._place.api.post(f"/networks/{network}/disconnect", {"Container": vessel.id})
        vessel.networks.discard(network)
        vessel.unsure = ""

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Keep a record of what is asked, and of whether it is answered."""
        self.asked.append(what)
        yield
        self.asked[-1] += ": answered"
        self._tally.count()

    # ------------------------------------------------------------------------------------------------ after a death

    async def settle(self) -> None:
        """Wait for what happens by itself after a death: brief containers end, and so do those that were killed."""
        listed = await self._place.api.get("/containers/json")
        running = {name: each["Id"] for each in listed for name in each["Names"]}
        for vessel in self.vessels:
            if (id := running.get(f"/{vessel.name}")) is not None:
                vessel.id = id
                if vessel.brief:
                    await await_end(self._place, vessel)
                elif len(vessel.fates) > 1:
                    await self._alive_or_dead(vessel)

    async def _alive_or_dead(self, vessel: Vessel) -> None:
        """Wait until a server answers or has ended."""
        async with asyncio.TaskGroup() as tasks:
            ends = tasks.create_task(await_end(self._place, vessel))
            answers = tasks.create_task(self._answers(vessel))
            await asyncio.wait([ends, answers], return_when=asyncio.FIRST_COMPLETED)
            ends.cancel()
            answers.cancel()

    async def _answers(self, vessel: Vessel) -> None:
        with suppress(LinkspanError, FileNotFoundError):  # the network it lived in is gone
            await self._ask(vessel)
            return
        await asyncio.Event().wait()

    async def _ask(self, vessel: Vessel) -> None:
        """Ask a server for its page."""
        try:
            await self._try_to_ask(vessel)
        except TimeoutError as error:
            raise AssertionError(
                f"{vessel} is not reached; its daemon says it has {await self._shown(vessel)}"
            ) from error

    async def _shown(self, vessel: Vessel) -> Json:
        shown: Json = (await self._place.api.get(f"/containers/{vessel.id}/json"))["NetworkSettings"]
        return shown

    async def _try_to_ask(self, vessel: Vessel) -> None:
        if vessel.owner:
            said = await page(Site(vessel.name, self._place.pin(vessel.owner)), "127.0.0.1", vessel.port)
        else:
            said = await page(self._place.neighbour, self._place.address, vessel.port)
        assert said == vessel.name

    def recognise(self, answers: Answers) -> None:
        """Compare what the next daemon answers with what it may; from here on there is no doubt."""
        present = {each["Name"] for each in answers.networks}
        for network in self.networks:
            _recognise(network, "present" if network.name in present else "absent")
        by_name = {each["Name"]: each for each in answers.containers}
        for vessel in self.vessels:
            self._recognise(vessel, by_name.get(f"/{vessel.name}"))

    def _recognise(self, vessel: Vessel, found: Json | None) -> None:
        if found is None:
            _recognise(vessel, "absent")
            vessel.forget()
            return
        assert vessel.id in ("", found["Id"]), f"{vessel.name} is another"
        vessel.id = found["Id"]
        self._seen.add(vessel.id)
        _recognise(vessel, state_of(found))
        vessel.phase, vessel.hit = found["State"]["Status"], False
        if not vessel.owner:
            networks = set(found["NetworkSettings"]["Networks"])
            assert networks ^ vessel.networks <= {vessel.unsure}, f"{vessel.name} is on {networks}: {vessel}"
            vessel.networks = networks

    async def prove(self) -> None:
        """What is shown can be used: servers are reached, and networks that were being joined or left are, or not."""
        for vessel in self.vessels:
            if vessel.phase == "running":
                await self._ask(vessel)
            if vessel.unsure:
                await (self.leave if vessel.unsure in vessel.networks else self.join)(vessel, vessel.unsure)


def _recognise(thing: Thing, found: str) -> None:
    assert found in thing.fates, f"{thing.name} is {found}, and should be {' or '.join(sorted(thing.fates))}: {thing}"
    thing.fates = {found}


def state_of(container: Json) -> str:
    """The state of a container that is inspected, in the words of fates."""
    status: str = container["State"]["Status"]
    return f"exited {container['State']['ExitCode']}" if status == "exited" else status


async def await_end(place: Mooring, vessel: Vessel) -> None:
    """Wait for the end of a container, and for its removal when that comes by itself."""
    condition = "removed" if vessel.removes_itself else "not-running"
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await place.api.post(f"/containers/{vessel.id}/wait?condition={condition}")
    except RefusedError as refused:
        if not vessel.removes_itself or refused.status != 404:
            raise
        return
    if answer is None:
        raise GoneError("the answer broke off")
    if vessel.brief:
        assert answer["StatusCode"] in {vessel.code, *((137,) if vessel.hit else ())}, (answer, vessel)
