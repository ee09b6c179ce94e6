"""Looking at processes."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process

from linkspan.containers.monitor import executed, image
from tests.support.patience import PATIENCE

BECOMES_ITSELF = "import os, sys; print(flush=True); input(); os.execv(sys.executable, ['python', '-c', 'input()'])"


async def ready() -> Process:
    """A process that waits for a line, and then executes its own program once more."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", BECOMES_ITSELF, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    return process


def test_a_process_has_executed_a_program_once_it_has_called_execve_even_for_the_same_file() -> None:
    async def whole() -> None:
        process = await ready()
        assert process.stdin is not None
        before = image(process.pid)
        waiting = asyncio.ensure_future(executed(process.pid, before))
        done, _ = await asyncio.wait([waiting], timeout=0.02)
        assert not done and image(process.pid) == before
        process.stdin.write(b"go\n")
        await asyncio.wait_for(waiting, PATIENCE)
        assert image(process.pid) not in (before, b"")
        process.kill()
        await process.wait()

    asyncio.run(whole())


def test_nobody_waits_for_the_program_of_a_process_that_is_gone() -> None:
    async def whole() -> None:
        process = await ready()
        waiting = asyncio.ensure_future(executed(process.pid, image(process.pid)))
        process.kill()
        await process.wait()
        await asyncio.wait_for(waiting, PATIENCE)
        assert image(process.pid) == b""
        await asyncio.wait_for(executed(process.pid, b""), PATIENCE)

    asyncio.run(whole())
