"""The many ways to ask for a mount."""

import json
from typing import Any

import pytest

from linkspan.api.bodies.containers import HostConfig
from linkspan.api.mounting import mounts
from linkspan.api.reading import parse
from linkspan.api.render.mounts import binds
from linkspan.model.containers import CreateContainer, Mount, MountKind
from linkspan.model.errors import InvalidError

VOLUME, BIND, TMPFS = MountKind.VOLUME, MountKind.BIND, MountKind.TMPFS


def asked(volumes: tuple[str, ...] = (), **host: Any) -> list[Mount]:
    return list(mounts(parse(json.dumps(host).encode(), HostConfig), dict.fromkeys(volumes)))


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/a:/b", Mount(BIND, "/b", "/a", create=True)),
        ("/a:/b:ro,rslave", Mount(BIND, "/b", "/a", read_only=True, options=("rslave",), create=True)),
        ("vol:/b", Mount(VOLUME, "/b", "vol")),
        ("vol:/b:ro,nocopy,z", Mount(VOLUME, "/b", "vol", read_only=True, options=("z",), copy=False)),
        ("/b", Mount(VOLUME, "/b", anonymous=True)),
    ],
)
def test_binds(text: str, mount: Mount) -> None:
    assert asked(Binds=[text]) == [mount]


@pytest.mark.parametrize("text", ["/a:/b:ro", "vol:/b:nocopy", "vol:/b"])
def test_binds_are_shown_as_they_were_asked_for(text: str) -> None:
    assert binds(CreateContainer("c1", "/", (), mounts=asked(Binds=[text]))) == [text]


def test_a_volume_with_everything() -> None:
    options = {"NoCopy": True, "Labels": {"a": "b"}, "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs"}}}
    sent = {"Type": "volume", "Source": "v1", "Target": "/t", "ReadOnly": True, "VolumeOptions": options}
    assert asked(Mounts=[sent]) == [
        Mount(
            VOLUME,
            "/t",
            "v1",
            read_only=True,
            copy=False,
            driver="local",
            driver_options={"type": "tmpfs"},
            labels={"a": "b"},
        )
    ]


def test_a_tmpfs_with_size_and_mode() -> None:
    sent = {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 0o1777}}
    assert asked(Mounts=[sent]) == [Mount(TMPFS, "/t", options=("size=1024", "mode=1777"))]


def test_a_declared_volume_gives_way_to_a_mount_at_the_same_place() -> None:
    assert asked(("/b", "/c"), Binds=["/a:/b"]) == [
        Mount(BIND, "/b", "/a", create=True),
        Mount(VOLUME, "/c", anonymous=True),
    ]


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ({"Binds": ["/a:/b", "/c:/b"]}, "Duplicate mount point: /b"),
        ({"Mounts": [{"Type": "odd", "Target": "/t"}]}, "mount type unknown"),
        ({"Mounts": [{"Type": "bind", "Target": "/t"}]}, "field Source must not be empty"),
        ({"Mounts": [{"Type": "volume", "Source": "v"}]}, "field Target must not be empty"),
        ({"Mounts": [{"Type": "tmpfs", "Source": "/a", "Target": "/t"}]}, "field Source must not be specified"),
        ({"Mounts": [{"Type": "volume", "Target": "/t", "VolumeOptions": {"Subpath": "x"}}]}, "not supported"),
    ],
)
def test_what_cannot_be_mounted_is_refused(host: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidError, match=reason):
        asked(**host)
