"""Programs: the only module that starts any."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TypeAlias

from linkspan.model.errors import NotFoundError, UnavailableError

Stream: TypeAlias = int | IO[bytes] | None
Process: TypeAlias = asyncio.subprocess.Process

_PACKAGES = {
    "nsenter": "util-linux",
    "iptables-restore": "iptables",
    "iptables-save": "iptables",
    "ip6tables-restore": "iptables",
    "ip6tables-save": "iptables",
}
"""Debian's packages of the programs we use ourselves."""

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where our own tools are looked for when PATH has no sbin, as in a cron job or a user's shell."""


async def spawn(
    argv: Sequence[str],
    namespace: Path | None,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start a program in the namespace pinned at `namespace` (None: the caller's own).

    nsenter replaces itself by the program, so the process id is the program's, and the descriptors `pass_fds` keep
    their numbers. Raises `NotFoundError` for a program, a
    directory or a namespace that does not exist.
    """
    program = _find(argv[0], (os.environ if env is None else env).get("PATH"), cwd)
    command = [program, *argv[1:]]
    if namespace is not None:
        if not os.access(namespace, os.R_OK):
            raise NotFoundError(f"there is no network namespace at {namespace}", field="sandbox", value=str(namespace))
        command = [_tool("nsenter"), f"--net={namespace}", "--", *command]
    return await asyncio.create_subprocess_exec(
        *command, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds
    )


def _find(program: str, path: str | None, cwd: Path | None) -> str:
    """The file to execute. nsenter would only say so on stderr and exit with 127."""
    if cwd is not None and not cwd.is_dir():
        raise NotFoundError(f"there is no directory {cwd}", field="cwd", value=str(cwd))
    if "/" in program:
        file = (cwd or Path()) / program
        found = str(file) if file.is_file() and os.access(file, os.X_OK) else None
    else:
        found = shutil.which(program, path=path)
    if found is None:
        raise NotFoundError(f"there is no program {program}", field="argv", value=program)
    return found


def _tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=_SYSTEM_PATH)
    if found is None:
        raise UnavailableError(
            f"the program {name} is missing", hint=f"install the package {_PACKAGES.get(name, name)}"
        )
    return found


class ToolError(Exception):
    """One of our tools failed; `stderr` is what it said, `status` its exit status."""

    def __init__(self, argv: Sequence[str], status: int, stderr: str) -> None:
        super().__init__(f"{' '.join(argv)} failed with status {status}: {stderr.strip()}")
        self.status = status
        self.stderr = stderr


def run_tool(argv: Sequence[str], input: str = "") -> str:
    """Run one of the tools we depend on and return what it prints.

    A child lives in the network namespace of the thread that starts it: on the kernel thread, the engine's. Raises
    `UnavailableError` when the tool is not installed, and `ToolError` when it fails.
    """
    done = subprocess.run([_tool(argv[0]), *argv[1:]], input=input, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(argv, done.returncode, done.stderr)
    return done.stdout
