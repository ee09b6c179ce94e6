"""A kernel's objects in memory: what Linux refuses, with the same errno, and what it lets go of by itself."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from linkspan.model.addressing import IPAddress, Version
from linkspan.model.ports import PortRange, Protocol
from linkspan.plan.objects import (
    HOST,
    Address,
    Bridge,
    HostPort,
    HostResolver,
    KernelObject,
    Key,
    Namespace,
    NftElement,
    Redirect,
    Resolver,
    Route,
    Sysctl,
    Up,
    Veth,
    mark_engine,
)
from linkspan.plan.operations import Operation, Verb

BRIDGE_PORTS = 1023

LinkName: TypeAlias = tuple[str, str]
"""The namespace and the name of a link."""

_UNREACHABLE: dict[Version, int] = {4: errno.ENETUNREACH, 6: errno.EHOSTUNREACH}


class RefusedError(Exception):
    """The kernel says no."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.errno = number


@dataclass(eq=False)
class Machine:
    """Objects by key. `taken` are ports of other processes; `strangers` are interfaces not ours, with their alias."""

    objects: dict[Key, KernelObject] = field(default_factory=dict)
    taken: set[tuple[Protocol, IPAddress, int]] = field(default_factory=set)
    strangers: dict[str, str] = field(default_factory=dict)
    _contents: dict[LinkName, dict[Key, None]] = field(default_factory=dict)
    _ports: dict[str, dict[Key, None]] = field(default_factory=dict)

    def perform(self, operation: Operation) -> None:
        """One operation, whole or not at all. Raises `RefusedError`."""
        item = operation.object
        match operation.verb:
            case Verb.REMOVE:
                if not self._is_anothers(item):
                    self.lose(item)
            case Verb.REPLACE:
                self._replace(item, operation.previous)
            case Verb.ADD:
                if item.key in self.objects and not isinstance(item, Up | Sysctl):  # these are set, not made
                    raise RefusedError(errno.EEXIST)
                self._check(item)
                self._put(item)

    def _is_anothers(self, item: KernelObject) -> bool:
        """Whether the link of that name has the mark of another engine by now."""
        held = self.objects.get(item.key)
        return isinstance(held, Bridge | Veth) and mark_engine(held.owner) != mark_engine(getattr(item, "owner", ""))

    def _check(self, item: KernelObject) -> None:
        """Refuse what lacks a parent, or takes what is taken."""
        match item:
            case Bridge(name=name):
                if name in self.strangers:
                    raise RefusedError(errno.EEXIST)
            case Veth():
                self._check_veth(item)
            case Address():
                self._require_link(item.where, item.link)
                self._require_ipv6(item)
            case Up(where=where, link=link):
                self._require_link(where, link)
            case Route():
                self._require_link(item.where, item.link)
                self._check_route(item)
            case Sysctl(where=where, link=link):
                self._require_namespace(where)
                if link and (where, link) not in self._contents:
                    raise RefusedError(errno.ENOENT)
            case _:
                self._check_service(item)

    def _check_service(self, item: KernelObject) -> None:
        match item:
            case NftElement(set=name) if ("nft set", name) not in self.objects:
                raise RefusedError(errno.ENOENT)
            case HostPort():
                self._check_port(item)
            case HostResolver(address=address, owner=owner):
                for protocol in (Protocol.UDP, Protocol.TCP):
                    self._check_port(HostPort(protocol, address, PortRange(53, 53), owner))
            case Redirect(where=where) | Resolver(sandbox=where):
                self._require_namespace(where)

    def _require_namespace(self, where: str) -> None:
        if where != HOST and ("namespace", where) not in self.objects:
            raise RefusedError(errno.ENOENT)

    def _require_link(self, where: str, link: str) -> None:
        self._require_namespace(where)
        if (where, link) not in self._contents:
            raise RefusedError(errno.ENODEV)

    def _require_ipv6(self, address: Address) -> None:
        if address.where != HOST and address.interface.version == 6:  # namespaces are made with IPv6 off
            setting = self.objects.get(("sysctl", address.where, f"net.ipv6.conf.{address.link}.disable_ipv6"))
            if not isinstance(setting, Sysctl) or setting.value != "0":
                raise RefusedError(errno.EACCES)

    def _check_veth(self, veth: Veth) -> None:
        if veth.name in self.strangers:
            raise RefusedError(errno.EEXIST)
        self._check_bridge_of(veth)
        self._require_namespace(veth.where)
        if (veth.where, veth.peer) in self._contents:
            raise RefusedError(errno.EEXIST)

    def _check_bridge_of(self, veth: Veth) -> None:
        if not isinstance(self.objects.get(("link", HOST, veth.bridge)), Bridge):
            raise RefusedError(errno.ENODEV)
        ports = self._ports.get(veth.bridge, {})
        if veth.key not in ports and len(ports) >= BRIDGE_PORTS:
            raise RefusedError(errno.EXFULL)

    def _check_route(self, route: Route) -> None:
        up = ("up", route.where, route.link) in self.objects
        near = (
            item.interface.network
            for item in self._on(route.where, route.link)
            if isinstance(item, Address) and item.interface.version == route.gateway.version
        )
        if not up or not any(route.gateway in network for network in near):
            raise RefusedError(_UNREACHABLE[route.gateway.version])

    def _check_port(self, port: HostPort) -> None:
        held = {
            (item.protocol, address, number)
            for item in self.objects.values()
            if isinstance(item, HostPort)
            for address in item.addresses
            for number in range(item.ports.first, item.ports.last + 1)
        }
        for protocol, address, number in self.taken | held:
            same = protocol is port.protocol and port.ports.first <= number <= port.ports.last
            if same and any(_collide(address, each) for each in port.addresses):
                raise RefusedError(errno.EADDRINUSE)

    def _replace(self, item: KernelObject, previous: KernelObject | None) -> None:
        match item, previous:
            case Bridge(), _:
                self._require_link(HOST, item.name)
            case Veth(), Veth():
                self._require_link(HOST, item.name)
                self._check_bridge_of(item)
                up = self.objects.get(("up", HOST, item.name))
                moved = (item.where, item.peer) != (previous.where, previous.peer)
                if moved:
                    self.lose(previous)
                    self._check_veth(item)
                self._put(item)
                if moved and up is not None:
                    self._put(up)
                return
            case ((Address() | Route() | Sysctl()), _):
                self._check(item)
        self._put(item)

    def _put(self, item: KernelObject) -> None:
        held = self.objects.get(item.key)
        match held:
            case Veth(bridge=bridge):
                self._ports.get(bridge, {}).pop(held.key, None)
            case Route(where=where, link=link):  # it may move to another link
                self._contents.get((where, link), {}).pop(held.key, None)
        self.objects[item.key] = item
        match item:
            case Bridge(name=name):
                self._contents.setdefault((HOST, name), {})
            case Veth():
                self._contents.setdefault((HOST, item.name), {})
                self._contents.setdefault((item.where, item.peer), {})
                self._ports.setdefault(item.bridge, {})[item.key] = None
            case Address() | Up() | Route() | Sysctl():
                self._contents.setdefault((item.where, item.link), {})[item.key] = None

    def _on(self, where: str, link: str) -> list[KernelObject]:
        return [self.objects[key] for key in self._contents.get((where, link), ())]

    def lose(self, item: KernelObject) -> None:
        """Take something away, with all that goes with it. Nothing happens when it is gone."""
        held = self.objects.pop(item.key, None)
        match held:
            case Namespace(id=id):
                self._lose_namespace(id)
            case Bridge(name=name):
                self._unplug(name)
                self._lose_link(HOST, name)
            case Veth():
                self._ports.get(held.bridge, {}).pop(held.key, None)
                self._lose_link(HOST, held.name)
                self._lose_link(held.where, held.peer)
            case (
                Address(where=where, link=link)
                | Up(where=where, link=link)
                | Route(where=where, link=link)
                | Sysctl(where=where, link=link)
            ):
                self._contents.get((where, link), {}).pop(held.key, None)
                self._follow(held)

    def _lose_namespace(self, id: str) -> None:
        for veth in [item for item in self.objects.values() if isinstance(item, Veth) and item.where == id]:
            self.lose(veth)
        inside = [item for item in self.objects.values() if isinstance(item, Sysctl | Redirect) and item.where == id]
        for item in inside:
            del self.objects[item.key]

    def _unplug(self, bridge: str) -> None:
        for key in self._ports.pop(bridge, {}):
            port = self.objects[key]
            assert isinstance(port, Veth)
            self._put(replace(port, bridge="", isolated=False, hairpin=False))

    def _follow(self, gone: KernelObject) -> None:
        """What a link loses when it goes down, and when it has no IPv4 address any more."""
        match gone:
            case Up(where=where, link=link):
                self._lose_some(where, link, lambda item: isinstance(item, Route) or _is_address(item, 6))
            case Address(where=where, link=link) if not any(_is_address(item, 4) for item in self._on(where, link)):
                self._lose_some(where, link, lambda item: isinstance(item, Route) and item.gateway.version == 4)

    def _lose_some(self, where: str, link: str, chosen: Callable[[KernelObject], bool]) -> None:
        for item in self._on(where, link):
            if chosen(item):
                self.lose(item)

    def _lose_link(self, where: str, link: str) -> None:
        for key in self._contents.pop((where, link), {}):
            del self.objects[key]


def _collide(left: IPAddress, right: IPAddress) -> bool:
    return left.version == right.version and (left == right or left.is_unspecified or right.is_unspecified)


def _is_address(item: KernelObject, version: Version) -> bool:
    return isinstance(item, Address) and item.interface.version == version
