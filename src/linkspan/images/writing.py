"""Manifests and configurations of new images, as Docker and OCI write them: values in, bytes out. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from linkspan.model.images import HistoryEntry, ImageConfig, ImageHealth, Platform


def config_bytes(
    config: ImageConfig,
    platform: Platform,
    diff_ids: Sequence[str],
    history: Sequence[HistoryEntry],
    *,
    created: datetime,
    author: str = "",
    comment: str = "",
) -> bytes:
    """A new configuration, as Docker writes it."""
    document = {
        "architecture": platform.architecture,
        "author": author,
        "comment": comment,
        "config": config_fields(config),
        "created": _written(created),
        "history": [_step(entry) for entry in history],
        "os": platform.os,
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "variant": platform.variant,
    }
    return msgspec.json.encode({key: value for key, value in document.items() if value != ""})


def config_fields(config: ImageConfig) -> dict[str, Any]:
    """Docker's fields, without those that are empty."""
    health = config.healthcheck
    fields: dict[str, Any] = {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.exposed},
        "Env": list(config.env),
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.cmd),
        "Healthcheck": None if health is None else _health_fields(health),
        "Volumes": {path: {} for path in config.volumes},
        "WorkingDir": config.workdir,
        "Labels": dict(config.labels),
        "OnBuild": list(config.onbuild),
        "StopSignal": config.stop_signal,
        "Shell": list(config.shell),
    }
    return {key: value for key, value in fields.items() if value}


def _health_fields(health: ImageHealth) -> dict[str, Any]:
    fields = {
        "Test": list(health.test),
        "Interval": health.interval,
        "Timeout": health.timeout,
        "StartPeriod": health.start_period,
        "StartInterval": health.start_interval,
        "Retries": health.retries,
    }
    return {key: value for key, value in fields.items() if value}


def _step(entry: HistoryEntry) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "created": _written(entry.created) if entry.created else "",
        "created_by": entry.created_by,
        "author": entry.author,
        "comment": entry.comment,
        "empty_layer": entry.empty,
    }
    return {key: value for key, value in fields.items() if value}


def _written(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that a new manifest refers to; `gzipped` is about layers."""

    digest: str
    size: int
    gzipped: bool = False


def docker_manifest(config: Blob, layers: Sequence[Blob]) -> bytes:
    """A manifest as Docker writes it. Docker has one type for layers, plain or compressed."""
    kinds = [("application/vnd.docker.image.rootfs.diff.tar.gzip", layer) for layer in layers]
    return _manifest(
        "application/vnd.docker.distribution.manifest.v2+json",
        ("application/vnd.docker.container.image.v1+json", config),
        kinds,
    )


def oci_manifest(config: Blob, layers: Sequence[Blob]) -> bytes:
    """A manifest as OCI writes it."""
    kinds = [(f"application/vnd.oci.image.layer.v1.tar{'+gzip' if layer.gzipped else ''}", layer) for layer in layers]
    return _manifest(
        "application/vnd.oci.image.manifest.v1+json", ("application/vnd.oci.image.config.v1+json", config), kinds
    )


def _manifest(kind: str, config: tuple[str, Blob], layers: Sequence[tuple[str, Blob]]) -> bytes:
    described = [{"mediaType": type, "digest": blob.digest, "size": blob.size} for type, blob in (config, *layers)]
    return msgspec.json.encode({"schemaVersion": 2, "mediaType": kind, "config": described[0], "layers": described[1:]})


def oci_index(digest: str, size: int, tag: str) -> bytes:
    """The index of an OCI layout with one manifest."""
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest,
        "size": size,
        "annotations": {"org.opencontainers.image.ref.name": tag},
    }
    return msgspec.json.encode({"schemaVersion": 2, "manifests": [entry]})
