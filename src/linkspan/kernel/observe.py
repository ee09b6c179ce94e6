"""Reading the kernel back: which objects of ours exist, as the plan would spell them.

What is ours is decided by marks: the alias of a link, the protocol number of an address or route, the directory of a
pinned namespace. Inside a sandbox an address or route that stands where the plan wants one counts too, whoever made it:
it is either right, or has to be replaced. `where` is the full id if `desired` has it, else the 12 digits of the pin.

Links inside a sandbox belong to its processes. Only the ends of our pairs are reported, found through the host ends:
the kernel names the other end by index and by a number for its namespace (`link-netnsid`), so a renamed end is still
recognised, and one that was moved away is missed.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from linkspan.kernel import rtnl, sysctls
from linkspan.kernel.netlink import Socket
from linkspan.kernel.rtnl import DEFAULT_METRIC, Link, LinkAddress, LinkRoute
from linkspan.kernel.sockets import Sockets
from linkspan.model.addressing import UNSPECIFIED, VERSIONS, Version
from linkspan.plan.objects import (
    HOST,
    PROTOCOL,
    Address,
    Bridge,
    KernelObject,
    Key,
    Namespace,
    Route,
    Sysctl,
    Up,
    Veth,
    mark_engine,
)
from linkspan.plan.observation import Foreign


@dataclass(frozen=True, slots=True)
class Listing:
    """What the kernel lists in one namespace."""

    links: dict[int, Link]
    addresses: list[LinkAddress]
    routes: list[LinkRoute]


@dataclass(slots=True)
class Wishes:
    """The desired objects, arranged for looking up."""

    keys: dict[Key, KernelObject]
    ids: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    settings: dict[str, list[Sysctl]] = field(default_factory=dict)
    route_versions: set[tuple[str, Version]] = field(default_factory=set)

    @classmethod
    def of(cls, desired: Iterable[KernelObject]) -> "Wishes":
        """Sort `desired` out."""
        wishes = cls({item.key: item for item in desired})
        for item in wishes.keys.values():
            match item:
                case Namespace(id=id):
                    wishes.ids[id[:12]] = id
                case Bridge(name=name) | Veth(name=name):
                    wishes.names.add(name)
                case Sysctl(where=where):
                    wishes.settings.setdefault(where, []).append(item)
                case Route(where=where, destination=destination):
                    wishes.route_versions.add((where, destination.version))
        return wishes


def observe_links(
    sockets: Sockets, engine: str, desired: Iterable[KernelObject]
) -> tuple[list[KernelObject], list[Foreign]]:
    """Namespaces, links, addresses, routes and settings of `engine`, and links that have a name of `desired`."""
    wishes = Wishes.of(desired)
    namespaces = sockets.namespaces
    pins = list(namespaces.pins())
    pinned = [wishes.ids.get(pin.name, pin.name) for pin in pins if pin.inode is not None]
    sockets.retain(pinned)
    sockets.open_all(pinned)
    host = _list(sockets.host, VERSIONS, PROTOCOL)
    inside = {sandbox: _list_sandbox(sockets.inside(sandbox), sandbox, wishes) for sandbox in pinned}

    found: list[KernelObject] = [Namespace(sandbox) for sandbox in pinned]
    # A plain file where no sandbox should be is reported, so that it is removed; elsewhere adding one is enough.
    found += [Namespace(pin.name) for pin in pins if pin.inode is None and pin.name not in wishes.ids]
    ours = {index: link for index, link in host.links.items() if _is_ours(link, engine)}
    numbers = _numbers(sockets, pinned)
    ends: dict[str, set[int]] = {sandbox: set() for sandbox in pinned}
    for link in ours.values():
        if link.kind == "bridge":
            found.append(Bridge(link.name, link.mac, link.mtu, link.alias))
        else:
            sandbox = numbers.get(link.peer_nsid)
            other = inside[sandbox].links.get(link.peer) if sandbox is not None else None
            if sandbox is not None and other is not None:
                ends[sandbox].add(other.ifindex)
            found.append(_pair(link, host.links.get(link.master), sandbox, other, wishes))
    found += _contents(HOST, host, ours.keys(), wishes, strict=True)
    for sandbox, listing in inside.items():
        found += _contents(sandbox, listing, ends[sandbox], wishes, strict=False)
    found += sysctls.read_all(namespaces, _settings(wishes, {link.name for link in ours.values()}))
    return found, list(_foreign(host.links.values(), ours, wishes))


def _is_ours(link: Link, engine: str) -> bool:
    return link.kind in ("bridge", "veth") and mark_engine(link.alias) == engine


def _foreign(links: Iterable[Link], ours: dict[int, Link], wishes: Wishes) -> Iterator[Foreign]:
    for link in links:
        if link.name in wishes.names and link.ifindex not in ours:
            yield Foreign("interface", link.name, link.alias)


def _settings(wishes: Wishes, ours: set[str]) -> dict[str, list[Sysctl]]:
    """The settings to read: on the host, those of other people's interfaces are none of our business."""
    on_host = [setting for setting in wishes.settings.get(HOST, ()) if not setting.link or setting.link in ours]
    return {**wishes.settings, HOST: on_host}


