"""Volumes: what is in them, who has them, and when they go."""

import asyncio
import os

import pytest

from linkspan.containers.layout import Layout
from linkspan.kernel.mounts import mount_bind
from linkspan.model.containers import Mount, MountKind
from linkspan.model.errors import ConflictError, NotFoundError
from tests.support.container_hosts import ContainerHost

pytestmark = pytest.mark.slow


def volume(name: str, target: str, *, read_only: bool = False, copy: bool = True) -> Mount:
    return Mount(MountKind.VOLUME, target, name, read_only=read_only, copy=copy)


def part(subpath: str, target: str = "/part") -> Mount:
    return Mount(MountKind.VOLUME, target, "v1", subpath=subpath, detailed=True)


async def prepared(place: ContainerHost) -> None:
    """A volume with a directory, a file and links in it."""
    made = "mkdir -p /data/a/b; echo inner >/data/a/b/f; ln -s /a/b /data/in; ln -s /../../../../../../etc /data/out"
    await place.output("sh", "-c", made, mounts=[volume("v1", "/data")])


def mounted(place: ContainerHost, name: str) -> bool:
    return os.path.ismount(place.containers.volumes.locate(name))


async def test_a_volume_outlives_its_containers(place: ContainerHost) -> None:
    await place.output("sh", "-c", "echo kept >/data/f", mounts=[volume("v1", "/data")])
    assert await place.output("cat", "/data/f", mounts=[volume("v1", "/data", read_only=True)]) == "kept\n"
    said = await place.output("sh", "-c", "touch /data/x 2>&1", mounts=[volume("v1", "/data", read_only=True)])
    assert "Read-only file system" in said
    await place.containers.volumes.remove("v1")
    assert not place.containers.volumes.locate("v1").exists()


async def test_an_empty_volume_is_filled_with_what_was_there(place: ContainerHost) -> None:
    home = place.rootfs / "home/ann"
    (home / "note").write_text("hello")
    os.chown(home / "note", 1000, 1000)
    os.chown(home, 1000, 1000)
    home.chmod(0o750)
    (home / "link").symlink_to("/etc/passwd")
    said = await place.output(
        *("stat", "-c", "%n %a %u:%g", "/d", "/d/note"), mounts=[volume("v1", "/home/ann"), volume("v2", "/d")]
    )
    assert said.splitlines()[0] == "/d 755 0:0"
    filled = place.containers.volumes.locate("v1")
    assert sorted(path.name for path in filled.iterdir()) == ["link", "note"]
    assert (filled / "link").is_symlink() and (filled / "note").stat().st_uid == 1000
    assert (filled.stat().st_uid, filled.stat().st_mode & 0o777) == (1000, 0o750)


async def test_a_volume_is_left_empty_when_that_is_asked_for(place: ContainerHost) -> None:
    await place.output("true", mounts=[volume("v1", "/home", copy=False)])
    assert list(place.containers.volumes.locate("v1").iterdir()) == []


async def test_what_a_volume_has_is_not_overwritten(place: ContainerHost) -> None:
    await place.output("sh", "-c", "echo mine >/data/f", mounts=[volume("v1", "/data")])
    await place.output("true", mounts=[volume("v1", "/home")])
    assert [path.name for path in place.containers.volumes.locate("v1").iterdir()] == ["f"]


async def test_a_link_in_the_root_file_system_does_not_lead_out_of_it(place: ContainerHost) -> None:
    (place.rootfs / "trap").symlink_to("/etc")
    await place.output("true", mounts=[volume("v1", "/trap")])
    assert min(path.name for path in place.containers.volumes.locate("v1").iterdir()) == "group"
    assert not (place.containers.volumes.locate("v1") / "debian_version").exists()


async def test_a_nameless_volume_goes_with_its_container_if_asked_and_with_auto_remove(place: ContainerHost) -> None:
    nameless = Mount(MountKind.VOLUME, "/data", anonymous=True)
    kept, gone = await place.create(mounts=[nameless]), await place.create(mounts=[nameless])
    assert len(place.containers.volumes.all()) == 2
    await place.containers.remove(kept.id)
    await place.containers.remove(gone.id, volumes=True)
    assert [volume.name for volume in place.containers.volumes.all()] == [kept.wanted.mounts[0].source]
    box = await place.create("true", mounts=[nameless], auto_remove=True)
    removed = place.containers.wait(box.id, "removed")
    await place.containers.start(box.id)
    await removed
    assert len(place.containers.volumes.all()) == 1


