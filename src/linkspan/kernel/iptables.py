"""The iptables backend: one `iptables-restore --noflush` for each family and run, and both families read back.

`iptables-restore` is atomic for a table, not for a run. So what has to be all or nothing is made so here: when a run
fails, the rules are read back, commands that have nothing left to do are dropped and the rest is tried once more; when
that fails too, what was done is taken back, in the other family as well.
"""

import errno
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from linkspan.kernel.links import ipv6_exists
from linkspan.kernel.process import ToolError, run_tool
from linkspan.model.addressing import VERSIONS, Version
from linkspan.model.errors import UnavailableError
from linkspan.plan.firewall import Transit
from linkspan.plan.iptables import CLAIM, FIRST, LAST, OURS, STAGE_1, TRANSIT, USER, Iptables, Place, claim
from linkspan.plan.objects import FirewallObject, IptablesChain, IptablesObject, IptablesRule, KernelObject
from linkspan.plan.observation import Foreign
from linkspan.plan.operations import Operation, OperationFailedError, undo
from linkspan.plan.ruleset import IptablesCommand, iptables_commands, restore_input

_PROGRAM: Mapping[Version, str] = {4: "iptables", 6: "ip6tables"}
_EMPTY = "".join(f"*{table}\nCOMMIT\n" for table in ("filter", "nat", "raw"))

_Tables: TypeAlias = dict[str, dict[str, list[str]]]
"""What `iptables-save` prints: rules by table and chain."""

_TRANSIT = tuple(Transit(VERSIONS, br_netfilter) for br_netfilter in (True, False))
_BASE = {
    item.key
    for proxy in (True, False)
    for transit in _TRANSIT
    for item in Iptables(userland_proxy=proxy, transit=transit).base("")
}
"""What exists whatever networks there are, and is not missed in a family that the kernel does not have."""

_ERRNOS: tuple[tuple[str, int], ...] = (
    ("Permission denied", errno.EPERM),
    ("already exists", errno.EEXIST),
    ("Device or resource busy", errno.EBUSY),
    ("Resource temporarily unavailable", errno.EAGAIN),
    ("Another app is currently holding the xtables lock", errno.EAGAIN),
    ("does a matching rule exist", errno.ENOENT),
    ("does not exist", errno.ENOENT),
    ("No chain/target/match", errno.ENOENT),
)
_LINE = re.compile(r"\bline:? (\d+)")
_QUOTED = re.compile(r"['`\"]([^'`\"]+)['\"]")


class IptablesFirewall:
    """`kernel.firewall.Firewall` through iptables and ip6tables.

    Rules carry no mark: Docker's chains belong to one engine of a machine, and a chain named after it says to which.
    Chains of another engine, or of Docker itself, are in the way. Raises `UnavailableError` when iptables
    does not work; without ip6tables, networks without IPv6 do.
    """

    tables = ("raw", "filter", "nat")

    def __init__(self, engine_id: str) -> None:
        _require(4)
        self._claim = claim(engine_id)
        self._versions: list[Version] = [4]
        if ipv6_exists():
            try:
                _require(6)
                self._versions.append(6)
            except UnavailableError as error:
                self._why_not_6 = error.message
        else:
            self._why_not_6 = "the kernel has no IPv6"

    def apply(self, operations: Sequence[Operation]) -> None:
        """All or none. Raises `OperationFailedError`."""
        done: list[Version] = []
        for version in VERSIONS:
            try:
                self._change(operations, version)
            except OperationFailedError as error:
                for other in done:
                    self._take_back(operations, other, error)
                raise
            done.append(version)

    def _change(self, operations: Sequence[Operation], version: Version) -> None:
        commands = iptables_commands(operations, version)
        if not commands:
            return
        if version not in self._versions:
            self._skip(operations, version)
            return
        try:
            _restore(commands, version)
            return
        except ToolError as error:
            failure, attempt = error, commands
        needed = _still_needed(commands, _read(version))
        if needed != commands:
            try:
                _restore(needed, version)
                return
            except ToolError as error:
                failure, attempt = error, needed
        refused = _refused(operations, attempt, version, failure)
        self._take_back(operations, version, refused)
        raise refused from failure

    def _skip(self, operations: Iterable[Operation], version: Version) -> None:
        for operation in operations:
            item = operation.object
            if isinstance(item, IptablesChain | IptablesRule) and item.version == version and item.key not in _BASE:
                raise OperationFailedError(operation, (), errno=errno.EAFNOSUPPORT, reason=self._why_not_6)

    def _take_back(self, operations: Sequence[Operation], version: Version, error: OperationFailedError) -> None:
        """Undo what is there of `operations`; a failure is noted in `error`, which is reported anyway."""
        if version not in self._versions:
            return
        commands = _still_needed(iptables_commands(undo(operations), version), _read(version))
        try:
            _restore(commands, version)
        except ToolError as failure:
            error.add_note(f"and what {_PROGRAM[version]} had done could not be taken back: {failure.stderr.strip()}")

    def observe(self, desired: Sequence[KernelObject]) -> tuple[Sequence[FirewallObject], Sequence[Foreign]]:
        """Our chains with their rules, and our rules in the kernel's own chains.

        A rule in the wrong place has the opposite of its desired `insert`, so that it is taken off and put back.
        """
        wanted = [item for item in desired if isinstance(item, IptablesChain | IptablesRule)]
        found: list[IptablesObject] = []
        foreign: list[Foreign] = []
        for version in VERSIONS:
            own = [item for item in wanted if item.version == version]
            if version in self._versions:
                tables = _read(version)
                found += _observe(tables, own, version)
                if version == self._claim.version:
                    claims = [name for name in tables.get("raw", {}) if name.startswith(CLAIM)]
                    found += (self._claim for name in claims if name == self._claim.name)
                    foreign += _others(claims, self._claim.name, tables)
            else:
                found += (item for item in own if item.key in _BASE)
        return found, foreign

    def close(self) -> None:
        """Nothing is held between runs; the rules stay."""
        return


