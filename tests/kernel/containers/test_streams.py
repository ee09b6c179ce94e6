"""What goes into a process and comes out of it: logs, attach, exec."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from linkspan.containers.attach import Attachment
from linkspan.model.containers import ExecRequest
from linkspan.model.errors import ConflictError, InvalidError, NotFoundError
from tests.support.container_hosts import ContainerHost
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow

MUCH = 3_000_000


async def everything(streams: Attachment) -> dict[int, bytes]:
    said = {1: b"", 2: b""}
    async with asyncio.timeout(PATIENCE):
        async for stream, data in streams:
            said[stream] += data
    return said


async def ended(place: ContainerHost, *argv: str, **fields: object) -> None:
    await place.create(*argv, name="web", **fields)
    exit = place.containers.wait("web", "next-exit")
    await place.containers.start("web")
    await asyncio.wait_for(exit, PATIENCE)


async def test_logs_keep_streams_times_and_unfinished_lines(place: ContainerHost) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    await ended(place, "sh", "-c", "echo out; echo err >&2; printf unfinished")
    assert set(await place.log("web")) == {(1, b"out\n"), (2, b"err\n"), (1, b"unfinished")}
    stamps = [
        datetime.fromisoformat(line[:26].decode() + "+00:00") for _, line in await place.log("web", timestamps=True)
    ]
    assert len(stamps) == 3 and all(before <= stamp <= datetime.now(UTC) for stamp in stamps)


async def test_logs_are_selected_by_stream_number_and_time(place: ContainerHost) -> None:
    await ended(place, "sh", "-c", "echo 1; echo 2; echo 3; echo e >&2")
    assert [line for _, line in await place.log("web", stderr=False, tail=2)] == [b"2\n", b"3\n"]
    assert [line for _, line in await place.log("web", stdout=False)] == [b"e\n"]
    assert await place.log("web", tail=0) == []
    assert await place.log("web", since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert await place.log("web", until=datetime.now(UTC) - timedelta(hours=1)) == []


async def test_followed_logs_end_with_the_container(place: ContainerHost) -> None:
    await place.run("sh", "-c", "echo one; read line; echo two", name="web", open_stdin=True, stdin_once=True)
    seen: list[bytes] = []
    streams = await place.containers.attach("web", stdin=True)
    async with asyncio.timeout(PATIENCE):
        async for chunk in place.containers.logs("web", follow=True):
            seen += chunk.lines
            if len(seen) == 1:
                await streams.write(b"go on\n")
    assert seen == [b"one\n", b"two\n"]
    await streams.close()


async def test_logs_of_what_never_ran_are_empty(place: ContainerHost) -> None:
    await place.create(name="web")
    assert await place.log("web", follow=True) == []
    with pytest.raises(NotFoundError, match=r"^No such container: nosuch$"):
        place.containers.logs("nosuch")


async def test_who_attaches_before_the_start_misses_nothing(place: ContainerHost) -> None:
    await place.create("sh", "-c", "echo out; echo err >&2", name="web", auto_remove=True)
    streams = await place.containers.attach("web")
    await place.containers.start("web")
    assert await everything(streams) == {1: b"out\n", 2: b"err\n"}
    await streams.close()


async def test_the_streams_of_a_start_that_fails_end(place: ContainerHost) -> None:
    await place.create("nosuchcmd", name="web")
    streams = await place.containers.attach("web")
    with pytest.raises(InvalidError):
        await place.containers.start("web")
    assert await everything(streams) == {1: b"", 2: b""}


async def test_much_data_goes_in_and_comes_out_unchanged(place: ContainerHost) -> None:
    await place.create("cat", name="web", open_stdin=True, stdin_once=True)
    streams = await place.containers.attach("web", stdin=True)
    await place.containers.start("web")
    data = bytes(range(256)) * (MUCH // 256)
    async with asyncio.TaskGroup() as tasks:

        async def write() -> None:
            await streams.write(data)
            await streams.close_stdin()

        tasks.create_task(write())
        said = await everything(streams)
    assert said[1] == data
    assert (await place.containers.wait("web"))[0] == 0


async def test_a_client_that_goes_away_does_not_end_the_process(place: ContainerHost) -> None:
    await place.run("sh", "-c", "echo ready; exec cat", name="web", open_stdin=True)
    streams = await place.containers.attach("web", stdin=True)
    await streams.close()
    again = await place.containers.attach("web", stdin=True)
    await again.write(b"still there\n")
    await place.until_written("web", "still there")
    await again.close()


async def test_a_client_that_does_not_read_does_not_keep_the_container(
    place: ContainerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkspan.containers.monitor.DRAIN_SECONDS", 0.1)
    await place.run("sh", "-c", "read go; cat /dev/zero", name="web", open_stdin=True)
    streams = await place.containers.attach("web", stdin=True)
    await streams.write(b"go\n")
    await place.until_written("web", "\0")
    async with asyncio.timeout(PATIENCE):
        await place.containers.kill("web")
    await streams.close()


async def test_a_terminal_has_a_size_and_one_stream(place: ContainerHost) -> None:
    await place.create("sh", "-c", "read line; stty size; echo err >&2", name="web", tty=True, open_stdin=True)
    streams = await place.containers.attach("web", stdin=True)
    await place.containers.start("web")
    await place.containers.resize("web", 33, 100)
    await streams.write(b"go\n")
    said = await everything(streams)
    assert said[1].replace(b"\r\n", b"\n") == b"go\n33 100\nerr\n" and said[2] == b""


async def test_exec_has_an_exit_status_and_two_streams(place: ContainerHost) -> None:
    await place.run(name="web", env=["A=b"], workdir="/tmp")
    session = await place.containers.exec_create(
        "web", ExecRequest(("sh", "-c", "pwd; echo $A $C; echo err >&2; exit 4"), env=("C=d",))
    )
    streams = await place.containers.exec_start(session.id)
    assert streams is not None
    assert await everything(streams) == {1: b"/tmp\nb d\n", 2: b"err\n"}
    after = place.containers.exec(session.id)
    assert (after.running, after.exit_code) == (False, 4) and after.pid > 0
    with pytest.raises(ConflictError):
        await place.containers.exec_start(session.id)


async def test_exec_reads_what_is_sent_to_it(place: ContainerHost) -> None:
    await place.run(name="web")
    session = await place.containers.exec_create("web", ExecRequest(("cat",), attach_stdin=True))
    streams = await place.containers.exec_start(session.id)
    assert streams is not None
    await streams.write(b"data\n")
    await streams.close_stdin()
    assert (await everything(streams))[1] == b"data\n"


async def test_exec_on_a_terminal(place: ContainerHost) -> None:
    await place.run(name="web")
    session = await place.containers.exec_create(
        "web", ExecRequest(("sh", "-c", "read line; stty size; tty"), attach_stdin=True, tty=True)
    )
    streams = await place.containers.exec_start(session.id)
    assert streams is not None
    await place.containers.exec_resize(session.id, 44, 120)
    await streams.write(b"go\n")
    said = (await everything(streams))[1].replace(b"\r\n", b"\n")
    assert said.startswith(b"go\n44 120\n/dev/pts/")


async def test_exec_of_a_missing_program_says_so_in_the_stream(place: ContainerHost) -> None:
    await place.run(name="web")
    status, said = await place.exec("web", "nosuchcmd")
    assert status == 127
    assert said.startswith(b"OCI runtime exec failed: ") and b'"nosuchcmd": executable file not found in $PATH' in said


async def test_exec_detached_returns_once_it_runs(place: ContainerHost) -> None:
    await place.run(name="web")
    session = await place.containers.exec_create("web", ExecRequest(("sh", "-c", "echo x > /made; exec sleep 1000")))
    assert await place.containers.exec_start(session.id, detach=True) is None
    assert place.containers.exec(session.id).running
    async with asyncio.timeout(PATIENCE):
        while (await place.exec("web", "test", "-s", "/made"))[0] != 0:
            continue


async def test_exec_needs_a_running_container_and_a_command(place: ContainerHost) -> None:
    container = await place.create(name="web")
    with pytest.raises(ConflictError, match=rf"^container {container.id} is not running$"):
        await place.containers.exec_create("web", ExecRequest(("true",)))
    await place.containers.start("web")
    with pytest.raises(InvalidError, match=r"^No exec command specified$"):
        await place.containers.exec_create("web", ExecRequest(()))


async def test_a_container_that_ends_takes_its_execs_along(place: ContainerHost) -> None:
    await place.run(name="web")
    session = await place.containers.exec_create("web", ExecRequest(("sleep", "1000")))
    streams = await place.containers.exec_start(session.id)
    assert streams is not None
    await place.containers.stop("web", timeout=0)
    await everything(streams)
    assert not place.containers.exec(session.id).running
