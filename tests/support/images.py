"""Images made by hand, without any network: layers, configurations, manifests, archives; busybox and nginx."""

import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from gzip import compress
from pathlib import Path
from typing import Any

from tests.support.container_hosts import APPLETS, BUSYBOX

PASSWD = b"root:x:0:0::/:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nnginx:x:101:101::/:/bin/sh\n"
GROUP = b"root:x:0:\nann:x:1000:\nnginx:x:101:\n"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Entry:
    """One member of a layer: a symbolic link by `link`, a hard one by `hard`, a directory when its name ends in `/`."""

    name: str
    data: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    link: str = ""
    hard: str = ""
    xattrs: Mapping[str, str] = field(default_factory=dict)

    def info(self) -> tarfile.TarInfo:
        info = tarfile.TarInfo(self.name.rstrip("/"))
        info.mode, info.uid, info.gid, info.size = self.mode, self.uid, self.gid, len(self.data)
        if self.name.endswith("/"):
            info.type, info.mode = tarfile.DIRTYPE, self.mode | 0o111
        if self.link or self.hard:
            info.type, info.size = (tarfile.SYMTYPE if self.link else tarfile.LNKTYPE), 0
            info.linkname = self.link or self.hard
        info.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in self.xattrs.items()}
        return info


def layer(*entries: Entry) -> bytes:
    """The archive with these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            archive.addfile(entry.info(), io.BytesIO(entry.data))
    return buffer.getvalue()


@dataclass(frozen=True)
class Picture:
    """An image: its layers as plain archives, and the defaults of its containers."""

    layers: Sequence[bytes]
    config: Mapping[str, Any] = field(default_factory=dict)
    architecture: str = "amd64"
    created: str = "2024-01-01T00:00:00Z"
    variant: str = ""
    zstd: bool = False

    @property
    def document(self) -> bytes:
        """The configuration."""
        found: dict[str, Any] = {
            "architecture": self.architecture,
            "os": "linux",
            "created": self.created,
            "config": dict(self.config),
            "rootfs": {"type": "layers", "diff_ids": [digest(each) for each in self.layers]},
            "history": [
                {"created": self.created, "created_by": f"step {number}"} for number in range(len(self.layers))
            ],
        }
        return json.dumps(found | ({"variant": self.variant} if self.variant else {})).encode()

    @property
    def id(self) -> str:
        return digest(self.document)

    def packed(self) -> list[bytes]:
        """The layers as registries keep them."""
        return [_zstd(each) if self.zstd else compress(each, mtime=0) for each in self.layers]

    def manifest(self) -> bytes:
        """The manifest for packed layers: Docker's, or OCI's when they are packed with zstd."""
        manifest, document, kind = _OCI_TYPES if self.zstd else _DOCKER_TYPES
        layers = [{"mediaType": kind, "digest": digest(each), "size": len(each)} for each in self.packed()]
        config = {"digest": self.id, "size": len(self.document)}
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": manifest,
                "config": {"mediaType": document, **config},
                "layers": layers,
            }
        ).encode()


_DOCKER_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)
_OCI_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+zstd",
)


def _zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


def manifest_list(pictures: Iterable[Picture]) -> bytes:
    """One name for images of several machines."""
    entries = []
    for picture in pictures:
        data = picture.manifest()
        platform = {"os": "linux", "architecture": picture.architecture}
        platform |= {"variant": picture.variant} if picture.variant else {}
        kind = json.loads(data)["mediaType"]
        entries.append({"mediaType": kind, "digest": digest(data), "size": len(data), "platform": platform})
    kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()


def archive(pictures: Iterable[tuple[Picture, Sequence[str]]]) -> bytes:
    """What `docker save` gives for images with these names."""
    buffer = io.BytesIO()
    index = []
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        blobs: dict[str, bytes] = {}
        for picture, names in pictures:
            blobs |= {digest(each): each for each in (picture.document, *picture.layers)}
            paths = [_path(digest(each)) for each in picture.layers]
            index.append({"Config": _path(picture.id), "RepoTags": list(names) or None, "Layers": paths})
        for name, data in [*((_path(name), data) for name, data in blobs.items()), ("manifest.json", _json(index))]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _path(digest: str) -> str:
    return f"blobs/sha256/{digest.partition(':')[2]}"


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def busybox(**fields: Any) -> Picture:
    """A shell and its friends."""
    links = [Entry(f"bin/{name}", link="busybox") for name in APPLETS]
    base = [
        *(Entry(f"{name}/", mode=0o755) for name in ("bin", "etc", "home", "home/ann", "proc", "sys", "dev")),
        Entry("tmp/", mode=0o1777),
        Entry("bin/busybox", BUSYBOX.read_bytes(), 0o755),
        Entry("etc/passwd", PASSWD),
        Entry("etc/group", GROUP),
    ]
    fields.setdefault("config", {"Cmd": ["sh"], "Env": ["PATH=/bin"]})
    return Picture([layer(*base, *links)], **fields)


_NEEDED = re.compile(r"(/[^ ]+)")
_NGINX_CONF = b"""\
user nginx;
worker_processes 1;
daemon off;
pid /tmp/nginx.pid;
error_log stderr;
events { worker_connections 64; }
http { access_log off; server { listen 80; listen [::]:80; location / { return 200 "nginx serves\\n"; } } }
"""


def nginx() -> Picture:
    """Debian's nginx on top of busybox, with the libraries it needs."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    assert program is not None, "the package nginx is missing"
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = {match[1] for line in listed.splitlines() if (match := _NEEDED.search(line))}
    files = [Entry(path.lstrip("/"), Path(path).read_bytes(), 0o755) for path in sorted(libraries)]
    files.append(Entry("usr/sbin/nginx", Path(program).read_bytes(), 0o755))
    files.append(Entry("etc/nginx/nginx.conf", _NGINX_CONF))
    files += [Entry(f"{name}/", mode=0o755) for name in ("var/log/nginx", "var/lib/nginx")]
    config = {"Entrypoint": ["nginx"], "Cmd": ["-c", "/etc/nginx/nginx.conf"], "ExposedPorts": {"80/tcp": {}}}
    below = busybox()
    path = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    return Picture([*below.layers, layer(*files)], config={**config, "Env": path, "StopSignal": "SIGQUIT"})
