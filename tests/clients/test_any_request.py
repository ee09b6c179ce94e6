"""Whatever a client sends to a daemon with real containers: an answer, no error of ours, and nothing left behind."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from linkspan.api.calls import Route
from linkspan.api.routes import ROUTES
from tests.clients.shared import SharedMachine
from tests.unit.api.test_any_request import BODIES, ENDLESS, MEANT, Shot, shots, typed

pytestmark = pytest.mark.slow

FAR = ("/images/create", "/images/{id:.+}/push", "/distribution/{id:.+}/json", "/auth", "/build")
"""What would ask registries, which are not there."""


NEAR = st.sampled_from([route for route in BODIES if route.path not in FAR]).flatmap(typed)


@st.composite
def boxes(draw: st.DrawFn) -> list[Shot]:
    """A container with a few settings that are what they should be, or nearly: created, started, and shown."""
    create, start, show = (route_of(*each) for each in (("POST", "create"), ("POST", "start"), ("GET", "json")))
    data = draw(typed(create)).data
    assert data is not None
    body = json.loads(data)
    host = body.pop("HostConfig", None) or {}
    chosen = {key: body[key] for key in draw(st.lists(st.sampled_from([*body, "User"]), max_size=2)) if key in body}
    limits = {key: host[key] for key in draw(st.lists(st.sampled_from([*host, "Init"]), max_size=2)) if key in host}
    whole = {**chosen, "Image": "busybox", "Cmd": ["true"], "HostConfig": limits}
    return [
        Shot(create, "/containers/create?name=f1", json.dumps(whole).encode()),
        Shot(start, "/containers/f1/start", None),
        Shot(show, "/containers/f1/json?size=1", None),
    ]


def route_of(method: str, end: str) -> Route:
    """A route about containers."""
    paths = (f"/containers/{end}", f"/containers/{{id:.+}}/{end}")
    return [route for route in ROUTES if route.method == method and route.path in paths][-1]


async def fire(session: aiohttp.ClientSession, shot: Shot) -> tuple[int, bytes]:
    """Status and body; an answer that goes on is left as soon as it has begun."""
    endless = shot.route.path.rpartition("/")[2] in (*ENDLESS, "stats") or "logs" in shot.route.path
    url = URL(f"http://api{shot.path}", encoded=True)
    headers = {"Content-Type": "application/json", **dict(shot.headers)}
    async with session.request(shot.route.method, url, data=shot.data, headers=headers) as answer:
        return answer.status, await answer.read() if answer.status >= 400 or not endless else b""


async def salvo(socket: Path, found: Sequence[Shot]) -> None:
    connector = aiohttp.UnixConnector(str(socket))
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.timeout(60):
        for shot in found:
            status, body = await fire(session, shot)
            assert status < 500 or status in MEANT, (shot, body)


def state(shared: SharedMachine) -> tuple[list[str], list[str], str]:
    """Links by name, mounts and firewall of the machine."""
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(shared.root / "data") in line]
    rules = shared.run("nft", "-s", "list", "ruleset").out
    links = sorted(link["ifname"] for link in shared.run("ip", "-j", "link").json)
    return links, mounts, rules


def test_any_requests_have_answers_and_leave_nothing(shared: SharedMachine) -> None:
    before = state(shared)

    @settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
    @given(st.lists(NEAR | shots().filter(lambda shot: shot.route.path not in FAR), min_size=8, max_size=16), boxes())
    def check(found: Sequence[Shot], box: Sequence[Shot]) -> None:
        if not shared.done("ps", "-q", "--filter", "name=^/?c1$"):
            shared.docker("rm", "-f", "c1")
            shared.done("run", "-di", "--name", "c1", "busybox", "cat")
        shared.docker("network", "create", "n1")
        shared.wait(salvo(shared.machine.socket, [*found, *box]))
        shared.docker("rm", "-f", "-v", "f1")

    check()
    for id in shared.done("ps", "-aq").split():
        shared.done("rm", "-f", "-v", id)
    shared.done("network", "prune", "-f")
    shared.done("volume", "prune", "-f", "--filter", "all=1")
    assert state(shared) == before
    assert "unexpected" not in shared.machine.log(), shared.machine.log()
