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
from tests.support.daemon_hosts import DaemonHost, GoneError, RefusedError, page, publishing, serving
from tests.support.inventory import Answers, Json
from tests.support.packets import Site
from tests.support.patience import PATIENCE

Act: TypeAlias = "Callable[[TrackedContainer], Coroutine[Any, Any, None]]"

SLOTS = 3
"""How many containers a worker has at most."""


@dataclass
class Thing:
    """A container or a network of a worker."""

    name: str
    fates: set[str] = field(default_factory=lambda: {"absent"})


@dataclass
class TrackedContainer(Thing):
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

    def __init__(self, place: DaemonHost, number: int, dice: Random, seen: set[str], tally: Tally) -> None:
        self._place = place
        self._dice = dice
        self._seen = seen
        self.asked: list[str] = []
        """What was asked for, for the reader of a failure."""
        self._tally = tally
        self.tracked_containers = [TrackedContainer(f"v{number}-{slot}") for slot in range(SLOTS)]
        self._ports = 10000 + 5000 * number
        self.networks = [Thing(f"n{number}-{letter}") for letter in "ab"]

    async def work(self) -> None:
        """Go on until the daemon is gone."""
        with suppress(GoneError):
            while True:
                await self._dice.choice(list(self._possible()))()

    def _possible(self) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
        """What can be done now; what is named twice is done twice as often."""
        for tracked in self.tracked_containers:
            yield from (partial(act, tracked) for act in self._acts(tracked))
        for network in self.networks:
            if network.fates == {"absent"}:
                yield partial(self._create_network, network)
            elif not any(network.name in tracked.networks for tracked in self.tracked_containers):
                yield partial(self._remove_network, network)
        yield self._look_inside

    def _acts(self, tracked: TrackedContainer) -> Sequence[Act]:
        memberships = () if tracked.owner or tracked.brief else (self._connect, self._disconnect)
        restart = () if tracked.removes_itself else (self._restart,)
        if not tracked.phase:
            return (self._create, self._create)
        if tracked.phase != "running":
            start = (self._start,) * 4 if self._can_start(tracked) else ()
            return (*start, self._remove, *memberships)
        if tracked.brief:
            return (self._await_end, self._await_end, self._remove)
        return (self._stop, self._remove, self._kill, self._exec, *memberships, *restart)

    def _can_start(self, tracked: TrackedContainer) -> bool:
        """Whether the one whose network it lives in runs."""
        return not tracked.owner or any(
            each.id == tracked.owner and each.phase == "running" for each in self.tracked_containers
        )

    # --------------------------------------------------------------------------------------------------- containers

    async def _create(self, tracked: TrackedContainer) -> None:
        """A server, one that ends by itself, or one in the network of another."""
        dice = self._dice
        owners = [
            each.id for each in self.tracked_containers if each.phase == "running" and not (each.owner or each.brief)
        ]
        self._ports += 1
        tracked.port = self._ports
        tracked.owner = dice.choice(["", dice.choice(owners)]) if owners else ""
        tracked.brief, tracked.removes_itself = dice.random() < 0.35, dice.random() < 0.25
        tracked.code = dice.randrange(1, 100)
        network = dice.choice(["bridge", *(each.name for each in self.networks if each.fates == {"present"})])
        host: dict[str, Any] = {"NetworkMode": network, **publishing(tracked.port)}
        argv = serving(tracked.name)
        tracked.networks = {network}
        if tracked.owner:
            host, tracked.networks = {"NetworkMode": f"container:{tracked.owner}"}, set()
            argv = serving(tracked.name, tracked.port)
        if tracked.brief:
            argv = ("sh", "-c", f"sleep 0.0{dice.randrange(10)}; exit {tracked.code}")
        tracked.fates |= {tracked.created}
        with self._asking(f"create {tracked.name} {tracked} {host} {argv}"):
            tracked.id = await self._place.create(
                tracked.name, *argv, HostConfig={**host, "AutoRemove": tracked.removes_itself}
            )
        self._seen.add(tracked.id)
        tracked.fates, tracked.phase = {tracked.created}, "created"

    async def _change(self, tracked: TrackedContainer, verb: str, fate: str, phase: str, *between: str) -> None:
        """Ask for a change to a new phase, in which the tracked is found as `fate`."""
        tracked.fates |= {fate, *between}
        with self._asking(f"{verb} {tracked.name}"):
            await self._place.api.post(f"/containers/{tracked.id}/{verb}")
        tracked.fates, tracked.phase = {fate}, phase
        if phase == "exited" and tracked.removes_itself:
            tracked.forget()

    async def _start(self, tracked: TrackedContainer) -> None:
        await self._change(tracked, "start", tracked.started, "running")

    async def _stop(self, tracked: TrackedContainer) -> None:
        await self._change(tracked, "stop?t=0", tracked.killed, "exited")

    async def _kill(self, tracked: TrackedContainer) -> None:
        await self._change(tracked, "kill", tracked.killed, "exited")

    async def _restart(self, tracked: TrackedContainer) -> None:
        if self._can_start(tracked):
            await self._change(tracked, "restart?t=0", "running", "running", tracked.killed)

    async def _remove(self, tracked: TrackedContainer) -> None:
        tracked.hit = tracked.phase == "running"
        tracked.fates |= {"absent", *({tracked.killed} if tracked.hit else ())}
        with self._asking(f"rm {tracked.name}"):
            try:
                await self._place.api.delete(f"/containers/{tracked.id}?force=1")
            except RefusedError as refused:  # it was faster
                if not (tracked.brief and tracked.removes_itself and refused.status in (404, 409)):
                    raise
        tracked.forget()

    async def _await_end(self, tracked: TrackedContainer) -> None:
        with self._asking(f"wait {tracked.name}"):
            await await_end(self._place, tracked)
        tracked.phase = "exited"
        if tracked.removes_itself:
            tracked.forget()

    async def _exec(self, tracked: TrackedContainer) -> None:
        await self._look_into(tracked.id)

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
                if refused.status != 403 or not any(
                    each.owner and each.phase == "running" for each in self.tracked_containers
                ):
                    raise
                network.fates = {"present"}
                return
        network.fates = {"absent"}

    async def _connect(self, tracked: TrackedContainer) -> None:
        present = {each.name for each in self.networks if each.fates == {"present"}}
        if others := sorted(present - tracked.networks):
            await self.join(tracked, self._dice.choice(others))

    async def _disconnect(self, tracked: TrackedContainer) -> None:
        if len(tracked.networks) > 1:
            await self.leave(tracked, self._dice.choice(sorted(tracked.networks)))

    async def join(self, tracked: TrackedContainer, network: str) -> None:
        tracked.unsure = network
        tracked.networks.add(network)
        with self._asking(f"connect {tracked.name} {network}"):
            await self._place.api.post(f"/networks/{network}/connect", {"Container": tracked.id})
        tracked.unsure = ""

    async def leave(self, tracked: TrackedContainer, network: str) -> None:
        tracked.unsure = network
        with self._asking(f"disconnect {tracked.name} {network}"):
            await self._place.api.post(f"/networks/{network}/disconnect", {"Container": tracked.id})
        tracked.networks.discard(network)
        tracked.unsure = ""

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Keep a record of what is asked, and of whether it is answered."""
        self.asked.append(what)
        yield
        self.asked[-1] += ": answered"
        self._tally.count()

    # ------------------------------------------------------------------------------------------------ after a death

    async def settle(self) -> None:
        """Wait for what happens by itself after a death: brief containers end, so do those that were killed, and what
        is to be removed at its end is.
        """
        listed = await self._place.api.get("/containers/json?all=1")
        found = {name: each for each in listed for name in each["Names"]}
        for tracked in self.tracked_containers:
            if (each := found.get(f"/{tracked.name}")) is not None:
                await self._settle(tracked, each["Id"], each["State"])

    async def _settle(self, tracked: TrackedContainer, id: str, state: str) -> None:
        if state == "running":
            tracked.id = id
            if tracked.brief:
                await await_end(self._place, tracked)
            elif len(tracked.fates) > 1:
                await self._alive_or_dead(tracked)
        elif tracked.removes_itself or state == "removing":
            await await_removal(self._place, id)

    async def _alive_or_dead(self, tracked: TrackedContainer) -> None:
        """Wait until a server answers or has ended."""
        async with asyncio.TaskGroup() as tasks:
            ends = tasks.create_task(await_end(self._place, tracked))
            answers = tasks.create_task(self._answers(tracked))
            await asyncio.wait([ends, answers], return_when=asyncio.FIRST_COMPLETED)
            ends.cancel()
            answers.cancel()

    async def _answers(self, tracked: TrackedContainer) -> None:
        with suppress(LinkspanError, FileNotFoundError):  # the network it lived in is gone
            await self._ask(tracked)
            return
        await asyncio.Event().wait()

    async def _ask(self, tracked: TrackedContainer) -> None:
        """Ask a server for its page."""
        try:
            await self._try_to_ask(tracked)
        except TimeoutError as error:
            raise AssertionError(
                f"{tracked} is not reached; its daemon says it has {await self._shown(tracked)}"
            ) from error

    async def _shown(self, tracked: TrackedContainer) -> Json:
        shown: Json = (await self._place.api.get(f"/containers/{tracked.id}/json"))["NetworkSettings"]
        return shown

    async def _try_to_ask(self, tracked: TrackedContainer) -> None:
        if tracked.owner:
            said = await page(Site(tracked.name, self._place.pin(tracked.owner)), "127.0.0.1", tracked.port)
        else:
            said = await page(self._place.neighbour, self._place.address, tracked.port)
        assert said == tracked.name

    def recognise(self, answers: Answers) -> None:
        """Compare what the next daemon answers with what it may; from here on there is no doubt."""
        present = {each["Name"] for each in answers.networks}
        for network in self.networks:
            _recognise(network, "present" if network.name in present else "absent")
        by_name = {each["Name"]: each for each in answers.containers}
        for tracked in self.tracked_containers:
            self._recognise(tracked, by_name.get(f"/{tracked.name}"))

    def _recognise(self, tracked: TrackedContainer, found: Json | None) -> None:
        if found is None:
            _recognise(tracked, "absent")
            tracked.forget()
            return
        assert tracked.id in ("", found["Id"]), f"{tracked.name} is another"
        tracked.id = found["Id"]
        self._seen.add(tracked.id)
        _recognise(tracked, state_of(found))
        tracked.phase, tracked.hit = found["State"]["Status"], False
        if not tracked.owner:
            networks = set(found["NetworkSettings"]["Networks"])
            assert networks ^ tracked.networks <= {tracked.unsure}, f"{tracked.name} is on {networks}: {tracked}"
            tracked.networks = networks

    async def prove(self) -> None:
        """What is shown can be used: servers are reached, and networks that were being joined or left are, or not."""
        for tracked in self.tracked_containers:
            if tracked.phase == "running":
                await self._ask(tracked)
            if tracked.unsure:
                await (self.leave if tracked.unsure in tracked.networks else self.join)(tracked, tracked.unsure)


def _recognise(thing: Thing, found: str) -> None:
    assert found in thing.fates, f"{thing.name} is {found}, and should be {' or '.join(sorted(thing.fates))}: {thing}"
    thing.fates = {found}


def state_of(container: Json) -> str:
    """The state of a container that is inspected, in the words of fates."""
    status: str = container["State"]["Status"]
    return f"exited {container['State']['ExitCode']}" if status == "exited" else status


async def await_end(place: DaemonHost, tracked: TrackedContainer) -> None:
    """Wait for the end of a container, and for its removal when that comes by itself."""
    condition = "removed" if tracked.removes_itself else "not-running"
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await place.api.post(f"/containers/{tracked.id}/wait?condition={condition}")
    except RefusedError as refused:
        if not tracked.removes_itself or refused.status != 404:
            raise
        return
    if answer is None:
        raise GoneError("the answer broke off")
    if tracked.brief:
        assert answer["StatusCode"] in {tracked.code, *((137,) if tracked.hit else ())}, (answer, tracked)


async def await_removal(place: DaemonHost, id: str) -> None:
    """Wait until a container is gone."""
    try:
        await place.api.post(f"/containers/{id}/wait?condition=removed")
    except RefusedError as refused:
        if refused.status != 404:
            raise
