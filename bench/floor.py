"""The floor: what the kernel itself needs for a change.

The floor makes the kernel do exactly what the product makes it do, and does nothing else:

* netlink messages are packed with `struct` before the clock starts (only the number of a descriptor that does not exist
  before is put in), and sent as one batch for each namespace, with one answer to wait for;
* the transaction for nft is text made before the clock starts, and run by libnftables in process. Its table is the
  product's own, and so are the elements, so that the kernel has as much to do;
* everything happens on one thread that sits in the namespace, except that a new namespace is made, as it must be, by a
  thread that is started for it;
* nothing is validated, planned, looked up, read back, remembered or undone. Where the kernel would have to be asked for
  an index, the floor knows it: it chooses that of a bridge, and the first link in a namespace is number 2.

What is done, in this order:

attach            bind the host port, listen, attach a filter · one nft element · a namespace on a new thread: four
                  settings, a netlink socket, `lo` up, a bind mount · veth pair, one end inside the namespace, the other
                  a port of the bridge; alias, port flags, no automatic address; up · inside: address, up, default route
detach            delete the pair · close the netlink socket, unmount, unlink · delete the element · close the port ·
                  read the tracked connections once, to find those of an address that is gone
create a network  read the routes, which the subnet must not overlap · four nft elements · bridge with its settings;
                  alias, MTU; address; up · two settings
remove a network  delete the bridge · delete the elements

The clock runs on the thread itself, so handing work to it is not counted.
"""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from bench import rulebook, system
from bench.rooms import Room
from bench.system import (
    MAKE,
    NLM_F_DUMP,
    RTM_DELLINK,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    attribute,
    batch,
    link,
    text,
    u32,
)

ADDRESS, IFNAME, MTU, MASTER, LINKINFO, ALIAS, AF_SPEC, NET_NS_FD = 1, 3, 4, 10, 18, 20, 26, 28
NESTED = 0x8000

_FIRST_LINK = 2
_NETFILTER, _CT_GET = 12, 0x101
_SO_ATTACH_FILTER = 26
_DROP = b"\x06\0\0\0\0\0\0\0"  # one classic BPF instruction: accept no byte
_BIRTH = tuple(
    (f"/proc/sys/net/{name}", value)
    for name, value in (
        ("ipv4/conf/default/arp_notify", b"1"),
        ("ipv6/conf/default/ndisc_notify", b"1"),
        ("ipv6/conf/default/accept_ra", b"0"),
        ("ipv6/conf/default/disable_ipv6", b"1"),
    )
)


@dataclass(slots=True)
class Wire:
    """One endpoint: everything that can be made ahead, and what is held while it exists."""

    pin: Path
    port: int
    add: bytes
    delete: bytes
    before_descriptor: bytes
    after_descriptor: bytes
    inside: bytes
    unlink: bytes
    holder: socket.socket = field(init=False)
    connection: socket.socket = field(init=False)

    @classmethod
    def prepare(cls, number: int, place: Path, bridge: "Wires") -> "Wire":
        """Endpoint `number` of a bridge: address, port and names follow from the number."""
        address = IPv4Interface((int(bridge.gateway.ip) + number, bridge.gateway.network.prefixlen))
        port, name = 10000 + number, f"veth{number:07x}"
        add, delete = rulebook.published(bridge.name, address.ip, port)
        mark = b"\xde\xad\xbe\xef"
        before, after = _veth(name, bridge.index, mark, number).split(mark)
        return cls(
            pin=place / f"{number:012x}",
            port=port,
            add=add,
            delete=delete,
            before_descriptor=before,
            after_descriptor=after,
            inside=_inside(address, bridge.gateway.ip),
            unlink=batch((RTM_DELLINK, 0, link() + text(IFNAME, name))),
        )


