"""A sandbox as something to work with."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from linkspan.engine.ports import Kernel, Process, Stream
from linkspan.model.sandboxes import Mode, Sandbox
from linkspan.model.state import State


class LiveSandbox:
    """A handle on a sandbox: its value as it is now, and programs run in its namespace."""

    def __init__(self, state: State, kernel: Kernel, id: str) -> None:
        self._state = state
        self._kernel = kernel
        self.id = id

    @property
    def value(self) -> Sandbox:
        """The sandbox as it is now; `NotFoundError` once it is removed."""
        return self._state.sandbox(self.id)

    @property
    def namespace(self) -> Path | None:
        """Where the namespace its processes use is pinned; None stands for the engine's own (mode host)."""
        member = self._member
        return None if member is None else self._kernel.namespace_path(member)

    @property
    def _member(self) -> str | None:
        """The id of the sandbox whose namespace is used."""
        value = self.value
        if value.mode is Mode.SHARED and value.shares is not None:
            value = self._state.sandboxes[value.shares]
        return None if value.mode is Mode.HOST else value.id

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> Process:
        """Start a program in the namespace; streams are as `asyncio.create_subprocess_exec` takes them.

        Raises `NotFoundError` when there is no such program.
        """
        return await self._kernel.spawn(
            argv, sandbox=self._member, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr
        )
