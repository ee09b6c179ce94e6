"""Attach and exec: connections that stop being HTTP."""

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.api.streams import Escape, detach_keys
from linkspan.model.errors import InvalidError
from tests.support.patience import PATIENCE
from tests.unit.api.client import ApiClient, api_client
from tests.unit.api.fake_containers import Wire

UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\n"
    b"Content-Type: application/vnd.docker.%s-stream\r\n"
    b"Connection: Upgrade\r\n"
    b"Upgrade: tcp\r\n\r\n"
)


class Line:
    """A connection by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def read(self, count: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(count)

    async def rest(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def head(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(b"\r\n\r\n")


async def dial(client: ApiClient, path: str, body: object = None, *, upgrade: bool = True) -> Line:
    """Send a request that asks for a stream."""
    reader, writer = await asyncio.open_unix_connection(client.path)
    data = b"" if body is None else json.dumps(body).encode()
    head = [f"POST {path} HTTP/1.1", "Host: api", f"Content-Length: {len(data)}", "Content-Type: application/json"]
    head += ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else []
    writer.write("\r\n".join([*head, "", ""]).encode() + data)
    return Line(reader, writer)


async def running(client: ApiClient, rootfs: Path, **fields: object) -> Wire | None:
    body = {"Rootfs": str(rootfs), "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True, **fields}
    await client.post("/containers/create?name=c1", body)
    await client.post("/containers/c1/start")
    return None


async def wire_of(client: ApiClient) -> Wire:
    """The server's end of the only attachment."""
    async with asyncio.timeout(PATIENCE):
        while not client.containers.life("c1").wires:
            await client.get("/_ping")
    return client.containers.life("c1").wires[0]


async def forgotten(wire: Wire, client: ApiClient) -> None:
    """Wait until the server has let go of an attachment."""
    async with asyncio.timeout(PATIENCE):
        while not wire.closed:
            await client.get("/_ping")


ATTACH = "/containers/c1/attach?stream=1&stdin=1&stdout=1&stderr=1"


async def test_a_stream_goes_both_ways_and_ends_by_halves(tmp_path: Path) -> None:
    async with api_client() as client:
        await running(client, tmp_path)
        line = await dial(client, ATTACH)
        assert await line.head() == UPGRADED % b"multiplexed"
        line.writer.write(b"hello\n")
        assert await line.read(14) == b"\x01\0\0\0\0\0\0\x06hello\n"
        line.writer.write_eof()
        wire = await wire_of(client)
        async with asyncio.timeout(PATIENCE):
            await wire.input_closed.wait()
        assert await line.rest() == b""
        await forgotten(wire, client)
        line.writer.close()


async def test_much_data_passes_unchanged(tmp_path: Path) -> None:
    async with api_client() as client:
        await running(client, tmp_path, Tty=True)
        line = await dial(client, f"{ATTACH}&detachKeys=ctrl-%5D")
        await line.head()
        sent = bytes(range(256)).replace(b"\x1d", b"") * 8000
        line.writer.write(sent)
        assert await line.read(len(sent)) == sent
        line.writer.close()


async def test_a_terminal_is_raw(tmp_path: Path) -> None:
    async with api_client() as client:
        await running(client, tmp_path, Tty=True)
        line = await dial(client, ATTACH)
        assert await line.head() == UPGRADED % b"raw"
        client.containers.write("c1", 1, b"# ")
        assert await line.read(2) == b"# "
        line.writer.close()


async def test_clients_before_1_42_know_one_kind_of_stream(tmp_path: Path) -> None:
    async with api_client() as client:
        await running(client, tmp_path)
        line = await dial(client, f"/v1.41{ATTACH}")
        assert await line.head() == UPGRADED % b"raw"
        line.writer.close()


async def test_without_an_upgrade_the_stream_is_the_body(tmp_path: Path) -> None:
    async with api_client() as client:
        await running(client, tmp_path)
        line = await dial(client, "/containers/c1/attach?stream=1&stdout=1", upgrade=False)
        assert await line.head() == b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
        client.containers.write("c1", 1, b"x")
        assert await line.read(9) == b"\x01\0\0\0\0\0\0\x01x"
        line.writer.close()


async def test_the_detach_keys_end_the_stream_and_not_the_process(tmp_path: Path) -> None:
    async with api_client() as client:
        await running(client, tmp_path, Tty=True)
        line = await dial(client, ATTACH)
        await line.head()
        line.writer.write(b"ls\x10")
        assert await line.read(2) == b"ls"
        line.writer.write(b"\x11more")
        assert await line.rest() == b""
        assert (await client.get("/containers/c1/json")).json["State"]["Running"] is True
        line.writer.close()


async def test_the_stream_ends_with_the_process(tmp_path: Path) -> None:
    async with api_client() as client:
        await running(client, tmp_path)
        line = await dial(client, ATTACH)
        await line.head()
        client.containers.write("c1", 2, b"last")
        await client.containers.end("c1")
        assert await line.rest() == b"\x02\0\0\0\0\0\0\x04last"
        line.writer.close()


