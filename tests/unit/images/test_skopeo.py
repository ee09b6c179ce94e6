"""What skopeo is told, and what it says: no secret in its arguments, and Docker's words for its errors."""

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from linkspan.images.ports import Stream
from linkspan.images.skopeo import Skopeo, auth_file, is_loopback, push_refusal, refusal
from linkspan.model.errors import LinkspanError, NotFoundError, UnauthorizedError, UnavailableError
from linkspan.model.images import Credentials
from linkspan.model.references import parse_reference

SECRET = "Zm9vbGlzaA-secret"
WHO = Credentials("ann", SECRET, server="registry.test:5000")
HERE = parse_reference("registry.test:5000/tool:1")


class Ended:
    """A process that has printed something."""

    stdout: asyncio.StreamReader | None = None

    def __init__(self, status: int, out: bytes, err: bytes) -> None:
        self.returncode = status
        self._said = out, err

    async def wait(self) -> int:
        return self.returncode

    async def communicate(self, input: bytes | None = None) -> tuple[bytes, bytes]:
        return self._said

    def kill(self) -> None: ...


def modes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}


class Machine:
    """Starts nothing; remembers what was to be started, and the files that were there then."""

    def __init__(self, status: int = 0, out: bytes = b"{}", err: bytes = b"") -> None:
        self.argv: list[str] = []
        self.modes: dict[str, int] = {}
        self._ended = status, out, err

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        sandbox: str | None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> Ended:
        assert cwd is not None
        self.argv, self.modes = list(argv), modes(cwd)
        return Ended(*self._ended)


async def test_no_secret_is_an_argument_and_only_we_can_read_the_file(tmp_path: Path) -> None:
    machine = Machine()
    await Skopeo(machine).manifest(HERE, WHO, tmp_path)
    assert machine.argv[-1] == "docker://registry.test:5000/tool:1"
    assert not any(SECRET in word for word in machine.argv)
    assert machine.modes == {"auth.json": 0o600}
    assert "--tls-verify=false" not in machine.argv


async def test_a_password_to_be_tried_is_no_argument(tmp_path: Path) -> None:
    machine = Machine()
    await Skopeo(machine).login(WHO, tmp_path)
    assert machine.argv[-2:] == ["--password-stdin", "registry.test:5000"]
    assert not any(SECRET in word for word in machine.argv)


async def test_a_password_that_is_wrong_is_unauthorized(tmp_path: Path) -> None:
    said = b'time="x" level=fatal msg="authenticating creds for \\"r\\": unauthorized: authentication required"'
    with pytest.raises(UnauthorizedError):
        await Skopeo(Machine(1, err=said)).login(WHO, tmp_path)


async def test_registries_on_this_machine_need_no_certificate(tmp_path: Path) -> None:
    machine = Machine()
    await Skopeo(machine).manifest(parse_reference("127.0.0.1:5000/tool"), None, tmp_path)
    assert "--tls-verify=false" in machine.argv and machine.argv[-1] == "docker://127.0.0.1:5000/tool:latest"


@pytest.mark.parametrize(
    ("insecure", "name", "expected"),
    [
        ("registry.test:5000", "registry.test:5000/tool", True),
        ("registry.test", "registry.test:5000/tool", False),
        ("10.0.0.0/8", "10.1.2.3:5000/tool", True),
        ("10.0.0.0/8", "11.1.2.3:5000/tool", False),
        ("10.0.0.0/8", "registry.test:5000/tool", False),
        ("fd00::/8", "[fd00::1]:5000/tool", True),
    ],
)
async def test_a_registry_can_be_called_insecure(tmp_path: Path, insecure: str, name: str, expected: bool) -> None:
    machine = Machine()
    await Skopeo(machine, [insecure]).manifest(parse_reference(name), None, tmp_path)
    assert ("--tls-verify=false" in machine.argv) is expected


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        *[("127.0.0.1:5000", True), ("127.9.9.9", True), ("localhost:80", True), ("[::1]:5000", True)],
        *[("10.0.0.1:5000", False), ("docker.io", False), ("localhost.test", False)],
    ],
)
def test_what_the_loopback_is(domain: str, expected: bool) -> None:
    assert is_loopback(domain) is expected


def test_credentials_are_for_one_registry() -> None:
    found = json.loads(auth_file("registry.test:5000", WHO))
    assert list(found["auths"]) == ["registry.test:5000"]
    assert base64.b64decode(found["auths"]["registry.test:5000"]["auth"]) == f"ann:{SECRET}".encode()
    assert json.loads(auth_file("registry.test:5000", None)) == {"auths": {}}


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        (
            "Error: reading manifest 2 in r/x: manifest unknown: manifest unknown",
            NotFoundError,
            "manifest for registry.test:5000/tool:1 not found: manifest unknown: manifest unknown",
        ),
        (
            "reading manifest latest in docker.io/library/x: requested access to the resource is denied",
            NotFoundError,
            "pull access denied for registry.test:5000/tool, repository does not exist or may require 'docker login': "
            "denied: requested access to the resource is denied",
        ),
        (
            "reading manifest 1 in r/x: unauthorized: authentication required",
            UnavailableError,
            "unauthorized: authentication required",
        ),
        (
            'pinging container registry r:1: Get "http://r:1/v2/": dial tcp 10.0.0.1:1: connect: connection refused',
            UnavailableError,
            'Get "http://r:1/v2/": dial tcp 10.0.0.1:1: connect: connection refused',
        ),
    ],
)
def test_errors_are_in_docker_s_words(said: str, kind: type[LinkspanError], message: str) -> None:
    error = refusal(said, HERE)
    assert isinstance(error, kind) and error.message == message


def test_a_push_that_is_refused_is_denied() -> None:
    error = push_refusal("requested access to the resource is denied", HERE)
    assert error.message == "denied: requested access to the resource is denied"


def test_credentials_are_not_shown() -> None:
    assert SECRET not in repr(WHO)