def _require(version: Version) -> None:
    program = _PROGRAM[version]
    try:
        run_tool([f"{program}-restore", "--noflush", "--test"], _EMPTY)
    except ToolError as error:
        raise UnavailableError(
            f"{program} does not work: {error.stderr.strip()}",
            hint="load the modules of iptables (filter, nat, raw), or use the nftables backend",
        ) from error


def _restore(commands: Iterable[IptablesCommand], version: Version) -> None:
    if script := restore_input(commands):
        run_tool([f"{_PROGRAM[version]}-restore", "--noflush", "--wait=10"], script)


def _read(version: Version) -> _Tables:
    tables: _Tables = {}
    chains: dict[str, list[str]] = {}
    for line in run_tool([f"{_PROGRAM[version]}-save"]).splitlines():
        match line[:1]:
            case "*":
                chains = tables.setdefault(line[1:], {})
            case ":":
                chains.setdefault(line[1:].split()[0], [])
            case "-":
                _, chain, spec = line.split(maxsplit=2)
                chains.setdefault(chain, []).append(spec)
    return tables


def _still_needed(commands: Iterable[IptablesCommand], tables: _Tables) -> list[IptablesCommand]:
    """The commands that still have something to do, each judged after the ones before it."""
    return [command for command in commands if _simulate(command, tables.setdefault(command.table, {}))]


def _simulate(command: IptablesCommand, chains: dict[str, list[str]]) -> bool:
    """Perform a command on `chains`; False when there is nothing to do."""
    verb, chain, *rest = command.text.split(maxsplit=2)
    match verb:
        case "-N":
            new = chain not in chains
            chains.setdefault(chain, [])
            return new
        case "-F":
            held = bool(chains.get(chain))
            chains[chain] = []
            return held
        case "-X":
            return chains.pop(chain, None) is not None
    rules, spec = chains.setdefault(chain, []), rest[0]
    if verb == "-D":
        if spec not in rules:
            return False
        rules.remove(spec)
        return True
    if spec in rules:
        return False
    rules.insert(0 if verb == "-I" else len(rules), spec)
    return True


def _refused(
    operations: Sequence[Operation], commands: Sequence[IptablesCommand], version: Version, error: ToolError
) -> OperationFailedError:
    """Which operation the failure is about, from the number of the line that the tool names."""
    complaint = error.stderr.strip()
    number = next((code for text, code in _ERRNOS if text in complaint), errno.EINVAL)
    table, text = _blamed(restore_input(commands).splitlines(), complaint)
    own = [op for op in operations if any(c.table == table for c in iptables_commands([op], version))] or operations
    exact = (op for op in own if any(text == command.text for command in iptables_commands([op], version)))
    named = (op for op in own for word in _QUOTED.findall(complaint) if word in str(op.object))
    refused = next(exact, None) or next(named, own[0])
    reason = f"{_PROGRAM[version]}-restore: {complaint.splitlines()[0] if complaint else 'no reason given'}"
    return OperationFailedError(refused, (), errno=number, reason=reason)


