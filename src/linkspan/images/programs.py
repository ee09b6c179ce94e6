"""Running the programs that transfer and unpack, and what they say when they fail."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from linkspan.images.ports import Host, Process, Stream
from linkspan.model.errors import NotFoundError, UnavailableError

_LIMIT = 64 << 10
_MORTAL = ("setpriv", "--pdeathsig", "KILL")
_FATAL = re.compile(r'level=(?:fatal|error) msg=("(?:[^"\\]|\\.)*")')


class ProgramError(Exception):
    """A program failed; the text is what it complained about."""


@asynccontextmanager
async def running(
    host: Host,
    argv: Sequence[str],
    package: str,
    *,
    cwd: Path | None,
    stdin: Stream,
    stdout: Stream,
    stderr: Stream,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Process]:
    """A program while the block runs: killed when the block ends before it does, and when we are killed ourselves."""
    if shutil.which(argv[0]) is None:
        raise UnavailableError(f"the program {argv[0]} is missing", hint=f"install the package {package}")
    argv = (*_MORTAL, *argv)  # nobody would take what it makes, and it would write where the next daemon cleans up
    try:
        process = await host.spawn(argv, sandbox=None, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr)
    except NotFoundError as error:
        raise UnavailableError(f"the program {argv[0]} is missing", hint="install the package util-linux") from error
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())


async def output(
    host: Host,
    argv: Sequence[str],
    *,
    package: str,
    cwd: Path | None = None,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> bytes:
    """What a program prints. Raises `ProgramError` when it fails, `UnavailableError` when it is not installed."""
    pipe = asyncio.subprocess.PIPE
    stdin = asyncio.subprocess.DEVNULL if input is None else pipe
    async with running(host, argv, package, cwd=cwd, stdin=stdin, stdout=pipe, stderr=pipe, env=env) as process:
        out, err = await process.communicate(input)
        if process.returncode != 0:
            raise ProgramError(complaint(err.decode(errors="replace")))
    return out


async def lines(host: Host, argv: Sequence[str], *, package: str, cwd: Path) -> AsyncIterator[str]:
    """What a program prints, as it comes; its errors go to a file, so that neither can hold up the other."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    with (cwd / "stderr").open("w+b") as errors:
        async with running(host, argv, package, cwd=cwd, stdin=nothing, stdout=pipe, stderr=errors) as process:
            assert process.stdout is not None
            async for line in process.stdout:
                yield line.decode(errors="replace").rstrip()
            if await process.wait() != 0:
                errors.seek(0)
                raise ProgramError(complaint(errors.read(_LIMIT).decode(errors="replace")))


def complaint(text: str) -> str:
    """The message inside a log line of Go's logrus; else the last line that says something."""
    found = _FATAL.findall(text)
    if found:
        try:
            return str(json.loads(found[-1]))
        except ValueError:
            return str(found[-1]).strip('"')
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return said[-1] if said else "it failed without a word"
