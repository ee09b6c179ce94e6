"""The many ways to ask for a mount."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linkspan.api.bodies.containers import HostConfig
from linkspan.api.mounting import mounts
from linkspan.api.reading import parse
from linkspan.api.render.mounts import binds, mount_bodies, point_bodies, tmpfs
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
        ("/a:/b:cached", Mount(BIND, "/b", "/a", create=True)),
        ("vol:/b:delegated,ro", Mount(VOLUME, "/b", "vol", read_only=True)),
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
            detailed=True,
        )
    ]


MOUNTS = [
    {"Type": "bind", "Source": "/a", "Target": "/b", "BindOptions": {"Propagation": "rslave", "NonRecursive": True}},
    {"Type": "bind", "Source": "/a", "Target": "/c", "ReadOnly": True, "BindOptions": {"CreateMountpoint": True}},
    {"Type": "volume", "Source": "v", "Target": "/d", "VolumeOptions": {"NoCopy": True, "Subpath": "a/b"}},
    {"Type": "volume", "Target": "/e", "VolumeOptions": {"DriverConfig": {"Options": {"type": "tmpfs"}}}},
    {"Type": "tmpfs", "Target": "/f", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 0o1770}},
    {"Type": "volume", "Source": "v", "Target": "/g"},
]


def test_mounts_are_shown_as_they_were_asked_for() -> None:
    wanted = CreateContainer("c1", "/", (), mounts=asked(Mounts=MOUNTS))
    assert json.loads(msgspec.json.encode(mount_bodies(wanted))) == MOUNTS
    assert binds(wanted) is None and list(tmpfs(wanted)) == []


def test_the_mode_of_a_mount_is_what_v_says() -> None:
    volumes = ("/e",)
    mounts = [*asked(volumes, Binds=["v:/a", "/h:/b", "v:/c:ro", "/h:/d:z"], Tmpfs={"/t": ""}, Mounts=MOUNTS[4:])]
    wanted = CreateContainer("c1", "/", (), mounts=[replace(each, target=str(n)) for n, each in enumerate(mounts)])
    assert [(body.type, body.mode) for body in point_bodies(wanted, Path)] == [
        ("volume", "z"),
        ("bind", ""),
        ("volume", "ro"),
        ("bind", "z"),
        ("tmpfs", ""),
        ("volume", "z"),
        ("volume", ""),
    ]


def test_a_tmpfs_with_size_and_mode() -> None:
    sent = {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 0o1777}}
    assert asked(Mounts=[sent]) == [Mount(TMPFS, "/t", options=("size=1024", "mode=1777"), detailed=True)]


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
        (
            {"Mounts": [{"Type": "bind", "Source": "/a", "Target": "/t", "BindOptions": {"Propagation": "x"}}]},
            "mode: x",
        ),
        ({"Binds": ["/a:/b:ro,rw"]}, "invalid mode: ro,rw"),
        ({"Binds": ["/a:/b:odd"]}, "invalid mode: odd"),
        ({"Binds": ["vol:/b:rslave"]}, "invalid volume specification: 'vol:/b:rslave': .*BindOptions must not be"),
        ({"Binds": ["vol:/"]}, "invalid volume specification: 'vol:/': .*: destination can't be '/'"),
        ({"Binds": ["vol:b"]}, "invalid volume specification: 'vol:b': .*'b' mount path must be absolute"),
    ],
)
def test_what_cannot_be_mounted_is_refused(host: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidError, match=reason):
        asked(**host)
