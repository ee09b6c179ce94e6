"""Operations on links, addresses and routes, as batches of rtnetlink requests.

A run is a sequence of operations in one namespace. Its links are looked up by name first, with one system call for
all: indexes are never remembered from one run to the next, so a link that was made anew is never mistaken for the old
one. A name that is taken is found out before anything is sent, because the request that follows the creation of a link,
and puts our mark on it, goes by name and would hit the stranger. Both go out together, so that a crash leaves no link
without its mark.
"""

import errno
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from linkspan.kernel import rtnl
from linkspan.kernel.netlink import NetlinkError, Request, Socket
from linkspan.kernel.outcome import Outcome, failure, tolerated
from linkspan.kernel.rtnl import Link
from linkspan.kernel.sockets import Sockets
from linkspan.model.addressing import IPV6_MIN_MTU
from linkspan.plan.objects import HOST, Address, Bridge, Route, Up, Veth, mark_engine
from linkspan.plan.operations import Operation, Verb

RtnlObject: TypeAlias = Bridge | Veth | Address | Up | Route


def in_namespace(item: RtnlObject) -> str:
    """The namespace whose socket performs operations on `item`; a pair is made from its host end."""
    return HOST if isinstance(item, Bridge | Veth) else item.where


def look_up(socket: Socket, names: Iterable[str]) -> dict[str, Link]:
    """The links that exist, by name. Raises NetlinkError for anything but "no such link"."""
    wanted = list(dict.fromkeys(names))
    found: dict[str, Link] = {}
    for name, answer in zip(wanted, socket.exchange([rtnl.get_link(name) for name in wanted]), strict=True):
        if answer.error is None:
            found[name] = rtnl.parse_link(answer.replies[0])
        elif answer.error.errno != errno.ENODEV:
            raise answer.error
    return found


def _names(item: RtnlObject) -> tuple[str, ...]:
    match item:
        case Bridge(name=name):
            return (name,)
        case Veth(name=name, bridge=bridge):
            return (name, bridge)
        case Address(link=link) | Route(link=link):
            return (link,)
        case Up():
            return ()


