"""Names of images, as Docker normalises and prints them (github.com/distribution/reference)."""

import re
from dataclasses import dataclass, replace

from linkspan.model.errors import InvalidError

HUB = "docker.io"
_OLD_HUB = "index.docker.io"
_OFFICIAL = "library/"
LATEST = "latest"
_MAX_NAME = 255

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """`docker.io/library/busybox:latest`, in its parts; `tag` and `digest` may be empty."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The repository with its registry: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as people write it: `busybox`."""
        return self.path.removeprefix(_OFFICIAL) if self.domain == HUB and self._short else self._domain_shown

    @property
    def _short(self) -> bool:
        return self.path.count("/") == 1 and self.path.startswith(_OFFICIAL)

    @property
    def _domain_shown(self) -> str:
        return self.path if self.domain == HUB else self.name

    @property
    def familiar(self) -> str:
        """All of it as people write it: `busybox:latest`."""
        return self.familiar_name + self._suffix

    @property
    def full(self) -> str:
        """All of it: `docker.io/library/busybox:latest`."""
        return self.name + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def tagged(self) -> "Reference":
        """With the tag `latest` when there is neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=LATEST)

    @property
    def repository(self) -> "Reference":
        """Without tag and digest."""
        return Reference(self.domain, self.path)

    def with_digest(self, digest: str) -> "Reference":
        """The same repository, by a digest alone."""
        return Reference(self.domain, self.path, digest=digest)


def parse_reference(text: str) -> Reference:
    """A name as a user writes it. Raises `InvalidError` in Docker's words."""
    if _HEX.fullmatch(text):
        raise _invalid(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings", text)
    rest, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise _invalid("invalid reference format", text)
    domain, path = _split(rest)
    path, colon, tag = path.partition(":")
    if path != path.lower() and _PATH.fullmatch(path.lower()):
        raise _invalid(f"invalid reference format: repository name ({path}) must be lowercase", text)
    if not _PATH.fullmatch(path) or not _DOMAIN.fullmatch(domain) or (colon and not _TAG.fullmatch(tag)):
        raise _invalid("invalid reference format", text)
    if len(domain) + 1 + len(path) > _MAX_NAME:
        raise _invalid(f"invalid reference format: repository name must not be more than {_MAX_NAME} characters", text)
    return Reference(domain, path, tag, digest)


def _split(text: str) -> tuple[str, str]:
    """Registry and path: what stands before the first slash is a registry when it looks like a host."""
    first, slash, rest = text.partition("/")
    if not slash or (not re.search(r"[.:]", first) and first != "localhost" and first == first.lower()):
        domain, path = HUB, text
    else:
        domain, path = first, rest
    domain = HUB if domain == _OLD_HUB else domain
    return domain, f"{_OFFICIAL}{path}" if domain == HUB and "/" not in path.partition(":")[0] else path


def with_tag(reference: Reference, tag: str) -> Reference:
    """The repository with a tag, or with a digest that stands in its place, as in `/images/create?tag=`."""
    if is_digest(tag):
        return reference.with_digest(tag)
    if not _TAG.fullmatch(tag):
        raise _invalid("invalid tag format", tag)
    return replace(reference, tag=tag, digest="")


def is_digest(text: str) -> bool:
    """`sha256:` and 64 hex digits, or `sha512:` and 128."""
    return _DIGEST.fullmatch(text) is not None


def _invalid(message: str, text: str) -> InvalidError:
    return InvalidError(message, field="reference", value=text)