def _blamed(lines: Sequence[str], complaint: str) -> tuple[str, str]:
    """The table and the command in the line that the tool names. What is refused at last has the line of COMMIT."""
    line = _LINE.search(complaint)
    number = int(line[1]) if line else 0
    tables = [line.removeprefix("*") for line in lines[:number] if line.startswith("*")]
    return tables[-1] if tables else "", lines[number - 1] if 0 < number <= len(lines) else ""


def _others(claims: Sequence[str], own: str, tables: _Tables) -> Iterator[Foreign]:
    yield from (Foreign("iptables chain", name, name) for name in claims if name != own)
    if not claims and "DOCKER" in tables.get("nat", {}):
        yield Foreign("iptables chain", "DOCKER", "")


def _observe(tables: _Tables, desired: Sequence[IptablesObject], version: Version) -> Iterator[IptablesObject]:
    wanted = {(item.table, item.chain, item.spec): item for item in desired if isinstance(item, IptablesRule)}
    seen = [spec for table, chain in OURS if chain != USER for spec in tables.get(table, {}).get(chain, ())]
    shapes = _shapes([*seen, *(spec for _, _, spec in wanted)])
    for table, chains in tables.items():
        for chain, specs in chains.items():
            ours = (table, chain) in OURS
            if ours:
                yield IptablesChain(version, table, chain, kept=chain == USER)
            if chain == USER:
                continue
            kept = [rule for spec in specs if (rule := wanted.get((table, chain, spec))) is not None]
            yield from _in_their_places(kept, (table, chain), lowest=specs[-1] if specs else "")
            for spec in specs:
                stale = ours or shapes.fullmatch(f"{table} {chain} {spec}") is not None
                if stale and (table, chain, spec) not in wanted:
                    yield IptablesRule(version, table, chain, spec)


def _in_their_places(rules: Sequence[IptablesRule], place: Place, lowest: str) -> Iterator[IptablesRule]:
    """Rules of one chain, as desired but for their order; those in a wrong place have `insert` turned round."""
    first = [spec for spec in FIRST.get(place, ()) if any(rule.spec == spec for rule in rules)]
    raised = [rule.spec for rule in rules[: len(first)]] == first
    # Only in our own chains is the rest in two parts; in the kernel's a stranger's rule may stand anywhere between.
    last_inserted = max((n for n, rule in enumerate(rules) if rule.insert), default=-1) if place in OURS else -1
    for position, rule in enumerate(rules):
        misplaced = not raised if rule.spec in first else not rule.insert and position < last_inserted
        misplaced = misplaced or (rule.spec == LAST.get(place) != lowest)
        yield replace(rule, insert=not rule.insert) if misplaced else rule


def _shapes(specs: Iterable[str]) -> re.Pattern[str]:
    """What our rules in the kernel's own chains look like, so that those of a forgotten network are found.

    The bridges are those in `specs` and all whose name is made from the id of a network. Nothing else is ours: a
    person's rule for one of our bridges has another shape.
    """
    bridges = {match for spec in specs for match in re.findall(r"-[io] (\S+)", spec)} - {"lo"}
    br = "(?P<br>" + "|".join(["br-[0-9a-f]{12}", *sorted(map(re.escape, bridges))]) + ")"
    service = r"-p (?P<proto>tcp|udp|sctp) -m (?P=proto) --dport \d+(:\d+)?"
    shapes = (
        rf"filter FORWARD -o {br} (-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT|-j DOCKER)",
        rf"filter FORWARD -i {br} ! -o (?P=br) -j ACCEPT",
        rf"filter FORWARD ! -i {br} -o (?P=br) -m conntrack ! --ctstate DNAT -j DROP",
        rf"filter FORWARD -i {br} -o (?P=br) (-m conntrack (! )?--ctstate DNAT )?-j (ACCEPT|DROP)",
        rf"filter FORWARD -j ({USER}|{STAGE_1}|{TRANSIT})",
        r"nat (PREROUTING|OUTPUT) (! -d \S+ )?-m addrtype --dst-type LOCAL -j DOCKER",
        rf"nat POSTROUTING -s \S+ ! -o {br} -j MASQUERADE",
        rf"nat POSTROUTING -o {br} -m addrtype --src-type LOCAL -j MASQUERADE",
        rf"nat POSTROUTING -s (?P<net>\S+) -d (?P=net) (-m conntrack --ctstate DNAT|{service}) -j MASQUERADE",
        rf"raw PREROUTING -d \S+ ! -i {br} -j DROP",
        r"raw PREROUTING -[sd] 127\.0\.0\.0/8 ! -i lo -j DROP",
    )
    return re.compile("|".join(re.sub(r"\?P(<|=)(br)", rf"?P\g<1>\g<2>{n}", shape) for n, shape in enumerate(shapes)))
