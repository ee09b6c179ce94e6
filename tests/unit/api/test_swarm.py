"""Swarm and plugins: Docker's answers of a machine that has neither."""

import pytest

from tests.unit.api.client import api_client

MANAGER = "This node is not a swarm manager."


@pytest.mark.parametrize("noun", ["services", "tasks", "nodes", "secrets", "configs"])
async def test_what_only_a_manager_knows_is_503(noun: str) -> None:
    async with api_client() as client:
        replies = [
            await client.get(f"/v1.41/{noun}"),
            await client.get(f"/{noun}/x"),
            await client.post(f"/{noun}/create", {}),
            await client.post(f"/{noun}/x/update?version=1", {}),
            await client.ask("DELETE", f"/{noun}/x"),
        ]
    assert [reply.status for reply in replies] == [503] * 5
    assert all(reply.message.startswith(MANAGER) for reply in replies)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/swarm", 503, MANAGER),
        ("GET", "/swarm/unlockkey", 503, MANAGER),
        ("POST", "/swarm/update", 503, MANAGER),
        ("POST", "/swarm/leave", 503, "This node is not part of a swarm"),
        ("POST", "/swarm/init", 501, "swarm mode is not supported"),
        ("POST", "/swarm/join", 501, "swarm mode is not supported"),
        ("GET", "/plugins/a/b/json", 404, 'plugin "a/b" not found'),
        ("POST", "/plugins/x/enable", 404, 'plugin "x" not found'),
        ("DELETE", "/plugins/x", 404, 'plugin "x" not found'),
        ("GET", "/plugins/privileges?remote=x", 501, "plugins are not supported"),
        ("POST", "/plugins/pull?remote=x", 501, "plugins are not supported"),
    ],
)
async def test_the_rest_says_what_it_is(method: str, path: str, status: int, message: str) -> None:
    async with api_client() as client:
        reply = await client.ask(method, path)
    assert reply.status == status and reply.message.startswith(message)
