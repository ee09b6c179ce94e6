"""buildah: builds images from Dockerfiles, with the layers of earlier builds as its cache.

It has a storage of its own below the data root, so it sees no image but those it is given, and asks no registry. It
runs in mount and process namespaces of its own: its mounts end with it, what it started dies with it, and the programs
of a build see no process but theirs.
"""

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from linkspan.images import programs
from linkspan.images.ports import Bundle, Host, Site
from linkspan.images.programs import ProgramError
from linkspan.model.builds import BuildError, BuildNetwork, BuildRequest
from linkspan.model.errors import UnavailableError, UnimplementedError

_PACKAGE = "buildah"
_CHUNK = 64 << 10
_APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_SETTINGS = {
    "policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}',
    "registries.conf": 'unqualified-search-registries = ["docker.io"]\n',
    "storage.conf": '[storage]\ndriver = "overlay"\n',
    "containers.conf": "",
}
"""Those of the machine are for others: signatures are not asked for, and a short name is Docker's."""

_COMPLAINT = re.compile(r"(?:Error: |[Ee]rror building |time=\S+ level=(?:error|fatal) )")
_ECHO = re.compile(r"subprocess exited with status \d+$")
_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP \d+/\d+: (.*)")
_FAILED_STEP = re.compile(r"[Bb]uilding at STEP .*: exit status (\d+)$")
_MISSING = re.compile(r'copier: stat: "/?([^"]+)": no such file or directory')
_UNKNOWN = re.compile(r'Unknown instruction: "([^"]*)"')
_REQUEST = re.compile(r"error during bulk transfer for copier\.request\{.*\}: (?=copier: )")
_PLACE = re.compile(r'^(?:[Ee]rror )?building at STEP "(?:[^"\\]|\\.)*": ')


class Buildah:
    """The program."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def check(self) -> None:
        """See `BuildTool.check`."""
        if shutil.which("buildah") is None:
            raise UnimplementedError(
                "images are built by buildah, which is not installed: install the package buildah", field="program"
            )

    async def take(self, bundle: Bundle, name: str, site: Site) -> None:
        """See `BuildTool.take`. skopeo copies only the layers that are not there yet."""
        _prepare(site)
        storage = f"containers-storage:[overlay@{site.workshop}+{site.scratch / 'run'}]{name}"
        source = _directory(bundle, site)
        argv = ["skopeo", "--insecure-policy", "--tmpdir", ".", "copy", "--quiet", source, storage]
        await self._done(argv, "skopeo", site)

    async def build(self, request: BuildRequest, dockerfile: Path, site: Site) -> AsyncIterator[str]:
        """See `BuildTool.build`."""
        _prepare(site)
        apart = [*_APART, *(["--net"] if request.network is BuildNetwork.NONE else [])]
        argv = [*apart, *_buildah(site), "bud", *_flags(request), "--file", str(dockerfile), str(site.context)]
        pipe, nothing, both = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL, asyncio.subprocess.STDOUT
        running = programs.running(
            self._host,
            argv,
            _PACKAGE,
            cwd=site.scratch,
            stdin=nothing,
            stdout=pipe,
            stderr=both,
            env=_environment(site),
        )
        held: list[str] = []
        step = ""
        async with running as process:
            assert process.stdout is not None
            async for line in _lines(process.stdout):
                if match := _STEP.match(line):
                    step = match[1]
                if _COMPLAINT.match(line):
                    held.append(line)
                elif not _ECHO.match(line):
                    for said in (*held, line):
                        yield said
                    held.clear()
            if await process.wait() != 0:
                raise failure_of("\n".join(held), step, site)

    async def hand_over(self, id: str, into: Bundle, site: Site) -> None:
        """See `BuildTool.hand_over`."""
        push = ["push", "--quiet", "--disable-compression", "--signature-policy", "policy.json", id]
        await self._done([*_buildah(site), *push, _directory(into, site)], _PACKAGE, site)

    async def tidy(self, site: Site) -> None:
        """See `BuildTool.tidy`."""
        if site.workshop.exists():
            _prepare(site)
            await self._done([*_buildah(site), "rm", "--all"], _PACKAGE, site)

    async def _done(self, argv: Sequence[str], package: str, site: Site) -> None:
        env = _environment(site)
        try:
            await programs.output(self._host, [*_APART, *argv], package=package, cwd=site.scratch, env=env)
        except ProgramError as error:
            raise UnavailableError(f"{argv[0]} failed: {error}") from error


def _directory(bundle: Bundle, site: Site) -> str:
    """Relative: a colon in a path would end it."""
    return f"dir:{os.path.relpath(bundle.path, site.scratch)}"


def _prepare(site: Site) -> None:
    site.workshop.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in _SETTINGS.items():
        (site.scratch / name).write_text(text)


def _environment(site: Site) -> Mapping[str, str]:
    """Ours, with its settings instead of the machine's."""
    settings = {
        "CONTAINERS_STORAGE_CONF": str(site.scratch / "storage.conf"),
        "CONTAINERS_CONF": str(site.scratch / "containers.conf"),
    }
    return {**os.environ, **settings, "TMPDIR": str(site.scratch), "HOME": str(site.scratch)}


def _buildah(site: Site) -> list[str]:
    """The program with its storage. What it keeps of mounts is thrown away with them: they are of one run."""
    places = ["--root", str(site.workshop), "--runroot", str(site.scratch / "run")]
    return ["buildah", *places, "--storage-driver", "overlay", "--registries-conf", "registries.conf"]


def _flags(request: BuildRequest) -> list[str]:
    """A request as options. Every image is there already, so none is pulled; Docker's format keeps health checks."""
    flags = ["--isolation", "chroot", "--format", "docker", "--signature-policy", "policy.json", "--pull-never"]
    flags += ["--identity-label=false"]
    flags += ["--iidfile", "id", "--no-cache" if request.no_cache else "--layers"]
    for name, value in request.arguments.items():
        flags += ["--build-arg", f"{name}={value}"]
    for name, value in request.labels.items():
        flags += ["--label", f"{name}={value}"]
    for host in request.hosts:
        flags += ["--add-host", host]
    flags += ["--target", request.target] if request.target else []
    return [*flags, *(["--platform", request.platform] if request.platform else [])]


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines of any length; a very long one comes in pieces."""
    rest = b""
    while data := await stream.read(_CHUNK):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")
        if len(rest) > _CHUNK:
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace")


def failure_of(text: str, step: str, site: Site) -> BuildError:
    """What buildah complained about at an instruction, in Docker's words where it has some."""
    errors = [line.removeprefix("Error: ") for line in text.splitlines() if line.startswith("Error: ")]
    said = errors[-1] if errors else programs.complaint(text)
    if match := _FAILED_STEP.search(said):
        status = int(match[1])
        return BuildError(f"The command '{_command(step)}' returned a non-zero code: {status}", status=status)
    if match := _UNKNOWN.search(said):
        return BuildError(f"dockerfile parse error: unknown instruction: {match[1]}")
    if match := _MISSING.search(said):
        return BuildError(
            f"COPY failed: file not found in build context or excluded by .dockerignore: stat {match[1]}: "
            "file does not exist"
        )
    said = _REQUEST.sub("", _PLACE.sub("", said))
    return BuildError(said.replace(str(site.scratch), "").strip())


def _command(step: str) -> str:
    """What a `RUN` instruction runs."""
    text = re.sub(r"^\S+\s+(?:--\S+\s+)*", "", step)
    try:
        words = json.loads(text) if text.startswith("[") else ["/bin/sh", "-c", text]
    except ValueError:
        return text
    return " ".join(map(str, words))
