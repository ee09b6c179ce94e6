"""skopeo: brings images from and to registries and archives, and checks every digest on the way.

Its `dir:` layout is used because it keeps manifests and configurations byte for byte; its `oci:` layout rewrites
Docker's configurations, and with them the ids of images and their health checks.

What it is told never holds a secret: credentials go into a file that only we can read.
"""

import base64
import json
import os
import re
from collections.abc import AsyncIterator, Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

from linkspan.images import programs
from linkspan.images.ports import DIGEST_FILE, INCOMING, Bundle, Host
from linkspan.images.programs import ProgramError
from linkspan.model.errors import InvalidError, LinkspanError, NotFoundError, UnauthorizedError, UnavailableError
from linkspan.model.images import Credentials
from linkspan.model.references import HUB, Reference

_PACKAGE = "skopeo"
_HUB_LOGIN = "https://index.docker.io/v1/"


class Skopeo:
    """The program.

    `insecure` are registries that may speak plain HTTP, or TLS with any certificate, besides those on the loopback:
    `host:port`, or prefixes of addresses.
    """

    def __init__(self, host: Host, insecure: Collection[str] = ()) -> None:
        self._host = host
        self._insecure = insecure

    async def manifest(self, source: Reference, credentials: Credentials | None, scratch: Path) -> bytes:
        """See `Transport.manifest`."""
        argv = ["inspect", "--raw", *self._access("", source, credentials, scratch), _image(source)]
        return await self._asked(source, argv, scratch)

    async def tags(self, source: Reference, credentials: Credentials | None, scratch: Path) -> Sequence[str]:
        """See `Transport.tags`."""
        repository = f"docker://{source.name}"
        argv = ["list-tags", *self._access("", source, credentials, scratch), repository]
        found = json.loads(await self._asked(source, argv, scratch))
        return [str(tag) for tag in found.get("Tags") or ()]

    async def config(self, source: Reference, credentials: Credentials | None, scratch: Path) -> bytes:
        """See `Transport.config`."""
        argv = ["inspect", "--config", "--raw", *self._access("", source, credentials, scratch), _image(source)]
        return await self._asked(source, argv, scratch)

    async def fetch_layers(
        self, source: Reference, into: Bundle, credentials: Credentials | None, scratch: Path
    ) -> None:
        """See `Transport.fetch_layers`.

        `dir:` would fetch what is there already; an OCI layout does not. Its rewritten documents are thrown away.
        """
        access = self._access("src-", source, credentials, scratch)
        shared = ["--dest-shared-blob-dir", _relative(into.path.parent, scratch)]
        flags = ["--quiet", "--dest-oci-accept-uncompressed-layers", *shared, *access]
        await self._asked(source, ["copy", *flags, _image(source), f"oci:{INCOMING}:i"], scratch)

    async def _asked(self, source: Reference, argv: Sequence[str], scratch: Path) -> bytes:
        try:
            return await programs.output(self._host, _command(argv), package=_PACKAGE, cwd=scratch)
        except ProgramError as error:
            raise refusal(str(error), source) from error

    async def extract(self, archive: Path, index: int, into: Bundle) -> None:
        """See `Transport.extract`. Paths are relative: a colon in one would end it."""
        scratch = archive.parent
        source = f"docker-archive:{archive.name}:@{index}"
        argv = _command(["copy", "--quiet", source, _directory(into, scratch)])
        try:
            await programs.output(self._host, argv, package=_PACKAGE, cwd=scratch)
        except ProgramError as error:
            raise InvalidError(f"invalid archive: {error}", field="body") from error

    async def decompress(self, bundle: Bundle, into: Bundle, scratch: Path) -> None:
        """See `Transport.decompress`."""
        places = (_directory(bundle, scratch), _directory(into, scratch))
        argv = _command(["copy", "--quiet", "--dest-decompress", *places])
        try:
            await programs.output(self._host, argv, package=_PACKAGE, cwd=scratch)
        except ProgramError as error:
            raise InvalidError(f"invalid image: its layers cannot be decompressed: {error}") from error

    async def send(
        self, bundle: Bundle, target: Reference, credentials: Credentials | None, scratch: Path
    ) -> AsyncIterator[str]:
        """See `Transport.send`."""
        access = self._access("dest-", target, credentials, scratch)
        argv = ["copy", *access, "--digestfile", DIGEST_FILE, _directory(bundle, scratch), _image(target)]
        try:
            async for line in programs.lines(self._host, _command(argv), package=_PACKAGE, cwd=scratch):
                yield line
        except ProgramError as error:
            raise push_refusal(str(error), target) from error

    async def login(self, credentials: Credentials, scratch: Path) -> None:
        """See `Transport.login`. The password goes through the standard input."""
        server = re.sub(r"^https?://", "", credentials.server).partition("/")[0] or HUB
        verify = [] if self._verified(server) else ["--tls-verify=false"]
        words = ["login", *verify, "--authfile", "auth.json", "--username", credentials.username]
        argv = _command([*words, "--password-stdin", server])
        try:
            await programs.output(self._host, argv, package=_PACKAGE, cwd=scratch, input=credentials.password.encode())
        except ProgramError as error:
            text = str(error)
            if "unauthorized" in text.lower() or "invalid username/password" in text:
                reason = f'Get "https://{server}/v2/": unauthorized: authentication required'
                raise UnauthorizedError(reason, field="auth") from error
            reached = _UNREACHABLE.search(text)
            raise UnavailableError(reached[1] if reached else text) from error

    def _access(self, side: str, place: Reference, credentials: Credentials | None, scratch: Path) -> list[str]:
        """The flags that say who we are, and whom we trust."""
        authfile = scratch / "auth.json"
        _write_private(authfile, auth_file(place.domain, credentials))
        verify = [] if self._verified(place.domain) else [f"--{side}tls-verify=false"]
        return [*verify, "--authfile", authfile.name]

    def _verified(self, domain: str) -> bool:
        return not (is_loopback(domain) or any(_covers(each, domain) for each in self._insecure))