async def test_a_volume_in_use_stays(place: ContainerHost) -> None:
    box = await place.create(mounts=[volume("v1", "/data")])
    with pytest.raises(ConflictError, match=f"volume is in use - \\[{box.id}\\]"):
        await place.containers.volumes.remove("v1")
    await place.containers.remove(box.id, volumes=True)
    assert place.containers.volumes.users("v1") == []
    await place.containers.volumes.remove("v1")
    with pytest.raises(NotFoundError, match="get v1: no such volume"):
        place.containers.volumes.get("v1")


async def test_volumes_of_another_container(place: ContainerHost) -> None:
    await place.run("sh", "-c", "echo theirs >/data/f; sleep 1000", name="other", mounts=[volume("v1", "/data")])
    await place.exec("other", "sh", "-c", "until test -e /data/f; do sleep 0.01; done")
    assert await place.output("cat", "/data/f", volumes_from=["other"]) == "theirs\n"
    said = await place.output("sh", "-c", "touch /data/x 2>&1", volumes_from=["other:ro"])
    assert "Read-only file system" in said


async def test_a_volume_with_options_is_mounted_while_somebody_has_it(place: ContainerHost) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    await place.containers.volumes.create("v1", options=options)
    box = await place.run(mounts=[volume("v1", "/data")])
    said = await place.exec(box.id, "mount")
    assert b"tmpfs on /data type tmpfs (rw" in said[1] and b"size=1024k" in said[1]
    assert mounted(place, "v1")
    await place.close()
    await place.open()
    await place.containers.stop(box.id, timeout=0)
    assert not mounted(place, "v1")


async def test_volumes_are_remembered(place: ContainerHost) -> None:
    made = await place.containers.volumes.create("v1", labels={"a": "b"})
    leaving = place.data_root / "volumes/.leaving-v2"
    (leaving / "_data").mkdir(parents=True)
    await place.close()
    await place.open()
    assert place.containers.volumes.get("v1") == made
    assert not leaving.exists()


async def test_events_of_volumes(place: ContainerHost) -> None:
    box = await place.run(mounts=[volume("v1", "/data")])
    await place.containers.stop(box.id, timeout=0)
    await place.containers.remove(box.id)
    await place.containers.volumes.remove("v1")
    await asyncio.sleep(0)
    happened = [event for event in place.events if event.type == "volume"]
    assert [event.action for event in happened] == ["create", "mount", "unmount", "destroy"]
    assert dict(happened[1].attributes) == {
        "container": box.id,
        "destination": "/data",
        "driver": "local",
        "propagation": "",
        "read/write": "true",
    }


async def test_a_part_of_a_volume_is_all_that_is_seen_of_it(place: ContainerHost) -> None:
    await prepared(place)
    made = "ls /part; echo more >/part/g; cat /file"
    assert await place.output("sh", "-c", made, mounts=[part("a/b"), part("a/b/f", "/file")]) == "f\ninner\n"
    assert (place.containers.volumes.locate("v1") / "a/b/g").read_text() == "more\n"
    assert place.leftovers() == []


async def test_a_link_to_a_part_is_followed_inside_the_volume(place: ContainerHost) -> None:
    await prepared(place)
    assert await place.output("ls", "/part", mounts=[part("in")]) == "f\n"


async def test_a_link_out_of_a_volume_reaches_nothing(place: ContainerHost) -> None:
    await prepared(place)
    box = await place.create(mounts=[part("out")])
    with pytest.raises(NotFoundError, match=r"cannot access path /.*/v1/_data/out: no such file or directory"):
        await place.containers.start(box.id)
    with pytest.raises(NotFoundError, match="cannot access path"):
        await place.containers.archives.stat(box.id, "/part")
    assert place.leftovers() == []


async def test_a_part_is_not_filled_and_is_reached_while_nothing_runs(place: ContainerHost) -> None:
    await prepared(place)
    box = await place.create(mounts=[part("a", "/home")])
    assert (await place.containers.archives.stat(box.id, "/home/b/f")).size == 6
    await place.containers.start(box.id)
    assert [path.name for path in (place.containers.volumes.locate("v1") / "a").iterdir()] == ["b"]


async def test_a_pin_that_a_crash_left_does_not_take_the_volume_with_it(place: ContainerHost) -> None:
    await prepared(place)
    box = await place.create(mounts=[part("a")])
    pin = Layout(place.data_root, place.exec_root).of(box.id).parts / "0"
    pin.mkdir(parents=True)
    mount_bind(place.containers.volumes.locate("v1") / "a", pin, read_only=False)
    await place.close()
    await place.open()
    assert (place.containers.volumes.locate("v1") / "a/b/f").read_text() == "inner\n"
    assert place.leftovers() == []
