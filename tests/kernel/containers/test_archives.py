"""Files into and out of containers that run and that do not, and what has changed in them."""

import io
import os
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from linkspan.model.containers import Mount, MountKind
from linkspan.model.errors import ForbiddenError, InvalidError, NotFoundError
from linkspan.model.files import ChangeKind
from tests.support.container_hosts import ContainerHost

pytestmark = pytest.mark.slow

VOLUME = Mount(MountKind.VOLUME, "/data", "v1")


def archive(**files: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid, info.gid = len(text), 0o640, 1000, 1000
            tar.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 1000):
        yield data[at : at + 1000]


async def put(
    place: ContainerHost, id: str, path: str, *, keep_kinds: bool = False, own: bool = False, **files: str
) -> None:
    await place.containers.archives.unpack(id, path, chunks(archive(**files)), keep_kinds=keep_kinds, own=own)


async def got(place: ContainerHost, id: str, path: str) -> dict[str, tarfile.TarInfo]:
    async with place.containers.archives.pack(id, path) as (_, stream):
        data = b"".join([chunk async for chunk in stream])
    return {info.name: info for info in tarfile.open(fileobj=io.BytesIO(data))}


@pytest.mark.parametrize("runs", [True, False])
async def test_files_go_in_and_come_out_volumes_included(place: ContainerHost, runs: bool) -> None:
    box = await (place.run if runs else place.create)(mounts=[VOLUME])
    for path in ("/home", "/data"):
        await put(place, box.id, path, note="hello")
        found = await got(place, box.id, f"{path}/note")
        assert (found["note"].size, found["note"].mode, found["note"].uid) == (5, 0o640, 1000)
    assert (place.containers.volumes.locate("v1") / "note").read_text() == "hello"
    if not runs:
        assert place.leftovers() == []
        await place.containers.start(box.id)
    assert await place.exec(box.id, "cat", "/home/note", "/data/note") == (0, b"hellohello")


async def test_a_directory_comes_with_its_name_or_without(place: ContainerHost) -> None:
    box = await place.create()
    assert sorted(await got(place, box.id, "/home")) == ["home", "home/ann"]
    assert sorted(await got(place, box.id, "/home/")) == ["home", "home/ann"]
    assert sorted(await got(place, box.id, "/home/.")) == [".", "./ann"]


async def test_links_lead_nowhere_outside(place: ContainerHost) -> None:
    box = await place.run("sh", "-c", "ln -s / /tmp/up; ln -s ../../../../../etc /tmp/far; echo made; sleep 1000")
    await place.until_written(box.id, "made")
    assert (await got(place, box.id, "/tmp/far/passwd"))["passwd"].size == (place.rootfs / "etc/passwd").stat().st_size
    found = await place.containers.archives.stat(box.id, "/tmp/far")
    assert found.link_target == "/etc"
    await put(place, box.id, "/tmp/up", escaped="bad")
    assert "escaped" not in os.listdir("/")  # noqa: PTH208
    assert (await place.exec(box.id, "cat", "/escaped"))[1] == b"bad"


async def test_files_can_belong_to_the_containers_user(place: ContainerHost) -> None:
    box = await place.create(user="ann")
    await put(place, box.id, "/tmp", own=True, note="x")
    assert (await got(place, box.id, "/tmp/note"))["note"].uid == 1000
    root = await place.create()
    await put(place, root.id, "/tmp", own=True, note="x")
    assert (await got(place, root.id, "/tmp/note"))["note"].uid == 0


async def test_what_cannot_be_is_refused(place: ContainerHost) -> None:
    box = await place.run(read_only=True, mounts=[VOLUME])
    with pytest.raises(NotFoundError, match="Could not find the file /nosuch in container"):
        await put(place, box.id, "/nosuch", f="x")
    with pytest.raises(InvalidError, match="extraction point is not a directory"):
        await put(place, box.id, "/etc/passwd", f="x")
    with pytest.raises(ForbiddenError, match="container rootfs is marked read-only"):
        await put(place, box.id, "/etc", f="x")
    await put(place, box.id, "/data", f="x")
    await place.containers.stop(box.id, timeout=0)
    with pytest.raises(ForbiddenError, match="container rootfs is marked read-only"):
        await put(place, box.id, "/etc", f="x")


async def test_nothing_is_put_into_a_volume_that_is_read_only(place: ContainerHost) -> None:
    box = await place.run(mounts=[replace(VOLUME, read_only=True)])
    with pytest.raises(ForbiddenError, match="mounted volume is marked read-only"):
        await put(place, box.id, "/data", f="x")
    await place.containers.stop(box.id, timeout=0)
    with pytest.raises(ForbiddenError, match="mounted volume is marked read-only"):
        await put(place, box.id, "/data", f="x")


async def test_a_transfer_that_breaks_off_leaves_nothing_mounted(place: ContainerHost) -> None:
    box = await place.create()
    (place.rootfs / "big").write_bytes(b"x" * (4 << 20))
    async with place.containers.archives.pack(box.id, "/big") as (_, stream):
        assert await anext(stream)
    assert place.leftovers() == []


async def test_changes_are_told(place: ContainerHost) -> None:
    script = "rm /etc/passwd; echo x >>/etc/group; mkdir /srv; touch /srv/f; rm -r /home; mkdir /home; touch /home/f"
    box = await place.create("sh", "-c", script)
    ended = place.containers.wait(box.id, "next-exit")
    await place.containers.start(box.id)
    await ended
    letters = {ChangeKind.MODIFIED: "C", ChangeKind.ADDED: "A", ChangeKind.DELETED: "D"}
    found = [f"{letters[each.kind]} {each.path}" for each in await place.containers.archives.changes(box.id)]
    assert found == [
        "C /etc",
        "C /etc/group",
        "D /etc/passwd",
        "C /home",
        "A /home/f",
        "D /home/ann",
        "A /srv",
        "A /srv/f",
    ]


@pytest.mark.parametrize("runs", [True, False])
async def test_all_files_are_exported_without_volumes(place: ContainerHost, runs: bool) -> None:
    box = await (place.run if runs else place.create)(mounts=[VOLUME])
    await put(place, box.id, "/data", inside="x")
    await put(place, box.id, "/tmp", inside="x")
    async with place.containers.archives.export(box.id) as stream:
        data = b"".join([chunk async for chunk in stream])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
    assert "bin/busybox" in names and "tmp/inside" in names and "data" in names and "data/inside" not in names
    assert "proc" in names or not runs
    assert not [name for name in names if name.startswith("proc/")]
