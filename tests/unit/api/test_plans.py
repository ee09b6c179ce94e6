from pathlib import Path

from linkspan.model.requests import CreateSandbox
from tests.support.engines import World
from tests.unit.api.client import api_client


async def test_a_plan_prints_what_would_be_typed_and_changes_nothing() -> None:
    async with api_client() as client:
        before = await client.world.snapshot(client.engine)
        plan = (await client.post("/linkspan/v1/plan/networks/create", {"Name": "n1"})).json
        assert {k: plan["Operations"][0][k] for k in ("Verb", "Implied")} == {"Verb": "add", "Implied": False}
        assert any(line.startswith("ip link add") for line in plan["Lines"])
        assert await client.world.snapshot(client.engine) == before


async def test_every_change_of_a_network_can_be_planned() -> None:
    async with api_client() as client:
        await client.engine.apply(CreateSandbox("c1"))
        await client.post("/networks/create", {"Name": "n1"})
        before = await client.world.snapshot(client.engine)
        for method, path, body in (
            ("POST", "networks/n1/connect", {"Container": "c1"}),
            ("POST", "networks/bridge/disconnect", {"Container": "c1"}),
            ("DELETE", "networks/n1", None),
            ("POST", "networks/prune", None),
        ):
            plan = await client.ask(method, f"/linkspan/v1/plan/{path}", body)
            assert plan.status == 200 and plan.json["Operations"] and plan.json["Lines"], path
        assert await client.world.snapshot(client.engine) == before


async def test_a_plan_is_refused_as_the_request_is() -> None:
    async with api_client() as client:
        for path, body in (("networks/create", {"Name": "bridge"}), ("networks/nosuch/connect", {"Container": "c"})):
            planned = await client.post(f"/linkspan/v1/plan/{path}", body)
            done = await client.post(f"/{path}", body)
            assert (planned.status, planned.json) == (done.status, done.json)


async def test_a_container_that_cannot_be_is_not_planned(tmp_path: Path) -> None:
    async with api_client() as client:
        body = {"Rootfs": str(tmp_path), "Cmd": ["true"]}
        for name in ("c", "/c1/"):
            planned = await client.post(f"/linkspan/v1/plan/containers/create?name={name}", body)
            done = await client.post(f"/containers/create?name={name}", body)
            assert (planned.status, planned.json) == (done.status, done.json)
            assert planned.status == 400


async def test_the_status_shows_bridges_sandboxes_addresses_and_ports() -> None:
    async with api_client(World()) as client:
        sandbox = await client.engine.apply(CreateSandbox("c1", publish=["8080:80"]))
        status = (await client.get("/linkspan/v1/status")).json
    bridge, shown = status["Bridges"][0], status["Sandboxes"][0]
    assert (bridge["Name"], bridge["Network"], bridge["Members"]) == ("docker0", "bridge", 1)
    assert (shown["Id"], shown["Name"], shown["Mode"]) == (sandbox.id, "c1", "bridge")
    assert shown["Interfaces"][0]["Addresses"] == [str(address) for address in sandbox.endpoints[0].addresses]
    assert shown["Ports"] == ["0.0.0.0:8080->80/tcp"]
