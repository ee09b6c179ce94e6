"""What comes in as one directory is checked before anything is made of it."""

import json
from pathlib import Path

import pytest

from linkspan.images.adding import read_bundle
from linkspan.images.files import chain_id
from linkspan.images.ports import Bundle
from linkspan.model.errors import InvalidError
from tests.support.images import Entry, Picture, digest, layer

ONE = Picture([layer(Entry("a")), layer(Entry("b"))])


def bundle(path: Path, picture: Picture = ONE) -> Bundle:
    made = Bundle(path)
    made.manifest.write_bytes(picture.manifest())
    for data in (picture.document, *picture.packed()):
        made.blob(digest(data)).write_bytes(data)
    return made


def test_a_whole_bundle_is_read(tmp_path: Path) -> None:
    found = read_bundle(bundle(tmp_path))
    assert found.id == ONE.id and found.manifest_digest == digest(ONE.manifest())
    assert found.chain == chain_id([digest(each) for each in ONE.layers])


def test_a_configuration_that_is_not_the_manifest_s_is_refused(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    made.blob(ONE.id).write_bytes(ONE.document + b" ")
    with pytest.raises(InvalidError, match="does not have the digest"):
        read_bundle(made)


def test_a_configuration_for_more_layers_is_refused(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    manifest = json.loads(ONE.manifest())
    manifest["layers"].pop()
    made.manifest.write_text(json.dumps(manifest))
    with pytest.raises(InvalidError, match="1 layers, but its configuration names 2"):
        read_bundle(made)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    made.blob(ONE.id).unlink()
    with pytest.raises(InvalidError, match="is missing"):
        read_bundle(made)


def test_the_name_of_unpacked_layers_is_oci_s_chain_id() -> None:
    one, two = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    assert chain_id([one]) == one
    assert chain_id([one, two]) == digest(f"{one} {two}".encode())
    assert chain_id([one, two]) != chain_id([two, one])
