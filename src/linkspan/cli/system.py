"""`version` and `info`."""

from collections.abc import Iterable, Iterator

from linkspan import __version__
from linkspan.cli.answers import Json, Record
from linkspan.cli.grammar import Line
from linkspan.cli.session import Session
from linkspan.cli.templates import Template
from linkspan.model.errors import UnavailableError

Fact = tuple[str, object]


def version(line: Line, session: Session) -> int:
    """Ours, and the daemon's when there is one; without it the status is 1, as Docker's."""
    client: dict[str, Json] = {"Version": __version__, "ApiVersion": "1.51"}
    try:
        server = Record(session.client.get("/version"))
    except UnavailableError as error:
        if not rendered(line, session, {"Client": client, "Server": None}):
            session.say(*_aligned("Client:", [("Version", __version__)]))
        raise error from None
    if rendered(line, session, {"Client": client, "Server": server.value}):
        return 0
    facts: list[Fact] = [
        ("Version", server.text("Version")),
        ("API version", f"{server.text('ApiVersion')} (minimum {server.text('MinAPIVersion')})"),
        ("Kernel", server.text("KernelVersion")),
        ("OS/Arch", f"{server.text('Os')}/{server.text('Arch')}"),
    ]
    session.say(*_aligned("Client:", [("Version", __version__)]), "", *_aligned("Server:", facts))
    return 0


def info(line: Line, session: Session) -> int:
    """What the daemon says of itself and its machine."""
    found = Record(session.client.get("/info"))
    if not rendered(line, session, found.value):
        session.say(*_aligned("Server:", _facts(found)))
        for warning in found.texts("Warnings"):
            session.warn(f"WARNING: {warning}")
    return 0


def _facts(found: Record) -> Iterator[Fact]:
    yield "Name", found.text("Name")
    yield "Version", found.text("ServerVersion")
    yield "ID", found.text("ID")
    yield "Containers", found.number("Containers")
    yield "  running", found.number("ContainersRunning")
    yield "  stopped", found.number("ContainersStopped")
    yield "Data root", found.text("DockerRootDir")
    yield "Firewall", found.record("FirewallBackend").text("Driver")
    yield (
        "Address pools",
        ", ".join(f"{pool.text('Base')} by /{pool.number('Size')}" for pool in found.records("DefaultAddressPools")),
    )
    yield "Runtime", found.text("DefaultRuntime")
    yield "Cgroups", f"version {found.text('CgroupVersion')}, {found.text('CgroupDriver')}"
    yield "Kernel", found.text("KernelVersion")
    yield "System", found.text("OperatingSystem")
    yield "Architecture", found.text("Architecture")
    yield "CPUs", found.number("NCPU")
    yield "Memory", f"{found.number('MemTotal') / (1 << 30):.2f} GiB"
    yield "Debug", str(found.flag("Debug")).lower()


def _aligned(head: str, facts: Iterable[Fact]) -> list[str]:
    facts = list(facts)
    width = max(len(name) for name, _ in facts) + 2
    return [head, *(f" {f'{name}:'.ljust(width)}{value}".rstrip() for name, value in facts)]


def rendered(line: Line, session: Session, value: Json) -> bool:
    """Shown by `--format` or `--json`, when one of them is given."""
    form = "json" if line.switch("json") else line.text("format")
    if form:
        session.say(Template("{{json .}}" if form == "json" else form).render(value))
    return bool(form)
