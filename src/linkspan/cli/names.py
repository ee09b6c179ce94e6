"""`linkspan dns …` and `linkspan network records`: who answers names, which names there are, how one was answered."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from linkspan.cli.answers import Json, Record
from linkspan.cli.client import quoted
from linkspan.cli.grammar import Line
from linkspan.cli.hooking import Hook, become, hook_of
from linkspan.cli.plans import PLAN, show_plan
from linkspan.cli.session import Session
from linkspan.cli.system import rendered
from linkspan.cli.tables import table
from linkspan.model.errors import InvalidError, UnavailableError


class Entry(NamedTuple):
    """An extra record of a network, as the API has it."""

    name: str
    ttl: int
    type: str
    value: str

    def body(self) -> Json:
        """What the API is told."""
        return {"Name": self.name, "Type": self.type, "Value": self.value, "TTL": self.ttl}


def records(line: Line, session: Session) -> int:
    """Shows the records of a network, after adding some and removing others."""
    path = f"/networks/{quoted(line.arguments[0])}/records"
    found = session.client.get(f"/linkspan/v1{path}")
    if line.list("add") or line.list("rm") or line.switch("dry-run"):
        changed = _changed([_entry(each) for each in Record(found).records("Records")], line)
        body: Json = {"Records": [entry.body() for entry in changed]}
        if line.switch("dry-run"):
            return show_plan(session, line, session.client.put(PLAN + path, body))
        found = session.client.put(f"/linkspan/v1{path}", body)
    if not rendered(line, session, found):
        entries = [_entry(each) for each in Record(found).records("Records")]
        rows = [[each.name, str(each.ttl), each.type, each.value] for each in entries]
        session.say(*table([["NAME", "TTL", "TYPE", "VALUE"], *rows]))
    return 0


def _entry(found: Record) -> Entry:
    return Entry(found.text("Name"), found.number("TTL"), found.text("Type"), found.text("Value"))


def _changed(entries: Sequence[Entry], line: Line) -> list[Entry]:
    """What is there without what `--rm` means, and with what `--add` gives."""
    kept = list(entries)
    for text in line.list("rm"):
        remaining = [entry for entry in kept if not _means(text, entry)]
        if len(remaining) == len(kept):
            raise InvalidError(f"there is no record {text!r}", hint=f"`{_SHOW}` lists them", field="rm", value=text)
        kept = remaining
    return [*kept, *(entry for entry in map(parse_record, line.list("add")) if entry not in kept)]


_SHOW = "linkspan network records NETWORK"


def _means(text: str, entry: Entry) -> bool:
    """`NAME`, `NAME TYPE`, or `NAME TYPE VALUE`."""
    name, type, value = (*text.split(maxsplit=2), "", "", "")[:3]
    return name.lower() == entry.name.lower() and type.upper() in ("", entry.type) and value in ("", entry.value)


def parse_record(text: str) -> Entry:
    """`db A 10.0.0.9` or `db 60 A 10.0.0.9`, as a zone file has it."""
    name, _, rest = text.strip().partition(" ")
    first, _, other = rest.strip().partition(" ")
    ttl, (type, _, value) = 600, rest.strip().partition(" ")
    if first.isascii() and first.isdigit():
        ttl, (type, _, value) = int(first[:10]), other.strip().partition(" ")
    if not (name and type and value.strip()):
        raise InvalidError(
            f"invalid record {text!r}",
            hint='expected "NAME [TTL] TYPE VALUE", such as "db A 10.0.0.9"',
            field="add",
            value=text,
        )
    return Entry(name, ttl, type.upper(), value.strip())


def status(line: Line, session: Session) -> int:
    """The networks with names, and the containers with a name server."""
    found = Record(session.client.get("/linkspan/v1/dns"))
    if not rendered(line, session, found.value):
        session.say(*_status(found))
    return 0


def _status(found: Record) -> Iterator[str]:
    if not found.flag("Enabled"):
        yield "Names are not served."
        return
    address, domain = found.text("HostResolver"), found.text("Domain")
    yield (
        f"This machine finds containers as NAME.NETWORK.{domain} at {address}: `linkspan dns hook` shows how."
        if address
        else "This machine does not find containers by name: `linkspan daemon --host-dns 127.0.0.76` would let it."
    )
    zones = [
        [zone.text("Network"), str(zone.number("Containers")), str(zone.number("Records"))]
        for zone in found.records("Zones")
    ]
    resolvers = [[name, *cells] for name, cells in map(_resolver, found.records("Resolvers"))]
    for rows in (
        [["NETWORK", "CONTAINERS", "RECORDS"], *zones],
        [["CONTAINER", "NETWORKS", "NAMES", "OTHER NAMES FROM"], *resolvers],
    ):
        if len(rows) > 1:
            yield from ("", *(text.rstrip() for text in table(rows)))


def _resolver(found: Record) -> tuple[str, list[str]]:
    names = dict.fromkeys(name for network in found.texts("Networks") for name in found.record("Names").texts(network))
    servers = found.texts("Servers")
    elsewhere = " ".join(servers) if servers else "the host's servers" if found.flag("Forwards") else "nobody"
    return found.text("Container"), [" ".join(found.texts("Networks")), " ".join(names), elsewhere]


def trace(line: Line, session: Session) -> int:
    """The status is 1 when there was no answer, so that a script can ask."""
    container, name, *type = line.arguments
    query = {"container": container, "name": name, "type": (type or ["A"])[0].upper()}
    found = Record(session.client.get("/linkspan/v1/dns/trace", query))
    if not rendered(line, session, found.value):
        session.say(*_trace(found))
    return int(found.text("Status") != "NOERROR" or not found.texts("Answers"))


def _trace(found: Record) -> Iterator[str]:
    answers = found.texts("Answers")
    count = f"{len(answers)} answer{'' if len(answers) == 1 else 's'}" if answers else "no answer"
    yield f"{found.text('Container')} asks {found.text('Name')} {found.text('Type')}: {found.text('Status')}, {count}"
    yield from (f"  {answer}" for answer in answers)
    rows = [
        [f"  {_milliseconds(step.get('Seconds'))}", step.text("Where"), step.text("Outcome")]
        for step in found.records("Steps")
    ]
    if rows:
        yield from ("", *(text.rstrip() for text in table([["  AFTER", "WHERE", "WHAT CAME OF IT"], *rows])))


def _milliseconds(seconds: Json) -> str:
    return f"{seconds * 1000:.2f} ms" if isinstance(seconds, int | float) else ""


def hook(line: Line, session: Session) -> int:
    """Prints what lets this machine find containers by name; `--apply` does it, `--undo` takes it back."""
    found = Record(session.client.get("/linkspan/v1/dns"))
    if not found.text("HostResolver"):
        raise UnavailableError(
            "this machine has no name server that knows containers",
            hint="start the daemon with --host-dns 127.0.0.76",
        )
    made: Hook = hook_of(found.text("HostResolver"), found.text("Domain"))
    if line.switch("undo"):
        session.say(*made.undo())
    elif line.switch("apply"):
        session.say(*made.apply())
    else:
        session.say(*made.described(), "", "`linkspan dns hook --apply` does it, `--undo` takes it back.")
        return 0
    if made.then:
        become(made.then)
    return 0
