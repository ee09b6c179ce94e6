"""OCI layouts, and archives that somebody has packed."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from linkspan.model.errors import InvalidError, NotFoundError
from tests.support.images import Entry, Picture, archive, digest, layer
from tests.unit.images.gallery import Gallery, pieces

ONE = Picture([layer(Entry("a", b"1"))])
TWO = Picture([layer(Entry("b", b"22"))])
OTHER = Picture(ONE.layers, architecture="s390x")
NAME, TAG = "io.containerd.image.name", "org.opencontainers.image.ref.name"


class Layout:
    """An OCI archive that is being written."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.listed: list[Mapping[str, Any]] = []

    def put(self, data: bytes, **fields: Any) -> Mapping[str, Any]:
        self.blobs[digest(data)] = data
        return {"digest": digest(data), "size": len(data), **fields}

    def image(self, picture: Picture) -> Mapping[str, Any]:
        for data in (picture.document, *picture.packed()):
            self.put(data)
        return self.put(picture.manifest(), platform={"os": "linux", "architecture": picture.architecture})

    def add(self, descriptor: Mapping[str, Any], **annotations: str) -> "Layout":
        self.listed.append({**descriptor, "annotations": annotations})
        return self

    def bytes(self) -> bytes:
        files = {f"blobs/sha256/{name[7:]}": data for name, data in self.blobs.items()}
        files["index.json"] = _index(self.listed)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(f"./{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return buffer.getvalue()


def _index(descriptors: list[Mapping[str, Any]]) -> bytes:
    kind = "application/vnd.oci.image.index.v1+json"
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": descriptors}).encode()


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(tmp_path)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
async def test_an_archive_may_be_compressed(gallery: Gallery, pack: Callable[[bytes], bytes]) -> None:
    async with gallery.open() as images:
        await images.load(pieces(pack(archive([(ONE, ["one:1"])]))))
        assert images.get("one:1").id == ONE.id


async def test_every_image_of_a_layout_is_loaded_under_its_name(gallery: Gallery) -> None:
    layout = Layout()
    layout.add(layout.image(ONE), **{NAME: "docker.io/library/one:1", TAG: "1"})
    layout.add(layout.image(TWO), **{TAG: "localhost/two:2"})
    async with gallery.open() as images:
        loaded = await images.load(pieces(layout.bytes()))
        assert [each.image.id for each in loaded] == [ONE.id, TWO.id]
        assert images.get("one:1").id == ONE.id and images.get("localhost/two:2").id == TWO.id


async def test_what_is_saved_is_a_layout_too(gallery: Gallery) -> None:
    async with gallery.open() as images:
        await images.load(pieces(archive([(ONE, ["one:1", "one:2"]), (TWO, [])])))
        data = b"".join([each async for each in images.save(["one", TWO.id])])
        for image in images.all():
            await images.remove(image.id, force=True)
        loaded = await images.load(pieces(without("manifest.json", data)))
    found = {each.image.id: [name.familiar for name in each.names] for each in loaded}
    assert found == {ONE.id: ["one:1", "one:2"], TWO.id: []}


def without(name: str, data: bytes) -> bytes:
    """An archive without one of its members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as whole, tarfile.open(fileobj=buffer, mode="w") as rest:
        for member in whole:
            if member.name != name:
                rest.addfile(member, whole.extractfile(member))
    return buffer.getvalue()


async def test_a_tag_alone_names_nothing(gallery: Gallery) -> None:
    layout = Layout()
    layout.add(layout.image(ONE), **{TAG: "latest"})
    async with gallery.open() as images:
        assert [each.names for each in await images.load(pieces(layout.bytes()))] == [()]


async def test_of_an_image_for_several_machines_ours_is_loaded(gallery: Gallery) -> None:
    layout = Layout()
    layout.add(layout.put(_index([layout.image(OTHER), layout.image(ONE)])), **{NAME: "docker.io/library/one:1"})
    async with gallery.open() as images:
        await images.load(pieces(layout.bytes()))
        assert [image.id for image in images.all()] == [ONE.id]


async def test_no_image_for_our_machine_is_said(gallery: Gallery) -> None:
    layout = Layout()
    layout.add(layout.put(_index([layout.image(OTHER)])))
    async with gallery.open() as images:
        with pytest.raises(NotFoundError, match="no matching manifest for linux/amd64"):
            await images.load(pieces(layout.bytes()))


@pytest.mark.parametrize("spoilt", [ONE.packed()[0], ONE.manifest()])
async def test_a_blob_with_another_digest_than_it_says_leaves_nothing(gallery: Gallery, spoilt: bytes) -> None:
    layout = Layout()
    layout.add(layout.image(ONE))
    layout.blobs[digest(spoilt)] = spoilt[:-1] + b" "
    async with gallery.open() as images:
        with pytest.raises(InvalidError, match="has another digest"):
            await images.load(pieces(layout.bytes()))
    assert gallery.files() == set()


async def test_a_layout_without_a_blob_leaves_nothing(gallery: Gallery) -> None:
    layout = Layout()
    layout.add(layout.image(ONE))
    del layout.blobs[digest(ONE.packed()[0])]
    async with gallery.open() as images:
        with pytest.raises(InvalidError, match="invalid archive: it has no blobs/sha256/"):
            await images.load(pieces(layout.bytes()))
    assert gallery.files() == set()
