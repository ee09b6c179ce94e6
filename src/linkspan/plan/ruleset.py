"""Operations on the firewall as the scripts that perform them.

`nft_statements` and `iptables_commands` give one operation or run as lines; the kernel room joins them into one
transaction, and `render.py` shows them to people, so what is shown is what is done.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from linkspan.model.addressing import Version
from linkspan.plan.iptables import FIRST, Place
from linkspan.plan.nftables import FAMILY, TABLE, comment
from linkspan.plan.objects import IptablesChain, IptablesRule, NftChain, NftElement, NftObject, NftSet, NftTable
from linkspan.plan.operations import Operation, Verb

_OURS = f"{FAMILY} {TABLE}"
_AT_ONCE = 500
"""Elements in one statement."""


def nft_script(operations: Iterable[Operation]) -> str:
    """The transaction for libnftables. What follows from the removal of the whole table is not said."""
    wanted = [op for op in without_contents(operations) if is_nft(op)]
    return "".join(f"{line}\n" for line in _grouped(wanted))


def is_nft(operation: Operation) -> bool:
    """Whether nft performs the operation."""
    return isinstance(operation.object, NftTable | NftSet | NftChain | NftElement)


def without_contents(operations: Iterable[Operation]) -> list[Operation]:
    """Without the removals that follow from the removal of the whole table."""
    held = list(operations)
    if any(isinstance(op.object, NftTable) and op.verb is Verb.REMOVE for op in held):
        return [op for op in held if isinstance(op.object, NftTable) or not is_nft(op)]
    return held


def _grouped(operations: Sequence[Operation]) -> Iterator[str]:
    """Neighbouring elements of one set share a statement: parsing twenty thousand statements would take seconds."""
    for (verb, name), group in groupby(operations, _group):
        run = list(group)
        if not name or verb is Verb.REPLACE:
            for operation in run:
                yield from nft_statements(operation)
            continue
        word = "add" if verb is Verb.ADD else "delete"
        for start in range(0, len(run), _AT_ONCE):
            elements = (op.object for op in run[start : start + _AT_ONCE] if isinstance(op.object, NftElement))
            spelled = ", ".join(_element(e) if verb is Verb.ADD else e.item for e in elements)
            yield f"{word} element {_OURS} {name} {{ {spelled} }}"


def _group(operation: Operation) -> tuple[Verb, str]:
    return operation.verb, operation.object.set if isinstance(operation.object, NftElement) else ""


def nft_statements(operation: Operation) -> Iterator[str]:
    """One operation in the words of nft."""
    item = operation.object
    assert isinstance(item, NftTable | NftSet | NftChain | NftElement)
    if operation.verb is Verb.ADD:
        yield from _add(item)
    elif operation.verb is Verb.REMOVE:
        yield from _delete(item)
    elif isinstance(item, NftChain) and isinstance(operation.previous, NftChain):
        yield from _replace_chain(item, operation.previous)
    else:
        yield from _delete(item)
        yield from _add(item)


def _add(item: NftObject) -> Iterator[str]:
    match item:
        case NftTable(owner=owner):
            yield f'add table {_OURS} {{ comment "{owner}"; }}'
        case NftSet(name=name):
            yield f"add {'map' if item.data else 'set'} {_OURS} {name} {{ {_set(item)} }}"
        case NftChain(name=name, hook=hook):
            yield f"add chain {_OURS} {name}" + (f" {{ {hook} }}" if hook else "")
            yield from _rules(item)
        case NftElement(set=name):
            yield f"add element {_OURS} {name} {{ {_element(item)} }}"


def _delete(item: NftObject) -> Iterator[str]:
    match item:
        case NftTable():
            yield f"delete table {_OURS}"
        case NftSet(name=name):
            yield f"delete {'map' if item.data else 'set'} {_OURS} {name}"
        case NftChain(name=name):
            yield f"flush chain {_OURS} {name}"
            yield f"delete chain {_OURS} {name}"
        case NftElement(set=name):
            yield f"delete element {_OURS} {name} {{ {item.item} }}"


def _replace_chain(item: NftChain, previous: NftChain) -> Iterator[str]:
    """All rules anew, in the same transaction; the chain itself only when it hooks in elsewhere."""
    if item.hook != previous.hook:
        yield from _delete(previous)
        yield from _add(item)
    else:
        yield f"flush chain {_OURS} {item.name}"
        yield from _rules(item)


def _rules(chain: NftChain) -> Iterator[str]:
    for rule in chain.rules:
        yield f'add rule {_OURS} {chain.name} {rule.text} comment "{comment(rule)}"'


def _set(item: NftSet) -> str:
    kind = f"{item.type} : {item.data}" if item.data else item.type
    return f"type {kind};" + (" flags interval;" if item.interval else "")


def _element(item: NftElement) -> str:
    value = f" : {item.value}" if item.value else ""
    return f'{item.item} comment "{item.owner}"{value}'


@dataclass(frozen=True, slots=True)
class IptablesCommand:
    """One command to a table, without `-t`."""

    table: str
    text: str


_Rules: TypeAlias = Sequence[tuple[Verb, IptablesRule]]


def restore_input(commands: Iterable[IptablesCommand]) -> str:
    """The input of `iptables-restore --noflush`, one transaction for each table; empty when there is nothing to do."""
    tables: dict[str, list[str]] = {}
    for command in commands:
        tables.setdefault(command.table, []).append(command.text)
    return "".join(f"*{table}\n" + "\n".join(lines) + "\nCOMMIT\n" for table, lines in tables.items())


def iptables_commands(operations: Iterable[Operation], version: Version) -> list[IptablesCommand]:
    """The commands of a run for one family, in order. `FIRST` rules go back on top of what is inserted."""
    commands: list[IptablesCommand] = []
    touched: dict[Place, dict[str, Verb]] = {}
    for operation in operations:
        match operation.object:
            case IptablesChain() as chain if chain.version == version:
                commands += (IptablesCommand(chain.table, text) for text in _chain(chain, operation.verb))
            case IptablesRule() as rule if rule.version == version:
                place = (rule.table, rule.chain)
                if operation.verb is not Verb.REMOVE and rule.insert and place in FIRST:
                    touched.setdefault(place, {})
                if rule.spec in FIRST.get(place, ()):
                    touched.setdefault(place, {})[rule.spec] = operation.verb
                else:
                    commands += (IptablesCommand(rule.table, text) for text in _rule(rule, operation.verb))
    raised = [command for place, verbs in touched.items() for command in _raise(place, verbs)]
    if any(verb is Verb.REMOVE for verbs in touched.values() for verb in verbs.values()):
        return raised + commands  # the chains they jump to may go
    return commands + raised


def _chain(chain: IptablesChain, verb: Verb) -> Iterator[str]:
    if verb is Verb.ADD:
        yield f"-N {chain.name}"
    elif verb is Verb.REMOVE and not chain.kept:
        yield f"-F {chain.name}"
        yield f"-X {chain.name}"


def _rule(rule: IptablesRule, verb: Verb) -> Iterator[str]:
    if verb is not Verb.ADD:
        yield f"-D {rule.chain} {rule.spec}"
    if verb is not Verb.REMOVE:
        yield f"-{'I' if rule.insert else 'A'} {rule.chain} {rule.spec}"


def _raise(place: Place, verbs: dict[str, Verb]) -> Iterator[IptablesCommand]:
    """Put the first rules of a chain on top, in order: those that are there already are taken off before."""
    table, chain = place
    inserted = any(verb is not Verb.REMOVE for verb in verbs.values()) or not verbs
    for spec in reversed(FIRST[place]):
        verb = verbs.get(spec)
        if verb is not Verb.ADD and (inserted or verb is Verb.REMOVE):
            yield IptablesCommand(table, f"-D {chain} {spec}")
        if verb is not Verb.REMOVE and inserted:
            yield IptablesCommand(table, f"-I {chain} {spec}")
