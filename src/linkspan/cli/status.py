"""`status`: one screen with bridges, containers, addresses, published ports, and whatever is wrong."""

from collections.abc import Iterator, Sequence

from linkspan.cli.answers import Record
from linkspan.cli.grammar import Line
from linkspan.cli.session import Session
from linkspan.cli.system import rendered
from linkspan.cli.tables import short, table

Rows = list[list[str]]


def status(line: Line, session: Session) -> int:
    """The status is 1 when something is wrong, so that a script can ask."""
    found = Record(session.client.get("/linkspan/v1/status"))
    problems = found.records("Problems")
    if not rendered(line, session, found.value):
        if session.pretty:
            _pretty(found)
        else:
            session.say(*_plain(found))
    return int(bool(problems))


def heading(found: Record) -> str:
    """Who answers."""
    return f"linkspan {found.text('Version')}, engine {short(found.text('EngineID'))}, {found.text('Firewall')}"


def data_plane(found: Record) -> str:
    """Who answers names and carries what NAT does not."""
    plane = found.record("DataPlane")
    if not plane.number("Pid"):
        return "data plane: none"
    where = "process" if plane.flag("Helper") else "inside the daemon, process"
    held = ((plane.number(key), key.lower()) for key in ("Ports", "Resolvers", "Names"))
    counts = ", ".join(f"{count} {name if count != 1 else name[:-1]}" for count, name in held)
    return f"data plane: {where} {plane.number('Pid')}, {counts}"


def bridges(found: Record) -> Rows:
    """Networks with a bridge."""
    rows = [["NETWORK", "BRIDGE", "SUBNETS", "GATEWAYS", "CONTAINERS"]]
    for bridge in found.records("Bridges"):
        name = bridge.text("Network") + (" (internal)" if bridge.flag("Internal") else "")
        subnets, gateways = (" ".join(bridge.texts(key)) for key in ("Subnets", "Gateways"))
        rows.append([name, bridge.text("Name"), subnets, gateways, str(bridge.number("Members"))])
    return rows


def sandboxes(found: Record) -> Rows:
    """A row for each interface; what lives in one comes once."""
    rows = [["CONTAINER", "NETWORK", "INTERFACE", "ADDRESSES", "PORTS"]]
    for sandbox in found.records("Sandboxes"):
        name, ports = sandbox.text("Name"), " ".join(sandbox.texts("Ports"))
        interfaces = sandbox.records("Interfaces")
        if not interfaces:
            rows.append([name, sandbox.text("Mode"), "", "", ports])
        for interface in interfaces:
            pair = f"{interface.text('Name')} = {interface.text('HostName')}"
            rows.append([name, interface.text("Network"), pair, " ".join(interface.texts("Addresses")), ports])
            name = ports = ""
    return rows


def problems_of(found: Record) -> list[tuple[str, str]]:
    """What is wrong, and what to do about it."""
    return [
        (f"{problem.text('Subject')}: {problem.text('Message')}", problem.text("Hint"))
        for problem in found.records("Problems")
    ]


def _plain(found: Record) -> Iterator[str]:
    yield heading(found)
    yield data_plane(found)
    for rows in (bridges(found), sandboxes(found)):
        if len(rows) > 1:
            yield from ("", *(text.rstrip() for text in table(rows)))
    yield ""
    problems = problems_of(found)
    yield "Nothing is wrong." if not problems else "WRONG:"
    for problem, hint in problems:
        yield f"  {problem}"
        if hint:
            yield f"    hint: {hint}"


def _pretty(found: Record) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)

    def show(rows: Sequence[Sequence[str]]) -> None:
        head, *rest = rows
        shown = Table(*head, box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for row in rest:
            shown.add_row(*(Text(cell) for cell in row))
        console.print(shown)

    console.print(Text(heading(found), style="bold"))
    console.print(Text(data_plane(found)))
    for rows in (bridges(found), sandboxes(found)):
        if len(rows) > 1:
            show(rows)
    problems = problems_of(found)
    if not problems:
        console.print(Text("Nothing is wrong.", style="green"))
    for problem, hint in problems:
        console.print(Text(f"✗ {problem}", style="red"))
        if hint:
            console.print(Text(f"  hint: {hint}", style="dim"))
