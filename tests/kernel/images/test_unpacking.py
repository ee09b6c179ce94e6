"""Images through the real skopeo and umoci: what layers hold survives, and what is broken leaves nothing."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from linkspan.images.buildah import Buildah
from linkspan.images.core import Images, Surroundings
from linkspan.images.skopeo import Skopeo
from linkspan.images.umoci import Umoci
from linkspan.lab.hosts import lab
from linkspan.model.errors import InvalidError, NotFoundError
from linkspan.model.images import Platform
from linkspan.model.references import parse_reference
from linkspan.wiring import open_kernel, unpack_context
from tests.fakes.builds import MemoryNetworks
from tests.fakes.images import MemoryImageStore
from tests.support.images import Entry, Picture, archive, digest, layer
from tests.support.packets import Site
from tests.support.registry import PORT, publish, registry
from tests.unit.images.gallery import pieces

CAPABILITY = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
"""`cap_net_bind_service=ep`, as the attribute security.capability holds it."""


@asynccontextmanager
async def opened(root: Path, store: MemoryImageStore | None = None) -> AsyncIterator[tuple[Images, Site]]:
    """Images on the machine of a lab."""
    async with lab(open_kernel) as hosts:
        kernel = await open_kernel(namespace=hosts.machine.namespace, exec_root=root / "exec")
        try:
            images = Images(
                data_root=root,
                store=store or MemoryImageStore(),
                transport=Skopeo(kernel),
                unpacker=Umoci(kernel),
                builds=(Buildah(kernel, lambda: "runc"), partial(unpack_context, kernel), MemoryNetworks()),
                surroundings=Surroundings(
                    lambda: datetime.now(UTC), lambda: (), lambda event: None, Platform("linux", "amd64")
                ),
            )
            async with images.running():
                yield images, Site("machine", hosts.machine.namespace)
        finally:
            await kernel.close()


async def unpacked(images: Images, *layers: bytes) -> Path:
    """The files of an image with these layers."""
    (loaded,) = await images.load(pieces(archive([(Picture(layers), [])]), 1 << 20))
    return images.root(loaded.image)


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


async def test_what_a_layer_whites_out_is_gone(tmp_path: Path) -> None:
    below = layer(*(Entry(name, b"x") for name in ("a", "b", "d/1", "d/2", "e/1", "e/f/2")))
    above = layer(Entry(".wh.a"), Entry("d/.wh.1"), Entry("e/.wh..wh..opq"), Entry("e/3", b"y"))
    async with opened(tmp_path) as (images, _):
        assert names(await unpacked(images, below, above)) == {"b", "d", "d/2", "e", "e/3"}


async def test_links_owners_modes_and_attributes_survive(tmp_path: Path) -> None:
    entries = (
        Entry("su", b"x", 0o4755),
        Entry("same", hard="su"),
        Entry("soft", link="/etc/su"),
        Entry("theirs/", mode=0o1777, uid=1000, gid=70),
        Entry("able", b"x", 0o755, xattrs={"security.capability": CAPABILITY, "user.note": "kept"}),
    )
    async with opened(tmp_path) as (images, _):
        root = await unpacked(images, layer(*entries))
        found = (root / "su").stat()
        assert stat.S_IMODE(found.st_mode) == 0o4755 and found.st_nlink == 2
        assert (root / "same").stat().st_ino == found.st_ino
        assert (root / "soft").readlink() == Path("/etc/su")
        theirs = (root / "theirs").stat()
        assert (stat.S_IMODE(theirs.st_mode), theirs.st_uid, theirs.st_gid) == (0o1777, 1000, 70)
        assert os.getxattr(root / "able", "security.capability") == CAPABILITY.encode("latin-1")
        assert os.getxattr(root / "able", "user.note") == b"kept"


async def test_a_layer_replaces_files_and_links_of_those_below(tmp_path: Path) -> None:
    below = layer(Entry("file", b"old"), Entry("link", link="file"), Entry("dir/x", b"1"))
    above = layer(Entry("file", b"new"), Entry("link", b"now a file"), Entry("dir/y", b"2"))
    async with opened(tmp_path) as (images, _):
        root = await unpacked(images, below, above)
        assert (root / "file").read_text() == "new" and (root / "link").read_text() == "now a file"
        assert names(root) == {"file", "link", "dir", "dir/x", "dir/y"}


@pytest.mark.parametrize(
    "entries",
    [
        (Entry("../../../escaped", b"x"),),
        (Entry("out", link="/"), Entry("out/escaped", b"x")),
        (Entry("out", link="../../../.."), Entry("out/escaped", b"x")),
    ],
)
async def test_nothing_is_written_outside(tmp_path: Path, entries: tuple[Entry, ...]) -> None:
    async with opened(tmp_path) as (images, _):
        with suppress(InvalidError):
            await unpacked(images, layer(*entries))
    found = {str(path) for top in ("/", str(tmp_path)) for path in outside(Path(top), tmp_path / "images/roots")}
    assert found == set()


def outside(top: Path, roots: Path) -> list[Path]:
    """Where a file was written that should not have been."""
    found = [top / "escaped"] if top == Path("/") else list(top.rglob("escaped"))
    return [path for path in found if path.exists() and not path.is_relative_to(roots)]


async def test_an_image_without_layers_is_an_empty_directory(tmp_path: Path) -> None:
    async with opened(tmp_path) as (images, _):
        assert names(await unpacked(images)) == set()


ONE = Picture([layer(Entry("bin/one", b"x" * 100_000, 0o755))])


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"x" * 100, b"y" * 100, 1),
        lambda data: data.replace(b'"linux"', b'"limux"'),
        lambda data: data.replace(b"manifest.json", b"manifest.jsom"),
        lambda data: b"",
    ],
    ids=["cut", "layer", "config", "index", "empty"],
)
async def test_a_damaged_archive_is_refused_and_leaves_nothing(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    async with opened(tmp_path) as (images, _):
        with pytest.raises(InvalidError):
            await images.load(pieces(damage(archive([(ONE, ["one:1"])])), 1 << 20))
        assert images.all() == []
    assert [path for path in (tmp_path / "images").rglob("*") if path.is_file()] == []


async def test_a_load_that_is_cut_off_leaves_nothing_to_the_next_start(tmp_path: Path) -> None:
    store = MemoryImageStore()
    async with opened(tmp_path, store) as (images, _):
        stalled = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield archive([(ONE, ["one:1"])])[:1000]
            stalled.set()
            await asyncio.Event().wait()

        async with asyncio.TaskGroup() as tasks:
            loading = tasks.create_task(images.load(slowly()))
            await stalled.wait()
            loading.cancel()
    async with opened(tmp_path, store) as (images, _):
        assert images.all() == []
        assert [path for path in (tmp_path / "images").rglob("*") if path.is_file()] == []


async def test_the_image_for_the_machine_is_pulled_from_a_list(tmp_path: Path) -> None:
    other = Picture([layer(Entry("bin/other", b"y", 0o755))], architecture="arm64", variant="v8")
    name = parse_reference(f"127.0.0.1:{PORT}/tool:1")
    async with opened(tmp_path) as (images, site), registry(site, tmp_path / "registry"):
        listed = await asyncio.to_thread(publish, site, "tool", [other, ONE], "1")
        said = [each.status async for each in images.pull(name)]
        assert f"Digest: {listed}" in said
        assert images.get(name.familiar).id == ONE.id
        said = [each.status async for each in images.pull(name, "linux/arm64")]
        assert names(images.root(images.get(name.familiar))) == {"bin", "bin/other"}
        with pytest.raises(NotFoundError, match="no matching manifest for linux/s390x"):
            _ = [each async for each in images.pull(name, "linux/s390x")]


async def test_layers_packed_with_zstd_are_kept_as_they_came(tmp_path: Path) -> None:
    packed = Picture([layer(Entry("bin/a", b"x")), layer(Entry("bin/b", b"y" * 5000))], zstd=True)
    name = parse_reference(f"127.0.0.1:{PORT}/tool:1")
    async with opened(tmp_path) as (images, site), registry(site, tmp_path / "registry"):
        await asyncio.to_thread(publish, site, "tool", [packed], "1")
        _ = [each async for each in images.pull(name)]
        image = images.get(name.familiar)
        assert names(images.root(image)) == {"bin", "bin/a", "bin/b"} and image.size == 5001
        assert [each.digest for each in image.layers] == [digest(each) for each in packed.packed()]


async def test_layers_that_are_here_are_not_fetched_again(tmp_path: Path) -> None:
    more = Picture([*ONE.layers, layer(Entry("bin/more", b"z", 0o755))])
    async with opened(tmp_path) as (images, site), registry(site, tmp_path / "registry"):
        await asyncio.to_thread(publish, site, "tool", [ONE], "1")
        await asyncio.to_thread(publish, site, "tool", [more], "2")
        said: list[str] = []
        for tag in ("1", "2"):
            name = parse_reference(f"127.0.0.1:{PORT}/tool:{tag}")
            said = [f"{each.id} {each.status}" async for each in images.pull(name)]
        shared, own = (digest(each)[7:19] for each in more.packed())
        assert f"{shared} Already exists" in said and f"{own} Pull complete" in said
        assert not any(f"{shared} Pull" in each for each in said)
        assert names(images.root(images.get(more.id))) == {"bin", "bin/one", "bin/more"}
