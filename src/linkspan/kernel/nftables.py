"""The nftables backend: one libnftables transaction for each run, and the table read back from nft's own listing.

The listing is read as text, not as JSON: it spells elements the way the plan does, takes half the time, and it alone
shows the table's comment, which says whose table it is (nft 1.0 leaves it out of JSON).
"""

import errno
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv6Address

from linkspan.kernel.native import Nftables, NftablesError, Output
from linkspan.plan.nftables import FAMILY, TABLE, comment
from linkspan.plan.objects import (
    FirewallObject,
    KernelObject,
    Key,
    NftChain,
    NftElement,
    NftObject,
    NftRule,
    NftSet,
    NftTable,
    mark_engine,
)
from linkspan.plan.observation import Foreign
from linkspan.plan.operations import Operation, OperationFailedError, Verb
from linkspan.plan.ruleset import nft_script, nft_statements

_TABLE = f"{FAMILY} {TABLE}"
_PRIORITY: Mapping[str, str] = {"raw": "-300", "dstnat": "-100", "filter": "0", "srcnat": "100"}

_TABLE_COMMENT = re.compile(r'\n\tcomment "([^"]*)"')
_BLOCK = re.compile(r"^\t(set|map|chain) (\S+) \{\n(.*?)^\t\}$", re.MULTILINE | re.DOTALL)
_TYPE = re.compile(r"^\t\ttype ([^:\n]+?)(?: : ([^\n]+))?$", re.MULTILINE)
_FLAGS = re.compile(r"^\t\tflags ([^\n]+)$", re.MULTILINE)
_ELEMENTS = re.compile(r"^\t\telements = \{(.*)\}", re.MULTILINE | re.DOTALL)
_ELEMENT = re.compile(r'\s*(.+?)(?: comment "([^"]*)")?(?: : (.+?))?\s*')
_DOTTED = re.compile(r"\d\.\d")
_EMBEDDED_IPV4 = re.compile(r"(?<![\w:])[0-9a-f:]*:\d+\.\d+\.\d+\.\d+")
_RULE = re.compile(r'(.*?)(?: comment "([^"]*)")?')
_COUNTED = re.compile(r"counter packets \d+ bytes \d+")
_DIGEST = re.compile(r" #[0-9a-f]{6}$")
_REASON = re.compile(r"^.*Error: (?:Could not process rule: )?")
_WHERE = re.compile(r"^(.*)\n( *)(\^[\^~]*)", re.MULTILINE)


class NftablesFirewall:
    """`kernel.firewall.Firewall` through libnftables, for the engine with that id."""

    tables = (TABLE,)

    def __init__(self, engine_id: str) -> None:
        self._engine = engine_id[:12]
        self._nft = Nftables()

    def apply(self, operations: Sequence[Operation]) -> None:
        """All or none, in one transaction. Raises `OperationFailedError`."""
        try:
            self._run(operations)
        except OperationFailedError as error:
            if error.errno != errno.ENOENT or all(op.verb is Verb.ADD for op in operations):
                raise
            self._run(_still_needed(operations, {item.key for item in _objects(self._listing())}))

    def _run(self, operations: Sequence[Operation]) -> None:
        if not operations:
            return
        try:
            self._nft.run(nft_script(operations))
        except NftablesError as error:
            complaint = str(error.strerror)
            reason = _REASON.sub("", complaint.splitlines()[0])
            refused = _refused(operations, complaint)
            raise OperationFailedError(refused, (), errno=error.errno or errno.EIO, reason=reason) from error

    def observe(self, desired: Sequence[KernelObject]) -> tuple[Sequence[FirewallObject], Sequence[Foreign]]:
        """The table as objects, equal to those desired where nothing changed; someone else's table is foreign."""
        listing = self._listing()
        if not listing:
            return (), ()
        found = _TABLE_COMMENT.search(listing)
        owner = found[1] if found else ""
        if mark_engine(owner) != self._engine:
            return (), (Foreign("nftables table", _TABLE, owner),)
        wanted = {item.key: item for item in desired if isinstance(item, NftSet | NftChain)}
        objects = [_as_desired(item, wanted.get(item.key)) for item in _objects(listing)]
        if any(isinstance(item, NftSet) and wanted.get(item.key, item) != item for item in objects):
            # Another version's table. A set's type cannot be changed while rules use it: the whole table is replaced.
            return (NftTable(f"{owner} (another layout)"),), ()
        return objects, ()

    def _listing(self) -> str:
        """The table as text; empty when there is none."""
        try:
            return self._nft.run(f"list table {_TABLE}", Output.NUMERIC_PRIO)
        except NftablesError as error:
            if error.errno == errno.ENOENT:
                return ""
            raise

    def close(self) -> None:
        """Free the library's context; the table stays."""
        self._nft.close()