def _command(words: Sequence[str]) -> list[str]:
    """There is no policy of signatures here, as in Docker; what does not fit into memory stays with us."""
    return ["skopeo", "--insecure-policy", "--tmpdir", ".", *words]


def _image(reference: Reference) -> str:
    """The program takes a tag or a digest, not both: the digest says more."""
    return f"docker://{(reference.with_digest(reference.digest) if reference.digest else reference.tagged).full}"


def _directory(bundle: Bundle, scratch: Path) -> str:
    return f"dir:{_relative(bundle.path, scratch)}"


def _relative(path: Path, scratch: Path) -> str:
    """From the directory the program runs in: a colon in a path would end it."""
    return os.path.relpath(path, scratch)


def is_loopback(domain: str) -> bool:
    """Whether a registry is on this machine: Docker trusts those without certificates, and by plain HTTP."""
    address = _address(domain)
    return domain.partition(":")[0] == "localhost" or (address is not None and address.is_loopback)


def _covers(insecure: str, domain: str) -> bool:
    """Whether a registry is the one that is called insecure, or has an address in that prefix."""
    if "/" not in insecure:
        return domain == insecure
    address = _address(domain)
    return address is not None and address in ip_network(insecure)


def _address(domain: str) -> IPv4Address | IPv6Address | None:
    """The address that a registry is named by, if it is."""
    try:
        return ip_address(re.sub(r":[0-9]+$", "", domain).strip("[]"))
    except ValueError:
        return None


def auth_file(domain: str, credentials: Credentials | None) -> bytes:
    """The credentials in the form of Docker's own file; without any, nobody's, so that no other file is looked for."""
    if credentials is None or not (credentials.username or credentials.identity_token):
        return b'{"auths": {}}'
    pair = f"{credentials.username}:{credentials.password}"
    entry = {"auth": base64.b64encode(pair.encode()).decode()}
    if credentials.identity_token:
        entry["identitytoken"] = credentials.identity_token
    names = (domain, _HUB_LOGIN) if domain == HUB else (domain,)
    return json.dumps({"auths": dict.fromkeys(names, entry)}).encode()


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


_NO_TAGS = "fetching tags list: invalid status code from registry 404"
_UNREACHABLE = re.compile(r"(?:pinging container registry [^ ]+|connecting to [^ ]+): (.*)$")


def refusal(text: str, source: Reference) -> LinkspanError:
    """What skopeo says when an image cannot be pulled, in Docker's words."""
    name = source.familiar_name
    if "manifest unknown" in text:
        what = source.familiar
        return NotFoundError(f"manifest for {what} not found: manifest unknown: manifest unknown", field="reference")
    if "name unknown" in text or "repository name not known" in text or _NO_TAGS in text:
        return NotFoundError(
            f"repository {name} not found: name unknown: repository name not known to registry", field="reference"
        )
    if "denied" in text and "permission denied" not in text:
        return NotFoundError(
            f"pull access denied for {name}, repository does not exist or may require 'docker login': "
            "denied: requested access to the resource is denied",
            field="reference",
        )
    return _other_refusal(text, source)


def push_refusal(text: str, target: Reference) -> LinkspanError:
    """What skopeo says when an image cannot be pushed, in Docker's words."""
    if "denied" in text and "permission denied" not in text:
        return UnavailableError("denied: requested access to the resource is denied", field="reference")
    return _other_refusal(text, target)


def _other_refusal(text: str, place: Reference) -> LinkspanError:
    if "unauthorized" in text or "authentication required" in text:
        return UnavailableError("unauthorized: authentication required", hint="docker login " + place.domain)
    reached = _UNREACHABLE.search(text)
    return UnavailableError(reached[1] if reached else text, field="reference")
