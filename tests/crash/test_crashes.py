"""An engine that dies, or is refused something, at any moment of any request."""

import asyncio
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import pytest

from linkspan import (
    Connect,
    CreateNetwork,
    CreateSandbox,
    Disconnect,
    EndpointRequest,
    Publish,
    RemoveNetwork,
    RemoveSandbox,
    Unpublish,
)
from linkspan.engine.core import Engine
from linkspan.model.errors import KernelError, LinkspanError
from linkspan.model.requests import Request
from linkspan.store.sqlite import StoreError
from tests.crash.rig import InjectedError, Moments, Rig, disagreement, rig
from tests.support.bystanders import Bystanders, bystanders
from tests.support.listing import Listing
from tests.support.packets import Site, bound
from tests.support.patience import PATIENCE, SHORT
from tests.support.world import IPTABLES_NAT, NFTABLES, Variant

pytestmark = pytest.mark.slow

STEADY = (
    CreateNetwork("steady", ipv6=True, subnets=["10.5.0.0/24", "fd05::/64"]),
    CreateNetwork("shop", ipv6=True, subnets=["10.6.0.0/24", "fd06::/64"]),
    CreateSandbox("client", networks=["steady"]),
    CreateSandbox("server", networks=["steady"], publish=["9000:9000", "9000:9000/udp"]),
    CreateSandbox("outsider"),
    CreateSandbox("subject", networks=["steady"], publish=["7000:70"]),
)


@dataclass(frozen=True)
class There:
    """A request and the one that takes it back: a way there and a way back."""

    request: Request[Any]
    back: Request[Any]

    def __str__(self) -> str:
        return f"{type(self.request).__name__}-{type(self.back).__name__}"


NETWORK = There(CreateNetwork("new", ipv6=True), RemoveNetwork("new"))
SANDBOX = There(CreateSandbox("new", networks=["steady"], publish=["8080:80", "8443:443/udp"]), RemoveSandbox("new"))
PORTS = There(Publish("subject", ["7001:71", "7002:72/udp"]), Unpublish("subject", ["7001", "7002/udp"]))
CONNECTION = There(Connect("subject", EndpointRequest("shop", gw_priority=1)), Disconnect("subject", "shop"))
SMALL = There(CreateSandbox("new", publish=["8080:80"]), RemoveSandbox("new"))

SCENES = [
    *(pytest.param(NFTABLES, there, id=f"nftables-{there}") for there in (NETWORK, SANDBOX, PORTS, CONNECTION)),
    pytest.param(IPTABLES_NAT, SMALL, id=f"iptables-{SMALL}"),
]
each_scene = pytest.mark.parametrize(("variant", "there"), SCENES)


@pytest.fixture
def machine(tmp_path: Path, variant: Variant) -> Iterator[Rig]:
    with rig(tmp_path, variant) as made:
        made.apply(*STEADY)
        yield made


@pytest.fixture
def traffic(machine: Rig) -> Iterator[Bystanders]:
    """Sandboxes that have nothing to do with the request, in conversation."""

    async def sites(engine: Engine) -> dict[str, Site]:
        return {name: Site(name, engine.sandbox(name).namespace or Path()) for name in ("client", "server", "outsider")}

    with bystanders(**machine.with_engine(sites), host="172.17.0.1") as talking:
        yield talking


def look(machine: Rig) -> Listing:
    """Open the engine again, and see that the kernel, the store and the machine's own programs agree."""

    async def work(engine: Engine) -> Listing:
        assert await disagreement(engine) == []
        assert engine.problems == ()
        return machine.listing()

    return machine.with_engine(work)


def apply_and_look(machine: Rig, request: Request[Any], seed: str) -> Listing:
    machine.apply(request, seed=seed)
    return look(machine)


def check_traffic(traffic: Bystanders, moment: str | None) -> None:
    report = traffic.report()
    assert (report.lost, report.retransmitted) == (0, 0), f"killed {moment}, after {report.rounds} rounds"


@each_scene
def test_a_killed_engine_leaves_the_state_before_or_after_and_no_packet_is_lost(
    machine: Rig, traffic: Bystanders, there: There
) -> None:
    before = look(machine)
    after = apply_and_look(machine, there.request, "new")
    assert before != after
    assert apply_and_look(machine, there.back, "back") == before

    def walk(request: Request[Any], seed: str, start: Listing, end: Listing) -> int:
        """Kill at each moment in turn; the number of moments. The last one leaves the state after the request."""
        for moment in count():
            struck = machine.killed_at(moment, request, seed)
            found = look(machine)
            committed = struck == "after the commit"
            assert found == (end if committed else start), f"killed {struck}"
            check_traffic(traffic, struck)
            if committed:
                return moment + 1
        raise AssertionError

    assert walk(there.request, "new", before, after) > 4
    assert walk(there.back, "back", after, before) > 4