class Run:
    """One run of operations in one namespace. `outcomes` are those tried so far."""

    def __init__(self, sockets: Sockets, where: str) -> None:
        self._sockets = sockets
        self._namespaces = sockets.namespaces
        self._socket = sockets.inside(where)
        self._links: dict[str, Link] = {}
        self._new: set[str] = set()
        self._pending: list[tuple[Operation, list[Request]]] = []
        self._descriptors: list[int] = []
        self.outcomes: list[Outcome] = []

    def perform(self, operations: Sequence[Operation], *, tolerant: bool) -> list[Outcome]:
        """Perform them in order; unless tolerant, nothing is sent after the first that is known to fail."""
        items = [operation.object for operation in operations]
        self._links = look_up(self._socket, (n for i in items if isinstance(i, RtnlObject) for n in _names(i) if n))
        try:
            for operation in operations:
                self._prepare(operation)
                if self._failed(tolerant=tolerant):
                    break
            self._flush()
        finally:
            self._release()
        return self.outcomes

    def _prepare(self, operation: Operation) -> None:
        try:
            requests = list(self._requests(operation))  # may flush, so it must not be inside the call below
        except OSError as error:
            self._flush()
            self.outcomes.append(Outcome(operation, error))
        else:
            self._pending.append((operation, requests))

    def _failed(self, *, tolerant: bool) -> bool:
        return not tolerant and any(
            error and not tolerated(operation, error, tolerant=False) for operation, error in self.outcomes
        )

    def _flush(self) -> None:
        """Send what is pending and record what became of it."""
        pending, self._pending = self._pending, []
        answers = iter(self._socket.exchange([request for _, requests in pending for request in requests]))
        for operation, requests in pending:
            errors = [next(answers).error for _ in requests]
            error = next((error for error in errors if error is not None), None)
            if error is not None and errors[0] is None:
                self._withdraw(operation)
            self.outcomes.append(Outcome(operation, error))
        self._release()

    def _release(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _withdraw(self, operation: Operation) -> None:
        """A link that was made but could not be set up goes again."""
        if operation.verb is Verb.ADD and isinstance(operation.object, Bridge | Veth):
            self._socket.exchange([rtnl.del_link(operation.object.name)])

    def _index(self, name: str) -> int:
        if name in self._new:
            self._flush()
            self._links.update(look_up(self._socket, self._new))
            self._new.clear()
        if name not in self._links:
            raise failure(errno.ENODEV, f"there is no interface {name}")
        return self._links[name].ifindex

    def _requests(self, operation: Operation) -> Iterator[Request]:
        adding = operation.verb is Verb.ADD
        match operation.object:
            case Bridge() as bridge:
                yield from self._add_bridge(bridge) if adding else self._set_bridge(bridge)
            case Veth() as veth:
                yield from self._add_veth(veth) if adding else self._replace_veth(veth, operation.previous)
            case Address() as address:
                yield from self._address(address, operation)
            case Up(link=link):
                yield rtnl.set_link(link, up=operation.verb is not Verb.REMOVE)
            case Route(destination=destination, gateway=gateway, link=link):
                index = self._index(link)
                if operation.verb is Verb.REMOVE:
                    yield rtnl.del_route(destination, gateway, index)
                else:
                    yield rtnl.new_route(destination, gateway, index, replace=not adding)

    def _address(self, address: Address, operation: Operation) -> Iterator[Request]:
        index = self._index(address.link)
        if operation.verb is Verb.REMOVE:
            yield rtnl.del_address(index, address.interface)
            return
        if isinstance(operation.previous, Address):
            yield rtnl.del_address(index, operation.previous.interface)
        yield rtnl.new_address(index, address.interface)

    def _require_free(self, name: str) -> None:
        if name in self._links:
            raise failure(errno.EEXIST, f"an interface named {name} exists")
        self._new.add(name)

    def _add_bridge(self, bridge: Bridge) -> Iterator[Request]:
        self._require_free(bridge.name)
        # The MTU of a bridge follows that of its ports until it is changed once: so it is made with another one.
        yield rtnl.new_bridge(bridge.name, bridge.mac, bridge.mtu + 1 if bridge.mtu < IPV6_MIN_MTU else bridge.mtu - 1)
        yield rtnl.set_link(bridge.name, rtnl.alias(bridge.owner), rtnl.mtu(bridge.mtu))

    def _set_bridge(self, bridge: Bridge) -> Iterator[Request]:
        yield rtnl.set_link(bridge.name, rtnl.alias(bridge.owner), rtnl.mac(bridge.mac), rtnl.mtu(bridge.mtu))

    def _add_veth(self, veth: Veth) -> Iterator[Request]:
        self._require_free(veth.name)
        yield from self._make_veth(veth)

    def _make_veth(self, veth: Veth, *, up: bool | None = None) -> Iterator[Request]:
        bridge = self._index(veth.bridge)
        namespace = os.open(self._namespaces.path(veth.where), os.O_RDONLY | os.O_CLOEXEC)
        self._descriptors.append(namespace)  # it has to be open when the request is sent
        yield rtnl.new_veth(veth.name, bridge, veth.mtu, peer=veth.peer, peer_mac=veth.mac, peer_namespace=namespace)
        settings = [rtnl.alias(veth.owner), rtnl.port(hairpin=veth.hairpin, isolated=veth.isolated)]
        if ipv6_exists() and veth.mtu >= IPV6_MIN_MTU:
            settings.append(rtnl.no_automatic_address())
        yield rtnl.set_link(veth.name, *settings, up=up)

    def _replace_veth(self, veth: Veth, previous: object) -> Iterator[Request]:
        assert isinstance(previous, Veth)
        self._index(veth.name)
        if (previous.where, previous.peer) != (veth.where, veth.peer):
            # Renamed, or moved away. Everything the plan put on the other end is under the old name, so it is
            # added again; the host end's state is not, and is kept.
            up = self._links[veth.name].up
            yield rtnl.del_link(veth.name)
            yield from self._make_veth(veth, up=True if up else None)
            return
        if (previous.mac, previous.mtu) != (veth.mac, veth.mtu):
            self._sockets.inside(veth.where).call(rtnl.set_link(veth.peer, rtnl.mac(veth.mac), rtnl.mtu(veth.mtu)))
        yield rtnl.set_link(
            veth.name, rtnl.alias(veth.owner), rtnl.mtu(veth.mtu), rtnl.master(self._index(veth.bridge))
        )
        yield rtnl.set_link(veth.name, rtnl.port(hairpin=veth.hairpin, isolated=veth.isolated))


def remove_links(socket: Socket, operations: Sequence[Operation]) -> list[Outcome]:
    """Delete bridges and veth pairs, all in one of the kernel's grace periods (10 to 50 ms).

    Only what carries the mark of the same engine is deleted: under a name that was ours a stranger may stand by now.
    The kernel deletes links together only by group, so they get one that nobody else has.
    """
    owners = {op.object.name: op.object.owner for op in operations if isinstance(op.object, Bridge | Veth)}
    links = [
        link
        for name, link in look_up(socket, owners).items()
        if mark_engine(link.alias) is not None and mark_engine(link.alias) == mark_engine(owners[name])
    ]
    error: NetlinkError | None = None
    if links:
        group = secrets.randbelow(1 << 31) + (1 << 30)
        requests = [rtnl.set_group(link.ifindex, group) for link in links]
        error = socket.exchange([*requests, rtnl.del_group(group)])[-1].error
    return [Outcome(operation, error) for operation in operations]


def ipv6_exists() -> bool:
    """Whether the kernel has IPv6 at all."""
    return Path("/proc/sys/net/ipv6").is_dir()
