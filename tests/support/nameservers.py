"""A name server at real sockets of loopback, and a client that checks what it says."""

import asyncio
import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rcode

from linkspan.dataplane.names.core import Names, Served
from linkspan.model.dataplane import HostResolver, NameEntry, NameZone, Record, Resolver
from tests.fakes.resolvers import Internet, bound_to_both
from tests.support.patience import PATIENCE

NET = "1" * 64


def looped(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        async def whole() -> None:
            async with asyncio.timeout(PATIENCE):
                await test(*arguments, **named)

        asyncio.run(whole())

    return run


class Port:
    """A name server, and a client of it."""

    def __init__(self, names: Names, resolver: Resolver | HostResolver, namespace: int | None = None) -> None:
        udp, tcp = bound_to_both()
        self.number = tcp.getsockname()[1]
        self.served: Served = names.serve(resolver, udp.detach(), tcp.detach(), namespace)

    async def ask(self, name: str, kind: str = "A", *, tcp: bool = False, **settings: Any) -> dns.message.Message:
        """An answer; dnspython checks its id, question and form."""
        message = dns.message.make_query(name, kind, **settings)
        how = dns.query.tcp if tcp else dns.query.udp
        return await asyncio.to_thread(how, message, "127.0.0.1", timeout=PATIENCE, port=self.number)

    async def send(self, data: bytes) -> bytes:
        """The answer to a datagram."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("127.0.0.1", self.number))
            client.send(data)
            return await loop.sock_recv(client, 65535)


def shown(message: dns.message.Message) -> list[str]:
    return [line for rrset in message.answer for line in rrset.to_text().splitlines()]


def code(message: dns.message.Message) -> str:
    return dns.rcode.to_text(message.rcode())


def list_servers(resolv_conf: Path, *servers: str) -> None:
    """Replace a resolv.conf, as those who manage it do."""
    new = resolv_conf.with_name("new")
    new.write_text("".join(f"nameserver {server}\n" for server in servers))
    new.rename(resolv_conf)


@asynccontextmanager
async def serving_names(resolv_conf: Path, internet: Internet, *records: Record) -> AsyncIterator[Names]:
    async with Names(internet.make_socket, resolv_conf) as names:
        names.put(NameZone(NET, "shop", "me", records))
        names.put(NameEntry(NET, "s1", ("web",), (ip_address("10.1.0.2"),), "me"))
        yield names


def resolver(*servers: str, forward: bool = True, ndots: bool = False) -> Resolver:
    return Resolver("box", (NET,), "me", (), tuple(map(ip_address, servers)), forward, ndots)


def entry(sandbox: str, names: str, *addresses: str) -> NameEntry:
    return NameEntry(NET, sandbox, tuple(names.split()), tuple(map(ip_address, addresses)), "me")
