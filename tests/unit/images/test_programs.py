"""Programs that transfer and unpack, run for real."""

import asyncio
import os
import select
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from linkspan.images import programs
from linkspan.images.ports import Process
from linkspan.model.errors import UnavailableError
from tests.support.patience import PATIENCE


class Here:
    """Runs programs beside the test."""

    async def spawn(self, argv: Sequence[str], *, sandbox: str | None, **more: Any) -> Process:
        return await asyncio.create_subprocess_exec(*argv, **more)


async def test_a_program_that_is_not_installed_is_named_with_its_package() -> None:
    with pytest.raises(UnavailableError, match="the program no-such-program is missing") as caught:
        await programs.output(Here(), ["no-such-program"], package="the-package")
    assert caught.value.hint == "install the package the-package"


_STARTER = """
import asyncio
from linkspan.images import programs
from tests.unit.images.test_programs import Here
from tests.support.patience import PATIENCE
asyncio.run(programs.output(Here(), ["sh", "-c", "echo $$ >%s; exec sleep 1000"], package="dash"))
"""


@pytest.mark.slow
async def test_a_program_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    fifo = tmp_path / "id"
    os.mkfifo(fifo)
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", _STARTER % str(fifo))
    program = os.pidfd_open(int(await asyncio.to_thread(fifo.read_text)))
    try:
        starter.kill()
        await starter.wait()
        ended, _, _ = await asyncio.to_thread(select.select, [program], [], [], PATIENCE)
        assert ended, "it runs on"
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(program, signal.SIGKILL)
        os.close(program)