def _veth(name: str, bridge: int, namespace: bytes, number: int) -> bytes:
    """Three messages: the pair, the settings of the host's end, and up."""
    mac = b"\x02\x42" + struct.pack(">I", number)
    peer = link() + text(IFNAME, "eth0") + attribute(ADDRESS, mac) + u32(MTU, 1500) + attribute(NET_NS_FD, namespace)
    info = text(1, "veth") + attribute(2 | NESTED, attribute(1 | NESTED, peer))
    pair = link() + text(IFNAME, name) + u32(MTU, 1500) + u32(MASTER, bridge) + attribute(LINKINFO | NESTED, info)
    port = attribute(4, b"\1") + attribute(33, b"\0")  # IFLA_BRPORT_MODE (hairpin), IFLA_BRPORT_ISOLATED
    slave = attribute(LINKINFO | NESTED, text(4, "bridge") + attribute(5 | NESTED, port))
    no_address = attribute(AF_SPEC | NESTED, attribute(socket.AF_INET6 | NESTED, attribute(8, b"\1")))
    alias = attribute(ALIAS, f"linkspan:0123456789ab:endpoint:{number:012x}".encode())
    return batch(
        (RTM_NEWLINK, MAKE, pair),
        (RTM_NEWLINK, 0, link() + text(IFNAME, name) + alias + slave + no_address),
        (RTM_NEWLINK, 0, link(up=True) + text(IFNAME, name)),
    )


def _address(index: int, address: IPv4Interface) -> bytes:
    head = struct.pack("=BBBBI", socket.AF_INET, address.network.prefixlen, 0, 0, index)
    ours, everyone = address.ip.packed, address.network.broadcast_address.packed
    return head + attribute(2, ours) + attribute(1, ours) + attribute(11, b"\x4c") + attribute(4, everyone)


def _inside(address: IPv4Interface, gateway: IPv4Address) -> bytes:
    route = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 76, 0, 1, 0)
    route += attribute(5, gateway.packed) + u32(4, _FIRST_LINK)
    return batch(
        (RTM_NEWADDR, MAKE, _address(_FIRST_LINK, address)),
        (RTM_NEWLINK, 0, link(up=True) + text(IFNAME, "eth0")),
        (RTM_NEWROUTE, MAKE, route),
    )


@dataclass(slots=True)
class Wires:
    """One network: everything made ahead."""

    name: str
    index: int
    gateway: IPv4Interface
    add: bytes
    delete: bytes
    make: bytes
    unlink: bytes
    settings: tuple[tuple[str, bytes], ...]

    @classmethod
    def prepare(cls, number: int) -> "Wires":
        """Network `number`."""
        name, index, gateway = f"br-{number:012x}", 100000 + number, IPv4Interface(f"10.{100 + number}.0.1/16")
        add, delete = rulebook.network(name, gateway.network)
        mac = attribute(ADDRESS, b"\x02\x43" + struct.pack(">I", number))
        info = text(1, "bridge") + attribute(2 | NESTED, u32(1, 0) + u32(5, 0))  # forward delay, STP
        alias = attribute(ALIAS, f"linkspan:0123456789ab:network:{number:012x}".encode())
        made = batch(
            (RTM_NEWLINK, MAKE, link(index=index) + text(IFNAME, name) + mac + attribute(LINKINFO | NESTED, info)),
            (RTM_NEWLINK, 0, link() + text(IFNAME, name) + alias + u32(MTU, 1500)),
            (RTM_NEWADDR, MAKE, _address(index, gateway)),
            (RTM_NEWLINK, 0, link(up=True) + text(IFNAME, name)),
        )
        unlink = batch((RTM_DELLINK, 0, link(index=index)))
        settings = (
            (f"/proc/sys/net/ipv4/conf/{name}/route_localnet", b"1"),
            (f"/proc/sys/net/ipv6/conf/{name}/accept_ra", b"0"),
        )
        return cls(name, index, gateway, add, delete, made, unlink, settings)


