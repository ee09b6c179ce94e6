"""Waiting until a new port of a bridge forwards.

The kernel notices from deferred work that both ends of a pair are up, and only then enables the bridge's port; what is
sent before is lost, and the sender waits a second to ask for the neighbour again. Measured here: 2 to 20 % of first
packets. Since Linux 6.8 or so, asking for a link does that work first, so that the first answer is already the right
one; older kernels are asked again until it is (the work runs within milliseconds, at most once a second per link).
"""

import time
from collections.abc import Iterable, Sequence

from linkspan.kernel import rtnl
from linkspan.kernel.netlink import Socket
from linkspan.plan.objects import HOST, Up, Veth
from linkspan.plan.operations import Operation, Verb

_PATIENCE_SECONDS = 0.2
"""How long to wait (Docker's figure); a port that is not ready by then becomes so by itself."""
_PAUSE_SECONDS = 0.002


def attached(applied: Iterable[Operation]) -> list[str]:
    """The host ends of pairs that were made, or turned up, at both ends."""
    built = [op.object for op in applied if op.verb is not Verb.REMOVE]
    up = {(item.where, item.link) for item in built if isinstance(item, Up)}
    pairs = (item for item in built if isinstance(item, Veth))
    return [pair.name for pair in pairs if {(HOST, pair.name), (pair.where, pair.peer)} <= up]


def wait_until_forwarding(host: Socket, names: Sequence[str]) -> None:
    """Return when all the ports forward, or patience ends."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (names := _waiting(host, names)) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)


def _waiting(host: Socket, names: Sequence[str]) -> list[str]:
    """Those of the links that are there and do not forward yet."""
    answers = host.exchange([rtnl.get_link(name) for name in names])
    links = (rtnl.parse_link(answer.replies[0]) for answer in answers if answer.error is None)
    return [link.name for link in links if link.master and not link.forwarding]
