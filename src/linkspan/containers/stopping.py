"""Ending what runs: by a signal, by another after some patience, or by force with everything that is left of it."""

import asyncio
import signal as signals
from dataclasses import replace

from linkspan.containers.context import Context
from linkspan.containers.ending import Ender
from linkspan.containers.freezing import Freezer
from linkspan.containers.register import Life
from linkspan.containers.restarting import Restarts
from linkspan.containers.signals import signal_number
from linkspan.model.errors import ConflictError
from linkspan.model.resources import Restart


class Stopper:
    """Ends processes; a start that waits for its time is called off."""

    def __init__(self, context: Context, restarts: Restarts, freezer: Freezer, ender: Ender) -> None:
        self._context = context
        self._restarts = restarts
        self._freezer = freezer
        self._ender = ender

    async def stop(self, life: Life, patience: int | None, number: int) -> bool:
        """End the process by a signal, and after `patience` seconds (below 0: never) by SIGKILL; False without one."""
        if await self._restarts.call_off(life):
            self._context.announce(life.container, "stop")
            return True
        if not life.running:
            return False
        seconds = life.container.wanted.stop_timeout if patience is None else patience
        ended = life.next_exit()
        await self._ended_by_hand(life)
        self._signal(life, number)
        await self._freezer.thaw(life)
        done, _ = await asyncio.wait([ended], timeout=seconds if seconds >= 0 else None)
        if not done:
            self._signal(life, signals.SIGKILL)
        await ended
        self._context.announce(life.container, "stop")
        return True

    async def kill(self, life: Life, reference: str, number: int) -> None:
        """Send a signal; for SIGKILL, wait for the end. Raises `ConflictError`, with the reference, when none runs."""
        final = number in (signals.SIGKILL, signal_number(life.container.wanted.stop_signal))
        if final and await self._restarts.call_off(life):
            return
        if not life.running:
            raise ConflictError(
                f"cannot kill container: {reference}: container {life.container.id} is not running", field="container"
            )
        ended = life.next_exit()
        if final:
            await self._ended_by_hand(life)
        self._signal(life, number)
        if final:
            await self._freezer.thaw(life)
        if number == signals.SIGKILL:
            await ended

    async def remove(self, life: Life) -> None:
        """End the process by SIGKILL if there is one, and return when the container is gone."""
        removed, thaw = life.removal(), False
        try:
            async with life.lock:  # a start that has begun is finished first
                if removed.done():  # it has ended meanwhile, and been removed at its end
                    pass
                elif life.unfinished:
                    await self._ender.finish(life)
                elif life.running:
                    self._signal(life, signals.SIGKILL)
                    thaw = True
                else:
                    await self._ender.erase(life)
            if thaw:
                await self._freezer.thaw(life)
            await removed
        except BaseException:
            life.leaving = False
            raise

    async def _ended_by_hand(self, life: Life) -> None:
        """Whatever its restart policy says, a container is not started again after its end."""
        if life.container.wanted.restart.name is Restart.NO or life.container.state.stopped:
            return
        async with life.lock:
            if life.running:
                state = replace(life.container.state, stopped=True)
                await self._context.register.save(life, replace(life.container, state=state))

    def _signal(self, life: Life, number: int) -> None:
        if life.monitor is not None:
            life.monitor.signal(number)
            self._context.announce(life.container, "kill", signal=str(int(number)))
