"""Waiting until a new port of a bridge forwards, and announcing who is behind it.

The kernel notices from deferred work that both ends of a pair are up, and only then enables the bridge's port; what is
sent before is lost, and the sender waits a second to ask for the neighbour again. Measured here: 2 to 20 % of first
packets. Since Linux 6.8 or so, asking for a link does that work first, so that the first answer is already the right
one; older kernels are asked again until it is (the work runs within milliseconds, at most once a second per link). The
same is true of the carrier that a bridge has from its first port on: without it, what the host itself sends is lost.

What is sent before and lost includes the kernel's own announcement of the new address, when the interface came up. An
address is soon used again, with another hardware address: whoever talked to the last holder would go on sending to that
one, for up to a minute. So it is announced once more; writing the hardware address that an interface has already makes
the kernel do that, by gratuitous ARP and unsolicited neighbour advertisements. Measured here on a busy machine: 3 of
100 new sandboxes were out of reach.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from linkspan.kernel import rtnl
from linkspan.kernel.netlink import Socket
from linkspan.kernel.sockets import Sockets
from linkspan.plan.objects import HOST, Up, Veth
from linkspan.plan.operations import Operation, Verb

_PATIENCE_SECONDS = 0.2
"""How long to wait (Docker's figure); a port that is not ready by then becomes so by itself."""
_PAUSE_SECONDS = 0.002


def attached(applied: Iterable[Operation]) -> list[Veth]:
    """The pairs that were made, or turned up, at both ends."""
    built = [op.object for op in applied if op.verb is not Verb.REMOVE]
    up = {(item.where, item.link) for item in built if isinstance(item, Up)}
    pairs = (item for item in built if isinstance(item, Veth))
    return [pair for pair in pairs if {(HOST, pair.name), (pair.where, pair.peer)} <= up]


def make_ready(sockets: Sockets, pairs: Sequence[Veth]) -> None:
    """Return when the pairs carry packets and their bridges know who is there, or patience ends."""
    bridges = dict.fromkeys(pair.bridge for pair in pairs)
    wait_until_forwarding(sockets.host, [*(pair.name for pair in pairs), *bridges])
    for pair in pairs:
        with suppress(FileNotFoundError):  # the sandbox may be gone, by hands that are not ours
            sockets.inside(pair.where).exchange([rtnl.set_link(pair.peer, rtnl.mac(pair.mac))])


def wait_until_forwarding(host: Socket, names: Sequence[str]) -> None:
    """Return when all the ports forward and all the bridges have a carrier, or patience ends."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (names := _waiting(host, names)) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)


def _waiting(host: Socket, names: Sequence[str]) -> list[str]:
    """Those of the links that are there and carry nothing yet. A port comes before its bridge, whose carrier it is."""
    answers = host.exchange([rtnl.get_link(name) for name in names])
    links = (rtnl.parse_link(answer.replies[0]) for answer in answers if answer.error is None)
    return [link.name for link in links if not (link.forwarding if link.master else link.running)]