def _still_needed(operations: Iterable[Operation], present: set[Key]) -> list[Operation]:
    """Without removals of what is gone; a replacement of what is gone becomes an addition."""
    needed = []
    for operation in operations:
        gone = operation.object.key not in present
        if operation.verb is Verb.REPLACE and gone:
            needed.append(Operation(Verb.ADD, operation.object))
        elif operation.verb is not Verb.REMOVE or not gone:
            needed.append(operation)
    return needed


def _refused(operations: Sequence[Operation], complaint: str) -> Operation:
    """The operation nft complains about: it repeats the statement and underlines the part that was refused."""
    where = _WHERE.search(complaint)
    if where is None:
        return operations[0]
    statement, start, length = where[1], len(where[2]), len(where[3])
    underlined = statement[start : start + length].strip(" {},")

    def is_meant(operation: Operation) -> bool:
        item = operation.object
        if isinstance(item, NftElement) and f" element {_TABLE} {item.set} {{" in statement:
            return underlined == item.item or underlined.startswith(f"{item.item} ")
        return statement in nft_statements(operation)

    return next((operation for operation in operations if is_meant(operation)), operations[0])


def _objects(listing: str) -> Iterator[NftObject]:
    """Everything in a listing of our table. Rules come with the label that is in their comment."""
    if not listing:
        return
    found = _TABLE_COMMENT.search(listing)
    yield NftTable(found[1] if found else "")
    for kind, name, body in _BLOCK.findall(listing):
        if kind == "chain":
            yield _Chain.parse(name, body).value
        else:
            yield from _set(name, body)


def _set(name: str, body: str) -> Iterator[NftSet | NftElement]:
    kind, flags = _TYPE.search(body), _FLAGS.search(body)
    if kind is not None:
        yield NftSet(name, kind[1], kind[2] or "", flags is not None and "interval" in flags[1])
        if "ipv6_addr" in kind[0] and _DOTTED.search(body):
            body = _EMBEDDED_IPV4.sub(lambda match: str(IPv6Address(match[0])), body)
    elements = _ELEMENTS.search(body)
    for text in elements[1].split(",") if elements else ():
        if (match := _ELEMENT.fullmatch(text)) is not None:
            item, owner, value = match.groups(default="")
            yield NftElement(name, item, value, owner)


@dataclass(frozen=True, slots=True)
class _Chain:
    """A chain as it is listed: what the plan's would have to be spelled like."""

    name: str
    hook: str
    texts: tuple[str, ...]
    comments: tuple[str, ...]

    @classmethod
    def parse(cls, name: str, body: str) -> "_Chain":
        lines = [line.strip() for line in body.splitlines()]
        hook = lines.pop(0) if lines and lines[0].startswith("type ") else ""
        rules = [match.groups(default="") for line in lines if (match := _RULE.fullmatch(line)) is not None]
        return cls(name, hook, tuple(_COUNTED.sub("counter", text) for text, _ in rules), tuple(c for _, c in rules))

    @property
    def value(self) -> NftChain:
        pairs = zip(self.texts, self.comments, strict=True)
        return NftChain(self.name, self.hook, tuple(NftRule(text, comment) for text, comment in pairs))


def _as_desired(item: NftObject, desired: KernelObject | None) -> NftObject:
    """A chain that is as desired is returned as it was desired: nft may spell the same rules in another way."""
    if not isinstance(item, NftChain):
        return item
    hook = item.hook
    if isinstance(desired, NftChain) and hook == _numeric(desired.hook):
        hook = desired.hook
        if tuple(rule.label for rule in item.rules) == tuple(comment(rule) for rule in desired.rules):
            return desired
    rules = tuple(replace(rule, label=_DIGEST.sub("", rule.label)) for rule in item.rules)
    return NftChain(item.name, hook, rules)


def _numeric(hook: str) -> str:
    return re.sub(r"priority (\w+)", lambda match: f"priority {_PRIORITY.get(match[1], match[1])}", hook)
