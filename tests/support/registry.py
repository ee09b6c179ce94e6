"""Debian's docker-registry as a program on the machine of a test."""

import asyncio
import json
import subprocess
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from linkspan.kernel.process import spawn
from tests.support.images import Picture, digest, manifest_list
from tests.support.packets import Site
from tests.support.patience import PATIENCE

PORT = 5000
USER, PASSWORD = "ann", "secret"
_HTPASSWD = f"{USER}:$2b$04$oXKWRTWWuXOEfqvQtaMkBOEf/e0G6HvexhL0wQoBFj1jTvUMAIe8C\n"
"""The password by bcrypt, the only form the registry takes."""


@dataclass(frozen=True)
class Registry:
    """A registry that serves. `certificate` is None for plain HTTP."""

    address: str
    certificate: Path | None

    @property
    def name(self) -> str:
        """How images name it."""
        return f"{self.address}:{PORT}"


@asynccontextmanager
async def registry(site: Site, root: Path, address: str = "127.0.0.1", *, tls: bool = False) -> AsyncIterator[Registry]:
    """A registry on an address of the machine; with TLS it asks who one is."""
    certificate = await asyncio.to_thread(_prepare, root, address, tls=tls)
    config = root / "config.yml"
    with (root / "log").open("wb") as log:
        argv = ("docker-registry", "serve", str(config))
        process = await spawn(argv, site.namespace, stdin=DEVNULL, stdout=log, stderr=log)
    try:
        await _until_it_serves(site, address, process)
        yield Registry(address, certificate)
    finally:
        process.terminate()
        await process.wait()


def _prepare(root: Path, address: str, *, tls: bool) -> Path | None:
    root.mkdir()
    (root / "config.yml").write_text(_config(root, address, tls=tls))
    return _make_certificate(root, address) if tls else None


def _config(root: Path, address: str, *, tls: bool) -> str:
    text = (
        f"version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\n"
        f"http:\n  addr: {address}:{PORT}\n"
    )
    if tls:
        (root / "htpasswd").write_text(_HTPASSWD)
        text += f"  tls:\n    certificate: {root}/cert.pem\n    key: {root}/key.pem\n"
        text += f"auth:\n  htpasswd:\n    realm: test\n    path: {root}/htpasswd\n"
    return text


def _make_certificate(root: Path, address: str) -> Path:
    certificate = root / "cert.pem"
    kind = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2")
    names = ("-subj", "/CN=registry", "-addext", f"subjectAltName=IP:{address}")
    files = ("-keyout", str(root / "key.pem"), "-out", str(certificate))
    subprocess.run(["openssl", "req", *kind, *names, *files], check=True, capture_output=True)
    return certificate


async def _until_it_serves(site: Site, address: str, process: Process) -> None:
    """No event tells that it listens: ask until it answers."""
    async with asyncio.timeout(PATIENCE):
        while process.returncode is None:
            probe = site.socket(4, 1)
            with probe:
                try:
                    await asyncio.get_running_loop().sock_connect(probe, (address, PORT))
                except ConnectionError:
                    await asyncio.sleep(0.02)
                else:
                    return
    raise AssertionError("the registry has ended: its log says why")


def publish(site: Site, repository: str, pictures: Sequence[Picture], tag: str) -> str:
    """Put images into a registry by hand, as one list under a tag; the digest of the list."""
    listed = manifest_list(pictures)

    def put() -> None:
        for picture in pictures:
            for data in (picture.document, *picture.packed()):
                where = _ask(f"http://127.0.0.1:{PORT}/v2/{repository}/blobs/uploads/", "POST").headers["Location"]
                _ask(f"{where}&digest={digest(data)}", "PUT", data)
            _put_manifest(repository, digest(picture.manifest()), picture.manifest())
        _put_manifest(repository, tag, listed)

    site.visit(put)
    return digest(listed)


def _put_manifest(repository: str, name: str, data: bytes) -> None:
    kind = json.loads(data)["mediaType"]
    _ask(f"http://127.0.0.1:{PORT}/v2/{repository}/manifests/{name}", "PUT", data, kind)


def _ask(url: str, method: str, data: bytes = b"", kind: str = "application/octet-stream") -> HTTPResponse:
    request = Request(url, data, {"Content-Type": kind}, method=method)
    with build_opener(ProxyHandler({})).open(request, timeout=PATIENCE) as reply:
        found: HTTPResponse = reply
        found.read()
        return found
