import asyncio
import logging
from pathlib import Path

import pytest
from aiohttp import web

from linkspan.api.conventions import api_version, errors_as_answers
from linkspan.model.errors import InvalidError
from tests.unit.api.client import api_client


async def test_every_answer_says_who_speaks_which_version() -> None:
    async with api_client() as client:
        for method, path in (("GET", "/_ping"), ("GET", "/version"), ("GET", "/nowhere"), ("POST", "/networks/create")):
            reply = await client.ask(method, path)
            assert reply.headers["Server"] == "Linkspan/0.1.0 (linux)"
            assert reply.headers["Api-Version"] == "1.51"
            assert reply.headers["Ostype"] == "linux"
            assert reply.headers["Docker-Experimental"] == "false"
            assert "Date" in reply.headers


async def test_json_is_announced_without_a_charset() -> None:
    async with api_client() as client:
        for path in ("/version", "/networks/nosuch", "/nowhere"):
            reply = await client.get(path)
            assert reply.headers["Content-Type"] == "application/json"
            assert reply.body.endswith(b"\n")


async def test_an_unknown_path_or_method_is_a_page_not_found() -> None:
    async with api_client() as client:
        for method, path in (("GET", "/foo"), ("GET", "/v1.51/foo"), ("PUT", "/networks"), ("POST", "/version")):
            reply = await client.ask(method, path)
            assert (reply.status, reply.json) == (404, {"message": "page not found"})


async def test_paths_work_with_a_version_and_without() -> None:
    async with api_client() as client:
        for prefix in ("", "/v1.24", "/v1.41", "/v1.51"):
            assert (await client.get(f"{prefix}/networks")).status == 200


async def test_versions_outside_the_range_are_refused_in_dockers_words() -> None:
    async with api_client() as client:
        new = await client.get("/v1.99/networks")
        old = await client.get("/v1.23/networks")
    assert (new.status, new.message) == (
        400,
        "client version 1.99 is too new. Maximum supported API version is 1.51",
    )
    assert (old.status, old.message) == (
        400,
        "client version 1.23 is too old. Minimum supported API version is 1.24, "
        "please upgrade your client to a newer version",
    )


@pytest.mark.parametrize("text", ["", ".", "..", "1", "0.9", "1.", "9" * 40])
def test_odd_versions_are_refused(text: str) -> None:
    with pytest.raises(InvalidError, match=r"too (old|new)"):
        api_version(text)


async def test_ping_answers_ok_and_has_no_body_for_head() -> None:
    async with api_client() as client:
        got, headed = await client.get("/_ping"), await client.ask("HEAD", "/_ping")
    assert (got.status, got.body, headed.status, headed.body) == (200, b"OK", 200, b"")
    for reply in (got, headed):
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert reply.headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
        assert reply.headers["Pragma"] == "no-cache"


async def test_a_client_that_leaves_before_the_head_of_its_answer_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrived, answered = asyncio.Event(), asyncio.Event()

    async def late(request: web.Request) -> web.StreamResponse:
        arrived.set()
        while request.transport is not None:  # noqa: ASYNC110 - the server tells only by cancelling
            await asyncio.sleep(0)
        answered.set()
        response = web.StreamResponse()
        await response.prepare(request)
        return response

    app = web.Application(middlewares=[errors_as_answers])
    app.router.add_get("/late", late)
    runner = web.AppRunner(app, logger=logging.getLogger("server"))
    await runner.setup()
    try:
        await web.UnixSite(runner, str(tmp_path / "socket")).start()
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "socket"))
        writer.write(b"GET /late HTTP/1.1\r\nHost: api\r\n\r\n")
        await arrived.wait()
        writer.transport.abort()
        await answered.wait()
    finally:
        await runner.cleanup()
    assert caplog.records == []


async def test_long_paths_and_headers_are_read() -> None:
    many = "&".join(f"names=sha256:{number:064}" for number in range(1000))
    async with api_client() as client:
        assert (await client.get(f"/images/get?{many}")).status == 404
        assert (await client.ask("GET", "/_ping", headers={"X-Registry-Config": "e30" * 20_000})).status == 200