def _list_sandbox(socket: Socket, sandbox: str, wishes: Wishes) -> Listing:
    listing = _list(socket, (), 0)
    used = {address.interface.version for address in listing.addresses if not address.interface.ip.is_loopback}
    for version in VERSIONS:
        if version in used or (sandbox, version) in wishes.route_versions:
            listing.routes.extend(_routes(socket, version, 0))
    return listing


def _list(socket: Socket, versions: Sequence[Version], protocol: int) -> Listing:
    links = (rtnl.parse_link(body) for body in socket.dump(rtnl.list_links()))
    addresses = [rtnl.parse_address(body) for body in socket.dump(rtnl.list_addresses())]
    routes = [route for version in versions for route in _routes(socket, version, protocol)]
    return Listing({link.ifindex: link for link in links}, addresses, routes)


def _routes(socket: Socket, version: Version, protocol: int) -> Iterator[LinkRoute]:
    for body in socket.dump(rtnl.list_routes(version, protocol)):
        if (route := rtnl.parse_route(body)) is not None:
            yield route


def _numbers(sockets: Sockets, pinned: Sequence[str]) -> dict[int | None, str]:
    """By which number the engine's namespace knows each sandbox."""
    requests = []
    numbers: dict[int | None, str] = {}
    descriptors = [os.open(sockets.namespaces.path(sandbox), os.O_RDONLY | os.O_CLOEXEC) for sandbox in pinned]
    try:
        requests = [rtnl.get_nsid(descriptor) for descriptor in descriptors]
        for sandbox, answer in zip(pinned, sockets.host.exchange(requests), strict=True):
            if answer.error is None and (number := rtnl.parse_nsid(answer.replies[0])) is not None:
                numbers[number] = sandbox
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return numbers


def _pair(link: Link, master: Link | None, sandbox: str | None, other: Link | None, wishes: Wishes) -> Veth:
    wish = wishes.keys.get(("link", HOST, link.name))
    mtu = link.mtu
    if other is not None and isinstance(wish, Veth) and wish.mtu == mtu:
        mtu = other.mtu  # the plan has one number for both ends: report the one that differs
    return Veth(
        name=link.name,
        bridge=master.name if master is not None else "",
        where=sandbox if sandbox is not None and other is not None else HOST,
        peer=other.name if other is not None else "",
        mac=other.mac if other is not None else "",
        mtu=mtu,
        isolated=link.isolated,
        owner=link.alias,
        hairpin=link.hairpin,
    )


def _contents(
    where: str, listing: Listing, ends: Iterable[int], wishes: Wishes, *, strict: bool
) -> Iterator[KernelObject]:
    """States, addresses and routes in one namespace. `strict`: only on the links `ends`, which are ours."""
    ours = set(ends)
    for index, link in listing.links.items():
        up = Up(where, link.name)
        if link.up and (index in ours or (not strict and up.key in wishes.keys)):
            yield up
    for index, interface, protocol in listing.addresses:
        if index in listing.links and (index in ours or not strict):
            address = Address(where, listing.links[index].name, interface)
            if protocol == PROTOCOL or address.key in wishes.keys:
                yield address
    yield from _our_routes(where, listing, ours, wishes, strict=strict)


def _our_routes(
    where: str, listing: Listing, ours: set[int], wishes: Wishes, *, strict: bool
) -> Iterator[KernelObject]:
    found: dict[Key, Route] = {}
    for route in sorted(listing.routes, key=lambda route: route.protocol == PROTOCOL):  # ours last: they win
        if strict and route.ifindex not in ours:
            continue
        link = listing.links.get(route.ifindex)
        version = route.destination.version
        gateway = route.gateway or UNSPECIFIED[version]
        seen = Route(where, route.destination, gateway, link.name if link else "")
        # Another's route stands in the way of ours only with the same metric.
        in_place = not strict and seen.key in wishes.keys and route.metric == DEFAULT_METRIC[version]
        if route.protocol == PROTOCOL or in_place:
            found[seen.key] = seen
    yield from found.values()
