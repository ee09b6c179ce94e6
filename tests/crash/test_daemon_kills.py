"""A daemon that is killed at random moments, under load and while it starts: two hundred times in all.

Each round is one machine, a number of workers and a seed. `LINKSPAN_ROUNDS` is the number of rounds, and
`LINKSPAN_SEED` that of the first, for looking further than CI does; a failure names its seed. What the workers do and
how long they are left to it follows from the seed; which of their requests the death falls into does not quite.
"""

import asyncio
import os
import signal
from pathlib import Path
from random import Random

import pytest

from tests.support.daemon_hosts import DaemonHost, daemon_host
from tests.support.listing import listing
from tests.support.workers import Tally, Worker

pytestmark = pytest.mark.slow

FIRST, ROUNDS = (int(os.environ.get(name, usual)) for name, usual in (("LINKSPAN_SEED", 1), ("LINKSPAN_ROUNDS", 4)))
KILLS = 50
"""For each round."""
WORKERS = 4
ANSWERS, LOAD, START = 8, 0.06, 0.08
"""How many answers the workers are left alone for at most, and for how many seconds after that; and a daemon that
starts for how many seconds."""

COUNTING = ("sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done")


@pytest.mark.parametrize("seed", range(FIRST, FIRST + ROUNDS))
def test_nothing_is_lost_and_nothing_is_left_whenever_the_daemon_is_killed(seed: int, tmp_path: Path) -> None:
    async def whole() -> None:
        async with daemon_host(tmp_path) as place:
            killing = Round(place, seed)
            try:
                await killing.run()
            except BaseException as error:
                error.add_note(killing.story())
                raise

    asyncio.run(whole())


class Round:
    """One machine, its workers, and one death after the other."""

    def __init__(self, place: DaemonHost, seed: int) -> None:
        self._place = place
        self._seed = seed
        self._dice = Random(seed)
        self._seen: set[str] = set()
        self._tally = Tally()
        self._workers = [
            Worker(place, number, Random(f"{seed} {number}"), self._seen, self._tally) for number in range(WORKERS)
        ]
        self._kills = 0

    def story(self) -> str:
        """What had happened."""
        asked = "\n".join(
            f"  {number}: {what}" for number, each in enumerate(self._workers) for what in each.asked[-8:]
        )
        return f"seed {self._seed}, after {self._kills} kills; last asked:\n{asked}"

    async def run(self) -> None:
        place = self._place
        await place.serve()
        before = listing(place.machine.namespace, place.exec_root)
        await self._embark_bystanders()
        while self._kills < KILLS:
            await self._work_until_killed()
            if self._dice.random() < 0.25:
                await self._start_until_killed()
            await place.serve()
            await self._look()
        assert self._tally.answered > KILLS
        await self._check_bystanders()
        await self._remove_everything()
        assert listing(place.machine.namespace, place.exec_root) == before

    async def _embark_bystanders(self) -> None:
        """Three containers that nobody touches, whose networks never rest."""
        place = self._place
        await place.api.post("/networks/create", {"Name": "steady"})
        ports = {f"9000/{kind}": [{"HostIp": "0.0.0.0", "HostPort": "9000"}] for kind in ("tcp", "udp")}
        steady = {"NetworkMode": "steady"}
        ids = {
            "client": await place.run("client", "sleep", "1000", HostConfig=steady),
            "server": await place.run("server", *COUNTING, HostConfig={**steady, "PortBindings": ports}),
            "outsider": await place.run("outsider", "sleep", "1000"),
        }
        self._seen.update(ids.values())
        await place.talk("172.17.0.1", **ids)

    async def _work_until_killed(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(worker.work()) for worker in self._workers]
            enough = tasks.create_task(self._tally.more(self._dice.randrange(ANSWERS + 1)))
            await asyncio.wait([*work, enough], return_when=asyncio.FIRST_COMPLETED)
            enough.cancel()
            await asyncio.wait(work, timeout=self._dice.uniform(0, LOAD), return_when=asyncio.FIRST_COMPLETED)
            await self._kill()

    async def _start_until_killed(self) -> None:
        await self._place.launch()
        await self._place.ready(self._dice.uniform(0, START))
        await self._kill()

    async def _kill(self) -> None:
        assert await self._place.end(signal.SIGKILL) == -signal.SIGKILL, "it had ended before"
        self._kills += 1

    async def _look(self) -> None:
        """Compare the answers, the machine, the memory, and what the workers know."""
        place = self._place
        async with asyncio.TaskGroup() as tasks:
            for worker in self._workers:
                tasks.create_task(worker.settle())
        answers = await place.api.answers()
        for worker in self._workers:
            worker.recognise(answers)
        differences = place.inventory.differences(answers, self._seen)
        assert not differences, "\n".join(differences)
        async with asyncio.TaskGroup() as tasks:
            for worker in self._workers:
                tasks.create_task(worker.prove())
        traffic = await place.traffic()
        assert (traffic.lost, traffic.retransmitted) == (0, 0)

    async def _check_bystanders(self) -> None:
        """What one of them wrote has no gap."""
        said = await self._place.api.log("server")
        numbers = [int(line[8:]) for line in said.splitlines()]
        assert numbers == list(range(len(numbers))) and numbers

    async def _remove_everything(self) -> None:
        api = self._place.api
        for each in await api.get("/containers/json?all=1"):
            await api.delete(f"/containers/{each['Id']}?force=1")
        for each in await api.get("/networks"):
            if each["Name"] not in ("bridge", "host", "none"):
                await api.delete(f"/networks/{each['Id']}")
        assert self._place.inventory.differences(await api.answers(), self._seen) == []
