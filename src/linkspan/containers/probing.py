"""Health checks: a command that is run in the container again and again (Docker's rules)."""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime

from linkspan.containers.context import Context
from linkspan.containers.execs import Execs
from linkspan.containers.monitor import end_processes
from linkspan.containers.register import Life
from linkspan.model.containers import ContainerState, ExecRequest, Status
from linkspan.model.errors import LinkspanError
from linkspan.model.health import KEPT, Condition, Health, HealthCheck, Probe

log = logging.getLogger(__name__)

TOO_LONG = -1
"""The exit status of a probe that took too long, or could not be started."""
_MOST_OUTPUT = 4096


def judged(check: HealthCheck, health: Health, probe: Probe, started: datetime) -> Health:
    """What is known after one more probe of a container that runs since `started`."""
    probes = (*health.probes, probe)[-KEPT:]
    if probe.exit_code == 0:
        return Health(Condition.HEALTHY, 0, probes)
    if health.condition is Condition.STARTING and (probe.started - started).total_seconds() < check.start_period:
        return replace(health, probes=probes)
    streak = health.streak + 1
    return Health(Condition.UNHEALTHY if streak >= check.retries else health.condition, streak, probes)


def go_duration(seconds: float) -> str:
    """So many seconds as Go's `time.Duration` prints them, to the millisecond: `500ms`, `1.5s`, `1m30s`."""
    if 0 < seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{round(rest, 3):g}s"
    if hours:
        return f"{hours}h{minutes}m{shown}"
    return f"{minutes}m{shown}" if minutes else shown


def pause_before(check: HealthCheck, state: ContainerState, now: datetime) -> float:
    """Seconds until the next probe."""
    starting = state.health is None or state.health.condition is Condition.STARTING
    if starting and state.started is not None and (now - state.started).total_seconds() < check.start_period:
        return check.start_interval
    return check.interval


class Probing:
    """Runs probes."""

    def __init__(self, context: Context, execs: Execs) -> None:
        self._context = context
        self._execs = execs

    async def watch(self, life: Life, over: "asyncio.Future[None]") -> None:
        """Probe a running container until it is over."""
        check = life.container.wanted.health
        if check is None:
            return
        while True:
            seconds = pause_before(check, life.container.state, self._context.surroundings.now())
            await asyncio.wait([over], timeout=seconds)
            if over.done():
                return
            if life.container.state.status is not Status.RUNNING:
                continue
            probe = await self._probe(life, check)
            if over.done():
                return
            await self._learn(life, check, probe)

    async def _probe(self, life: Life, check: HealthCheck) -> Probe:
        begun = self._context.surroundings.now()
        try:
            code, said = await self._run(life, check)
        except LinkspanError as error:
            code, said = TOO_LONG, error.message
        return Probe(begun, self._context.surroundings.now(), code, said)

    async def _run(self, life: Life, check: HealthCheck) -> tuple[int, str]:
        session = self._execs.create(life, life.container.name, ExecRequest(check.argv))
        streams = await self._execs.start(session.id, detach=False)
        assert streams is not None
        said = b""
        try:
            async with asyncio.timeout(check.timeout):
                async for _, data in streams:
                    said = (said + data)[: _MOST_OUTPUT + 1]
        except TimeoutError:
            await streams.close()
            await end_processes([self._execs.get(session.id).pid])
            return TOO_LONG, f"Health check exceeded timeout ({go_duration(check.timeout)})"
        if (failure := self._execs.failure(session.id)) is not None:
            raise failure
        code = self._execs.get(session.id).exit_code
        return TOO_LONG if code is None else code, _shown(said)

    async def _learn(self, life: Life, check: HealthCheck, probe: Probe) -> None:
        async with life.lock:
            state = life.container.state
            if not life.running or state.started is None:
                return
            before = state.health or Health()
            health = judged(check, before, probe, state.started)
            container = replace(life.container, state=replace(state, health=health))
            if health.condition is before.condition:
                life.container = container
                return
            await self._context.register.save(life, container)
        self._context.announce(container, f"health_status: {health.condition}")


def _shown(said: bytes) -> str:
    """What a probe said, cut where it is long, as Docker does."""
    cut = said[:_MOST_OUTPUT].decode(errors="replace")
    return f"{cut}..." if len(said) > _MOST_OUTPUT else cut
