"""The compose commands that a machine has, and a project to use them on. Version 1 and 2 differ in names and words."""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import pytest

from linkspan.kernel.process import spawn
from tests.clients.machine import Outcome
from tests.clients.shared import SharedMachine
from tests.support.patience import PATIENCE


@dataclass(frozen=True)
class Compose:
    """One compose command: its words, its version, and how it speaks of what it does to a container."""

    argv: tuple[str, ...]
    version: int
    joint: str
    unchanged: str
    recreated: str
    removed: str

    def container(self, project: str, service: str, number: int = 1) -> str:
        """The name of a service's container."""
        return self.joint.join((project, service, str(number)))


_ONE = Compose(("docker-compose",), 1, "_", "{} is up-to-date", "Recreating {} ", "Removing volume {}")
_TWO = "-", "Container {}  Running", "Container {}  Recreated", "Volume {}  Removed"
_PLAIN = ("--progress", "plain")


@cache
def found(version: int) -> Compose | str:
    """The command of a version, or why there is none. `docker-compose` is 1.29 on Debian 12 and 2 on Debian 13."""
    alone = _version("docker-compose")
    if version == 1:
        return _ONE if alone.startswith("1.") else f"docker-compose 1 is not here, but {alone or 'none'}"
    if _version("docker", "compose").startswith(("2.", "v2.")):
        return Compose(("docker", "compose", *_PLAIN), 2, *_TWO)
    if alone.startswith("2."):
        return Compose(("docker-compose", *_PLAIN), 2, *_TWO)
    return f"neither `docker compose` nor docker-compose 2 is here (docker-compose: {alone or 'none'})"


def _version(*words: str) -> str:
    if shutil.which(words[0]) is None:
        return ""
    asked = subprocess.run([*words, "version", "--short"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else ""


def command(version: int) -> Compose:
    """The command of a version; skips the test, with the reason, where there is none."""
    known = found(version)
    if isinstance(known, str):
        pytest.skip(known)
    return known


class Project:
    """A project, and a compose command in its directory."""

    def __init__(self, shared: SharedMachine, compose: Compose, name: str, files: Mapping[str, str]) -> None:
        self.shared = shared
        self.command = compose
        self.name = name
        self.began = "0"
        self.directory = shared.root / f"{name}{compose.version}"
        for path, text in files.items():
            self.write(path, text)

    def write(self, path: str, text: str) -> None:
        """A file of the project."""
        (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
        (self.directory / path).write_text(text)

    def container(self, service: str, number: int = 1) -> str:
        """The name of a service's container."""
        return self.command.container(self.name, service, number)

    def argv(self, *words: str) -> list[str]:
        """The command line."""
        address = f"DOCKER_HOST=unix://{self.shared.machine.socket}"
        file = str(self.directory / "docker-compose.yml")
        settings = ["COMPOSE_HTTP_TIMEOUT=60", "COLUMNS=200", "DOCKER_BUILDKIT=0", "PYTHONUNBUFFERED=1"]
        env = ["env", f"HOME={self.shared.root}", *settings, address]
        return [*env, *self.command.argv, "-f", file, "-p", self.name, *words]

    def compose(self, *words: str) -> Outcome:
        """Run the command."""
        return self.shared.run(*self.argv(*words))

    def done(self, *words: str) -> str:
        """What it prints when it succeeds."""
        outcome = self.compose(*words)
        assert outcome.status == 0, (words, outcome)
        return outcome.out

    def interrupted(self, *words: str, at: bytes) -> str:
        """What the command says that is interrupted, as by Ctrl-C, once it has said something."""
        return self.shared.wait(self._interrupted(*words, at=at))

    async def _interrupted(self, *words: str, at: bytes) -> str:
        namespace, pipe = self.shared.machine.site.namespace, asyncio.subprocess.PIPE
        process = await spawn(self.argv(*words), namespace, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
        assert process.stdout is not None
        said = b""
        async with asyncio.timeout(PATIENCE):
            while at not in said:
                line = await process.stdout.readline()
                assert line, said
                said += line
            process.send_signal(signal.SIGINT)
            said += await process.stdout.read()
            await process.wait()
        return said.decode()
