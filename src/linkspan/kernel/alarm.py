"""Being told that others have deleted firewall rules: nfnetlink's notifications of nf_tables.

Who flushes a ruleset (`nft flush ruleset`, `iptables -F`, a service that loads its own when it is restarted) knows
nothing of ours. The legacy iptables tells nobody.
"""

import asyncio
import errno
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from linkspan.kernel import native
from linkspan.kernel.netlink import SOL_NETLINK, NetlinkFormatError, attributes, decode, string

_NETLINK_ADD_MEMBERSHIP, _NETLINK_DROP_MEMBERSHIP = 1, 2
_NFNLGRP_NFTABLES = 7
_SUBSYSTEM = 10 << 8
_DELETIONS = frozenset({_SUBSYSTEM | kind for kind in (2, 5, 8, 11, 14)})
"""Of tables, chains, rules, sets and elements (NFT_MSG_DEL…): each begins with a family, then names its table."""

_FAMILY_HEADER = 4
_TABLE = 1
_PORTION = 64 * 1024
_QUIET = 0.05
"""Seconds without another deletion, after which whoever deletes is taken to have finished: chains that came back in
between would be in its way."""


class Alarm:
    """A socket that hears of deletions from tables of certain names. To be made on the kernel thread."""

    def __init__(self, tables: Collection[str]) -> None:
        self._tables = frozenset(tables)
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, native.NETLINK_NETFILTER)
        self._socket.bind((0, 0))  # the number that the kernel gives us here; who has none is told nothing
        self._listen(_NETLINK_ADD_MEMBERSHIP)

    def _listen(self, change: int) -> None:
        self._socket.setsockopt(SOL_NETLINK, change, _NFNLGRP_NFTABLES)

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """Hear of nothing in the block: for changes of our own."""
        self._listen(_NETLINK_DROP_MEMBERSHIP)
        try:
            yield
        finally:
            self._listen(_NETLINK_ADD_MEMBERSHIP)

    async def rung(self) -> None:
        """Wait until others have deleted something, and have finished."""
        while not self.told():
            await self._readable()
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(_QUIET):
                    await self._readable()
                self.told()

    async def _readable(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._socket, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._socket)

    def told(self) -> bool:
        """Whether deletions have been told of since the last time, or more than the kernel could keep."""
        heard = False
        while True:
            try:
                heard = self._concerns(self._socket.recv(_PORTION)) or heard
            except BlockingIOError:
                return heard
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                heard = True

    def _concerns(self, data: bytes) -> bool:
        """Whether one of several messages is about a deletion from our tables."""
        try:
            deleted = (message.body for message in decode(data) if message.type in _DELETIONS)
            return any(string(attributes(body, _FAMILY_HEADER).get(_TABLE, b"")) in self._tables for body in deleted)
        except NetlinkFormatError:
            return True  # better looked at once too often

    def close(self) -> None:
        """Hear of nothing any more."""
        self._socket.close()
