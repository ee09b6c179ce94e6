"""Manifests and configurations: what is read of them, and what is refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.images.documents import (
    image_config,
    image_history,
    moment,
    parse_config,
    parse_list,
    parse_manifest,
)
from linkspan.images.writing import Blob, config_bytes, docker_manifest
from linkspan.model.errors import InvalidError
from linkspan.model.images import HistoryEntry, ImageConfig, ImageHealth, Platform
from tests.support.images import Picture, layer, manifest_list

CONFIG = ImageConfig(
    entrypoint=("/run",),
    cmd=("a", "b"),
    env=("A=b",),
    workdir="/w",
    user="ann",
    labels={"k": "v"},
    exposed=("80/tcp",),
    volumes=("/data",),
    stop_signal="SIGINT",
    healthcheck=ImageHealth(("CMD", "true"), 1, 2, 3, 4, 5),
    onbuild=("RUN x",),
    shell=("/bin/sh", "-c"),
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_what_is_written_reads_back() -> None:
    steps = (HistoryEntry(NOW, "by", "author", "comment"), HistoryEntry(empty=True))
    data = config_bytes(CONFIG, Platform("linux", "arm64", "v8"), ["sha256:" + "1" * 64], steps, created=NOW)
    document = parse_config(data)
    assert image_config(document) == CONFIG
    assert image_history(document) == steps
    assert document.platform == Platform("linux", "arm64", "v8")
    assert moment(document.created) == NOW


def test_a_manifest_reads_back() -> None:
    config, one = Blob("sha256:" + "1" * 64, 3), Blob("sha256:" + "2" * 64, 4)
    found = parse_manifest(docker_manifest(config, [one]))
    assert (found.config.digest, found.config.size) == (config.digest, 3)
    assert [each.digest for each in found.layers] == [one.digest]


def test_null_is_nothing() -> None:
    document = parse_config(b'{"config": {"Cmd": null, "Env": null, "Labels": null}, "history": null, "rootfs": null}')
    assert image_config(document) == ImageConfig() and document.platform.os == "linux"


def test_a_list_is_told_from_the_manifest_of_one_image() -> None:
    picture = Picture([layer()])
    listed = parse_list(manifest_list([picture]))
    assert listed is not None and len(listed.manifests) == 1
    assert parse_list(picture.manifest()) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b"null", b'{"config": {"digest": "x", "size": 1}}', b'{"schemaVersion": 1, "config": 1}'],
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidError):
        parse_manifest(data)


@pytest.mark.parametrize("digest", ["sha256:../../etc", "sha512:" + "a" * 128, "md5:1", "sha256:" + "A" * 64])
def test_a_digest_that_is_no_safe_file_name_is_refused(digest: str) -> None:
    data: dict[str, Any] = {"schemaVersion": 2, "config": {"digest": digest, "size": 1}, "layers": []}
    with pytest.raises(InvalidError, match="unsupported digest"):
        parse_manifest(json.dumps(data).encode())


def test_the_first_kind_of_manifest_is_refused_by_its_name() -> None:
    data = {"schemaVersion": 1, "config": {"digest": "sha256:" + "1" * 64, "size": 1}}
    with pytest.raises(InvalidError, match="unsupported image manifest"):
        parse_manifest(json.dumps(data).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_one_error(data: bytes) -> None:
    for parse in (parse_manifest, parse_list, parse_config):
        try:
            parse(data)
        except InvalidError:
            continue


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01T00:00:00Z", None])
def test_a_time_that_cannot_be_is_none(text: str | None) -> None:
    assert moment(text) is None


def test_a_time_of_go_has_nine_digits() -> None:
    assert moment("2026-01-01T00:00:00.123456789Z") == datetime(2026, 1, 1, 0, 0, 0, 123456, UTC)