class Floor:
    """The thread in a room, and what it needs. Every method returns the seconds it took."""

    def __init__(self, room: Room) -> None:
        self._place = room.exec_root / "netns"
        self._place.mkdir()
        self.thread = ThreadPoolExecutor(1)
        self.thread.submit(self._open, room.namespace).result()
        self.bridge = Wires.prepare(0)
        self.create_network(self.bridge)

    def _open(self, namespace: Path) -> None:
        system.enter(namespace)
        self._host = system.netlink()
        self._conntrack = system.netlink(_NETFILTER)
        self._nft = system.Nft()
        self._nft.run(rulebook.base())
        Path("/proc/sys/net/ipv4/ip_forward").write_bytes(b"1")

    def _timed(self, work: Callable[[], None]) -> float:
        def run() -> float:
            start = time.perf_counter()
            work()
            return time.perf_counter() - start

        return self.thread.submit(run).result()

    def wire(self, number: int) -> Wire:
        """Endpoint `number` on the floor's bridge, prepared."""
        return Wire.prepare(number, self._place, self.bridge)

    def attach(self, wire: Wire) -> float:
        """An endpoint from nothing to ready."""
        return self._timed(lambda: self._attach(wire))

    def _attach(self, wire: Wire) -> None:
        wire.holder = _hold(wire.port)
        self._nft.run(wire.add)
        os.close(os.open(wire.pin, os.O_CREAT | os.O_EXCL, 0o444))
        birth = threading.Thread(target=_give_birth, args=(wire,))
        birth.start()
        birth.join()
        namespace = os.open(wire.pin, os.O_RDONLY)
        data = wire.before_descriptor + struct.pack("=I", namespace) + wire.after_descriptor
        system.exchange(self._host, data, 3)
        os.close(namespace)
        system.exchange(wire.connection, wire.inside, 3)

    def detach(self, wire: Wire) -> float:
        """An endpoint from ready to nothing."""
        return self._timed(lambda: self._detach(wire))

    def _detach(self, wire: Wire) -> None:
        system.exchange(self._host, wire.unlink, 1)
        wire.connection.close()
        system.unmount(wire.pin)
        wire.pin.unlink()
        self._nft.run(wire.delete)
        wire.holder.close()
        system.dump(self._conntrack, _LIST_FLOWS)

    def create_network(self, network: Wires) -> float:
        """A bridge from nothing to ready."""
        return self._timed(lambda: self._create_network(network))

    def _create_network(self, network: Wires) -> None:
        system.dump(self._host, _LIST_ROUTES)
        self._nft.run(network.add)
        system.exchange(self._host, network.make, 4)
        for setting, value in network.settings:
            _write(setting, value)

    def remove_network(self, network: Wires) -> float:
        """A bridge from ready to nothing."""
        return self._timed(lambda: self._remove_network(network))

    def _remove_network(self, network: Wires) -> None:
        system.exchange(self._host, network.unlink, 1)
        self._nft.run(network.delete)

    def close(self) -> None:
        """Let go of everything in this process."""
        self.thread.submit(self._nft.close).result()
        self._host.close()
        self._conntrack.close()
        self.thread.shutdown()


@contextmanager
def floor(room: Room) -> Iterator[Floor]:
    """A floor in `room`."""
    made = Floor(room)
    try:
        yield made
    finally:
        made.close()


def _hold(port: int) -> socket.socket:
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _FILTER)
    holder.bind(("0.0.0.0", port))
    holder.listen(1)
    return holder


def _give_birth(wire: Wire) -> None:
    system.unshare(system.CLONE_NEWNET)
    for path, value in _BIRTH:
        _write(path, value)
    wire.connection = system.netlink()
    system.exchange(wire.connection, _LOOPBACK_UP, 1)
    system.mount(system.OWN_NAMESPACE, wire.pin, flags=system.MS_BIND)


def _write(path: str, value: bytes) -> None:
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, value)
    os.close(fd)


_LIST_ROUTES = batch((RTM_GETROUTE, NLM_F_DUMP, struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 0, 0, 0, 0)))
_LIST_FLOWS = batch((_CT_GET, NLM_F_DUMP, b"\0\0\0\0"))
_LOOPBACK_UP = batch((RTM_NEWLINK, 0, link(index=1, up=True)))
_INSTRUCTIONS = system.buffer(_DROP)
_FILTER = struct.pack("@HP", 1, system.address_of(_INSTRUCTIONS))
