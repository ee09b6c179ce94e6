"""buildah: builds images from Dockerfiles, with the layers of earlier builds as its cache.

It has a storage of its own below the data root, so it sees no image but those it is given, and asks no registry. It
runs in mount and process namespaces of its own: its mounts end with it, what it started dies with it, and the programs
of a build see no process but theirs.
"""

import asyncio
import json
import os
import re
import resource
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from linkspan.images import programs
from linkspan.images.ports import BuildHost, Bundle, Site
from linkspan.images.programs import ProgramError
from linkspan.model.builds import BuildError, BuildNetwork, BuildRequest
from linkspan.model.capabilities import DEFAULT_CAPABILITIES
from linkspan.model.errors import UnavailableError, UnimplementedError

_PACKAGE = "buildah"
_CHUNK = 64 << 10
_ATTEMPTS, _PAUSE = 50, 0.02
_APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_SETTINGS = {
    "policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}',
    "registries.conf": 'unqualified-search-registries = ["docker.io"]\n',
    "storage.conf": '[storage]\ndriver = "overlay"\n',
    "containers.conf": '[containers]\nbase_hosts_file = "none"\nhost_containers_internal_ip = "none"\n'
    f"default_capabilities = {json.dumps(sorted(DEFAULT_CAPABILITIES))}\n",
}
"""Those of the machine are for others: signatures are not asked for, and short names and capabilities are Docker's."""

_SERVICE_MANAGER = ("LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET")
"""What the service manager says to us alone: a runtime would hand it on to the programs of steps."""

_COMPLAINT = re.compile(r"(?:Error: |[Ee]rror (?:building|running container:) |time=\S+ level=(?:error|fatal) )")
_TARGET = re.compile(r'The target "([^"]*)" was not found')
_NOT_STARTED = "unable to start container process"
_ECHO = re.compile(r"(?:subprocess exited with|: exit) status \d+$")
_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP \d+/\d+: (.*)")
_FAILED_STEP = re.compile(r"[Bb]uilding at STEP .*: exit status (\d+)$")
_MISSING = re.compile(r'copier: stat: "/?([^"]+)": no such file or directory')
_UNKNOWN = re.compile(r'Unknown instruction: "([^"]*)"')
_REQUEST = re.compile(r"error during bulk transfer for copier\.request\{.*\}: (?=copier: )")
_PLACE = re.compile(r'^(?:[Ee]rror )?building at STEP "(?:[^"\\]|\\.)*": ')


class Buildah:
    """The program. `runtime` finds the program that runs the containers of steps; it raises `UnavailableError`."""

    def __init__(self, host: BuildHost, runtime: Callable[[], str]) -> None:
        self._host = host
        self._runtime = runtime

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

    async def build(
        self, request: BuildRequest, dockerfile: Path, site: Site, network: BuildNetwork
    ) -> AsyncIterator[str]:
        """See `BuildTool.build`."""
        _prepare(site)
        steps = ["--isolation", "oci", "--runtime", self._runtime(), "--runtime-flag", f"root={site.scratch / 'steps'}"]
        steps += ["--cgroup-parent", _group(site.scratch)]
        flags = [*steps, *_flags(request), *_reach(network), "--file", str(dockerfile), str(site.context)]
        argv = [*_APART, *_buildah(site), "bud", *flags]
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
        async with self._in_a_group(site.scratch), running as process:
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

    @asynccontextmanager
    async def _in_a_group(self, scratch: Path) -> AsyncIterator[None]:
        """The runtime makes the control group of a step, and removes it, unless the step was killed."""
        try:
            yield
        finally:
            await self._remove_group(scratch)

    async def _remove_group(self, scratch: Path) -> None:
        """What was killed is gone soon, and with it the last process of the group."""
        for _ in range(_ATTEMPTS):
            if await self._host.remove_cgroup(_group(scratch)) is None:
                return
            await asyncio.sleep(_PAUSE)

    async def recover(self, scratches: Sequence[Path]) -> None:
        """See `BuildTool.recover`."""
        for scratch in scratches:
            await self._remove_group(scratch)

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


def _group(scratch: Path) -> str:
    """The control group of a build's steps, beside those of containers."""
    return f"/linkspan/build-{scratch.name}"


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
        "BUILDAH_LAYERS": "true",  # the option of that name excludes --no-cache
    }
    ours = {name: value for name, value in os.environ.items() if name not in _SERVICE_MANAGER}
    return {**ours, **settings, "TMPDIR": str(site.scratch), "HOME": str(site.scratch)}


def _buildah(site: Site) -> list[str]:
    """The program with its storage. What it keeps of mounts is thrown away with them: they are of one run."""
    places = ["--root", str(site.workshop), "--runroot", str(site.scratch / "run")]
    return ["buildah", *places, "--storage-driver", "overlay", "--registries-conf", "registries.conf"]


def _flags(request: BuildRequest) -> list[str]:
    """A request as options. Every image is there already, so none is pulled; Docker's format keeps health checks."""
    flags = ["--format", "docker", "--signature-policy", "policy.json", "--pull-never"]
    flags += ["--identity-label=false"]
    flags += ["--iidfile", "id", *(["--no-cache"] if request.no_cache else [])]
    for name, value in request.arguments.items():
        flags += ["--build-arg", f"{name}={value}"]
    for name, value in request.labels.items():
        flags += ["--label", f"{name}={value}"]
    for host in request.hosts:
        flags += ["--add-host", host]
    for limit in _limits(request):
        flags += ["--ulimit", limit]
    flags += ["--target", request.target] if request.target else []
    return [*flags, *(["--platform", request.platform] if request.platform else [])]


def _limits(request: BuildRequest) -> Iterator[str]:
    """Those that were asked for, and ours where none was, as in Docker: buildah raises these two as far as the kernel
    goes, for which not every machine gives it the capability.
    """
    yield from request.ulimits
    asked = {limit.partition("=")[0] for limit in request.ulimits}
    for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        if name not in asked:
            yield "{}={}:{}".format(name, *resource.getrlimit(number))


def _reach(network: BuildNetwork) -> list[str]:
    """The network of the programs that run; what buildah fetches itself comes over the host's, as in Docker."""
    flags = ["--network", f"ns:{network.namespace}" if network.namespace else "host"]
    for flag, values in (("server", network.servers), ("search", network.search), ("option", network.options)):
        for value in values:
            flags += ["--dns" if flag == "server" else f"--dns-{flag}", value]
    return flags


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
    if _NOT_STARTED in text:
        return BuildError(f"failed to create task for container: OCI runtime create failed: {programs.complaint(text)}")
    if match := _TARGET.search(said):
        return BuildError(f"failed to reach build target {match[1]} in Dockerfile")
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
