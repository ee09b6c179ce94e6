"""Manifests and configurations, as OCI and Docker write them: bytes in, values out (`writing` goes back). Pure.

Fields that nobody needs are ignored; what is needed and missing or of another type is one `InvalidError`.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

from linkspan.model.errors import InvalidError
from linkspan.model.images import HistoryEntry, ImageConfig, ImageHealth, Platform
from linkspan.model.references import is_digest

MANIFESTS = frozenset(
    {"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json"}
)
LISTS = frozenset(
    {"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json"}
)
MAX_DOCUMENT = 8 << 20
"""Bytes of a manifest or a configuration; registries refuse manifests above 4 MiB."""

_FRACTION = re.compile(r"(\.[0-9]{6})[0-9]+")
Document = TypeVar("Document", bound=Struct)


class PlatformDocument(Struct, kw_only=True):
    """What an entry of a list runs on."""

    os: str = ""
    architecture: str = ""
    variant: str = ""


class Descriptor(Struct, rename="camel", kw_only=True):
    """A reference to a blob."""

    media_type: str = ""
    digest: str
    size: int
    platform: PlatformDocument | None = None
    urls: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)


class Manifest(Struct, rename="camel", kw_only=True):
    """One image: its configuration and its layers."""

    schema_version: int = 2
    media_type: str = ""
    config: Descriptor
    layers: list[Descriptor] = field(default_factory=list)


class ManifestList(Struct, rename="camel", kw_only=True):
    """Images for several platforms."""

    schema_version: int = 2
    media_type: str = ""
    manifests: list[Descriptor]


class _Health(Struct, rename="pascal", kw_only=True):
    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class _Config(Struct, rename="pascal", kw_only=True):
    entrypoint: list[str] | str | None = None
    cmd: list[str] | str | None = None
    env: list[str] | None = None
    working_dir: str = ""
    user: str = ""
    labels: dict[str, str] | None = None
    exposed_ports: dict[str, Any] | None = None
    volumes: dict[str, Any] | None = None
    stop_signal: str = ""
    healthcheck: _Health | None = None
    on_build: list[str] | None = None
    shell: list[str] | None = None


class _Step(Struct, kw_only=True):
    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class _RootFs(Struct, kw_only=True):
    type: str = "layers"
    diff_ids: list[str] | None = None


class ConfigDocument(Struct, kw_only=True):
    """The configuration of an image, whose digest is the image's id."""

    architecture: str = ""
    os: str = ""
    variant: str = ""
    created: str | None = None
    author: str = ""
    comment: str = ""
    docker_version: str = ""
    config: _Config | None = None
    rootfs: _RootFs = field(default_factory=_RootFs)
    history: list[_Step] | None = None

    @property
    def diff_ids(self) -> Sequence[str]:
        """The digests of the layers' archives."""
        return self.rootfs.diff_ids or ()

    @property
    def platform(self) -> Platform:
        """What it runs on; old images that do not say are for Linux."""
        return Platform(self.os or "linux", self.architecture, self.variant)


def digest_of(data: bytes) -> str:
    """`sha256:…`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def parse_manifest(data: bytes) -> Manifest:
    """The manifest of one image."""
    manifest = _decoded(data, Manifest, "manifest")
    if manifest.schema_version != 2 or (manifest.media_type and manifest.media_type not in MANIFESTS):
        raise InvalidError(f"unsupported image manifest of type {manifest.media_type or manifest.schema_version!r}")
    for descriptor in (manifest.config, *manifest.layers):
        _check_digest(descriptor.digest)
    return manifest


def parse_list(data: bytes) -> ManifestList | None:
    """A list of manifests; None when it is the manifest of one image."""
    found = _decoded(data, _Kind, "manifest")
    if found.media_type not in LISTS and (found.media_type or found.manifests is None):
        return None
    listed = _decoded(data, ManifestList, "manifest list")
    for descriptor in listed.manifests:
        _check_digest(descriptor.digest)
    return listed


class _Kind(Struct, rename="camel", kw_only=True):
    media_type: str = ""
    manifests: list[Any] | None = None


def parse_config(data: bytes) -> ConfigDocument:
    """The configuration of an image."""
    document = _decoded(data, ConfigDocument, "image configuration")
    for digest in document.diff_ids:
        _check_digest(digest)
    return document


def _check_digest(text: str) -> None:
    """It becomes the name of a file."""
    if not is_digest(text) or not text.startswith("sha256:"):
        raise InvalidError(f"invalid image: unsupported digest {text[:80]!r}")


def _decoded(data: bytes, kind: type[Document], what: str) -> Document:
    if len(data) > MAX_DOCUMENT:
        raise InvalidError(f"invalid image: its {what} is larger than {MAX_DOCUMENT >> 20} MiB")
    try:
        value = msgspec.json.decode(data)
        return msgspec.convert(_without_nulls(value), kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidError(f"invalid image: its {what} cannot be read: {error}") from error


def _without_nulls(value: Any) -> Any:
    """Go writes null where a field is empty."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def image_config(document: ConfigDocument) -> ImageConfig:
    """What containers get by default."""
    config = document.config or _Config()
    return ImageConfig(
        entrypoint=_words(config.entrypoint),
        cmd=_words(config.cmd),
        env=tuple(config.env or ()),
        workdir=config.working_dir,
        user=config.user,
        labels=config.labels or {},
        exposed=tuple(sorted(config.exposed_ports or ())),
        volumes=tuple(sorted(config.volumes or ())),
        stop_signal=config.stop_signal,
        healthcheck=_health(config.healthcheck),
        onbuild=tuple(config.on_build or ()),
        shell=tuple(config.shell or ()),
    )


def _words(words: list[str] | str | None) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words or ())


def _health(found: _Health | None) -> ImageHealth | None:
    if found is None:
        return None
    return ImageHealth(
        tuple(found.test or ()),
        found.interval,
        found.timeout,
        found.start_period,
        found.start_interval,
        found.retries,
    )


def image_history(document: ConfigDocument) -> tuple[HistoryEntry, ...]:
    """The steps, the first first."""
    return tuple(
        HistoryEntry(moment(step.created), step.created_by, step.author, step.comment, step.empty_layer)
        for step in document.history or ()
    )


def moment(text: str | None) -> datetime | None:
    """A time of RFC 3339; None when there is none, or none that can be."""
    if not text:
        return None
    try:
        when = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