async def test_a_client_may_attach_before_the_start(tmp_path: Path) -> None:
    async with api_client() as client:
        await client.post("/containers/create?name=c1", {"Rootfs": str(tmp_path), "Cmd": ["say", "first"]})
        line = await dial(client, "/containers/c1/attach?stream=1&stdout=1")
        await line.head()
        await client.post("/containers/c1/start")
        assert await line.read(14) == b"\x01\0\0\0\0\0\0\x06first\n"
        line.writer.close()


@pytest.mark.parametrize("half_closed", [False, True])
async def test_a_client_that_vanishes_is_noticed_even_in_silence(tmp_path: Path, half_closed: bool) -> None:
    async with api_client() as client:
        await running(client, tmp_path)
        line = await dial(client, "/containers/c1/attach?stream=1&stdout=1")
        await line.head()
        wire = await wire_of(client)
        if half_closed:
            line.writer.write_eof()
            await client.get("/_ping")
            assert not wire.closed
        line.writer.close()
        await forgotten(wire, client)
        assert wire.closed


async def test_what_was_written_before_comes_first(tmp_path: Path) -> None:
    async with api_client() as client:
        await running(client, tmp_path)
        client.containers.write("c1", 1, b"old")
        line = await dial(client, "/containers/c1/attach?logs=1&stdout=1")
        await line.head()
        assert await line.rest() == b"\x01\0\0\0\0\0\0\x03old"
        line.writer.close()


async def test_a_process_more_runs_and_is_inspected(tmp_path: Path) -> None:
    async with api_client() as client:
        await running(client, tmp_path)
        wish = {"Cmd": ["say", "hi"], "AttachStdout": True, "AttachStderr": True, "User": "0:0", "Env": ["A=b"]}
        session = (await client.post("/containers/c1/exec", wish)).json["Id"]
        line = await dial(client, f"/exec/{session}/start", {"Detach": False, "Tty": False})
        assert await line.head() == UPGRADED % b"multiplexed"
        assert await line.rest() == b"\x01\0\0\0\0\0\0\x03hi\n"
        found = (await client.get(f"/exec/{session}/json")).json
        assert found == {
            "ID": session,
            "Running": True,
            "ExitCode": None,
            "ProcessConfig": {
                "tty": False,
                "entrypoint": "say",
                "arguments": ["hi"],
                "privileged": False,
                "user": "0:0",
            },
            "OpenStdin": False,
            "OpenStderr": True,
            "OpenStdout": True,
            "CanRemove": False,
            "ContainerID": client.containers.get("c1").id,
            "DetachKeys": "",
            "Pid": 2,
        }
        line.writer.close()


async def test_a_detached_process_has_no_stream(tmp_path: Path) -> None:
    async with api_client() as client:
        await running(client, tmp_path)
        session = (await client.post("/containers/c1/exec", {"Cmd": ["touch", "f"], "Detach": True})).json["Id"]
        reply = await client.post(f"/exec/{session}/start", {"Detach": True, "Tty": False})
        assert (reply.status, reply.body) == (200, b"")
        assert (await client.post(f"/exec/{session}/resize?h=1&w=1")).status == 200


async def test_an_error_before_the_stream_is_an_answer(tmp_path: Path) -> None:
    async with api_client() as client:
        line = await dial(client, "/containers/nosuch/attach?stream=1&stdout=1")
        assert (await line.head()).startswith(b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n")
        line.writer.close()


def test_detach_keys_are_what_a_terminal_sends() -> None:
    assert detach_keys("") == b"\x10\x11"
    assert detach_keys("ctrl-a,x,ctrl-[") == b"\x01x\x1b"


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-A", "ab", ",", "ctrl-p,", "é"])
def test_other_keys_are_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="Invalid detach keys"):
        detach_keys(text)


@given(st.binary(max_size=30).filter(lambda data: b"\x10\x11" not in data), st.lists(st.integers(0, 30), max_size=5))
def test_typing_in_pieces_loses_nothing(data: bytes, cuts: list[int]) -> None:
    escape = Escape(b"\x10\x11")
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    passed = b""
    for start, end in pairwise(places):
        piece, detached = escape.feed(data[start:end])
        passed += piece
        assert not detached
    assert passed + escape._held == data


@given(st.binary(max_size=10).filter(lambda data: b"\x10" not in data), st.integers(0, 12))
def test_the_keys_are_found_however_they_are_cut(before: bytes, cut: int) -> None:
    escape = Escape(b"\x10\x11")
    data = before + b"\x10\x11"
    first, early = escape.feed(data[:cut])
    second, late = (b"", True) if early else escape.feed(data[cut:])
    assert first + second == before and (early or late)


async def test_a_client_that_sends_what_nobody_reads_still_reads_to_the_end(tmp_path: Path) -> None:
    async with api_client() as client:
        await running(client, tmp_path, OpenStdin=False)
        line = await dial(client, ATTACH)
        await line.head()
        line.writer.write(bytes(2 << 20))  # more than the server takes without a reader
        client.containers.write("c1", 1, b"last")
        await client.containers.end("c1")
        assert await line.rest() == b"\x01\0\0\0\0\0\0\x04last"
        line.writer.close()