@pytest.mark.parametrize("variant", [NFTABLES, IPTABLES_NAT], ids=str)
def test_a_flow_that_began_under_a_killed_publish_ends_with_its_rules(machine: Rig, variant: Variant) -> None:
    """The kernel goes on translating a flow it knows, whatever the rules say by now."""
    request = Publish("subject", ["7002:72/udp"])

    async def sites(engine: Engine) -> list[Site]:
        return [Site(name, engine.sandbox(name).namespace or Path()) for name in ("subject", "outsider")]

    subject, outsider = machine.with_engine(sites)
    with bound(subject, "0.0.0.0", 72, "udp") as server, outsider.socket(4, socket.SOCK_DGRAM) as client:
        client.connect(("172.17.0.1", 7002))
        server.settimeout(PATIENCE)
        moments = takewhile(lambda moment: machine.killed_at(moment, request, "new") != "before the commit", count())
        for _ in moments:
            look(machine)
        client.send(b"one")
        assert server.recv(64) == b"one"
        look(machine)
        server.settimeout(SHORT)
        client.send(b"two")
        with pytest.raises(TimeoutError):
            server.recv(64)


@pytest.mark.parametrize("variant", [NFTABLES], ids=str)
def test_an_engine_killed_while_it_first_opens_opens_the_next_time(tmp_path: Path, variant: Variant) -> None:
    """Ids are chosen anew by the next one, so what the dead one left has to become its own."""
    with rig(tmp_path / "undisturbed", variant) as machine:
        wanted = look(machine)
    for moment in count():
        with rig(tmp_path / str(moment), variant) as machine:
            struck = machine.killed_while_opening(moment, "dead")
            assert without_ids(look(machine)) == without_ids(wanted), f"killed {struck}"
            if struck is None:
                break
    assert moment > 10


def without_ids(found: Listing) -> dict[str, list[str]]:
    """A listing with its ids and hardware addresses blotted out."""
    blot = re.compile(r"linkspan:[0-9a-f]{12}:(\w+):[0-9a-f]{12}|02:42:00:00(:[0-9a-f]{2}){2}")
    return {part: [blot.sub(r"\1", line) for line in lines] for part, lines in found.items()}


@each_scene
def test_a_refused_operation_is_undone_completely_and_reported_once(
    machine: Rig, traffic: Bystanders, there: There
) -> None:
    def strike(description: str) -> None:
        if description == "before the commit":
            raise StoreError(f"injected {description}")
        raise InjectedError(f"injected {description}")

    moments = Moments(strike)

    async def fail_everywhere(engine: Engine, request: Request[Any], moments_of_it: int) -> None:
        start = machine.listing()
        for moment in range(moments_of_it):
            moments.arm(moment)
            with pytest.raises(LinkspanError) as caught:
                await engine.apply(request)
            assert type(caught.value) in (KernelError, StoreError)
            assert "injected" in caught.value.message
            assert not hasattr(caught.value, "__notes__")
            assert await disagreement(engine) == []
            assert machine.listing() == start, caught.value.message
            check_traffic(traffic, caught.value.message)
        await engine.apply(request)
        assert await disagreement(engine) == []

    async def whole() -> None:
        async with machine.opened("new", moments) as engine:
            for request in (there.request, there.back):
                operations = len(await engine.plan(request))
                await fail_everywhere(engine, request, operations + 1)

    asyncio.run(whole())


@pytest.mark.parametrize("variant", [NFTABLES, IPTABLES_NAT], ids=str)
def test_an_engine_killed_at_an_arbitrary_instant_leaves_the_state_before_or_after(
    machine: Rig, traffic: Bystanders
) -> None:
    """Also between the steps that make up one operation: nobody stands between the engine and the kernel here."""
    before = look(machine)
    after = apply_and_look(machine, SMALL.request, "new")
    states = {"before": before, "after": after}
    for request, seed, start in ((SMALL.back, "back", "after"), (SMALL.request, "new", "before")):
        for step in range(6):
            machine.killed_after(step / 500, request, seed)
            found = look(machine)
            reached = next((name for name, state in states.items() if state == found), None)
            assert reached, f"{type(request).__name__} killed after {2 * step} ms"
            check_traffic(traffic, f"after {2 * step} ms")
            if reached != start:
                machine.apply(SMALL.request if start == "after" else SMALL.back, seed="new")
        machine.apply(request, seed=seed)
