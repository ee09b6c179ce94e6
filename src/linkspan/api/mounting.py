"""What is to be mounted: `-v`, `--tmpfs`, `--mount` and the volumes of an image's or a container's configuration."""

from collections.abc import Iterator, Mapping

from linkspan.api.bodies.containers import HostConfig
from linkspan.api.bodies.mounts import MountBody, TmpfsOptions
from linkspan.containers.mountchecks import check_mount
from linkspan.model.containers import Mount, MountKind
from linkspan.model.errors import InvalidError

_PROPAGATIONS = frozenset({"rprivate", "private", "rshared", "shared", "rslave", "slave"})
_WORDS = (
    frozenset({"ro", "rw"}),
    frozenset({"z", "Z"}),
    frozenset({"nocopy"}),
    frozenset({"consistent", "cached", "delegated"}),  # means something only where a machine's files are elsewhere
    _PROPAGATIONS,
)
"""What may be said of a mount by `-v`: at most one of each."""


def mounts(host: HostConfig, volumes: Mapping[str, object]) -> Iterator[Mount]:
    """Binds, tmpfs and `--mount`, in Docker's order, and a new volume wherever else there has to be one."""
    seen: set[str] = set()
    for mount in _asked(host):
        if mount.target in seen:
            raise InvalidError(f"Duplicate mount point: {mount.target}", field="Mounts", value=mount.target)
        seen.add(mount.target)
        yield mount
    for text in volumes:
        source, colon, target = text.partition(":")
        if colon:  # some clients put `-v SOURCE:TARGET` here
            yield bind(text)
        elif (target := source.rstrip("/") or "/") not in seen:
            yield Mount(MountKind.VOLUME, target, anonymous=True, driver=host.volume_driver)


def _asked(host: HostConfig) -> Iterator[Mount]:
    for text in host.binds:
        yield bind(text, host.volume_driver)
    for target, options in host.tmpfs.items():
        yield Mount(MountKind.TMPFS, target, options=tuple(filter(None, options.split(","))))
    for body in host.mounts:
        yield _mount(body)


def bind(text: str, driver: str = "") -> Mount:
    """`-v SOURCE:TARGET[:OPTIONS]`; a source that is no absolute path is the name of a volume."""
    source, colon, rest = text.partition(":")
    target, _, options = rest.partition(":")
    words = options.split(",") if options else []
    if not colon and source.startswith("/"):
        return Mount(MountKind.VOLUME, source, anonymous=True, driver=driver)
    if not (source and target) or ":" in options:
        raise InvalidError(f"invalid volume specification: '{text}'", field="Binds", value=text)
    chosen = [[word for word in words if word in each] for each in _WORDS]
    if any(len(each) > 1 for each in chosen) or sum(map(len, chosen)) < len(words):
        raise InvalidError(f"invalid mode: {options}", field="Binds", value=text)
    try:
        mount = _bound(source, target, words, driver)
        check_mount(mount)
    except InvalidError as error:
        raise InvalidError(f"invalid volume specification: '{text}': {error.message}", field="Binds") from error
    return mount


def _bound(source: str, target: str, words: list[str], driver: str) -> Mount:
    read_only = "ro" in words
    if source.startswith("/"):
        kept = tuple(word for word in words if word in _PROPAGATIONS or word in ("z", "Z"))
        return Mount(MountKind.BIND, target, source, read_only=read_only, options=kept, create=True)
    if _PROPAGATIONS & set(words):
        raise InvalidError('invalid mount config for type "volume": field BindOptions must not be specified')
    kept = tuple(word for word in words if word in ("z", "Z"))
    return Mount(
        MountKind.VOLUME, target, source, read_only=read_only, options=kept, copy="nocopy" not in words, driver=driver
    )


def _mount(body: MountBody) -> Mount:
    """`--mount type=…`."""
    make = {"tmpfs": _tmpfs, "bind": _bind, "volume": _volume}.get(body.type)
    if make is None:
        raise InvalidError(
            f'invalid mount config for type "{body.type}": mount type unknown', field="Mounts", value=body.type
        )
    if not body.target:
        raise InvalidError(
            f'invalid mount config for type "{body.type}": field Target must not be empty', field="Mounts"
        )
    return make(body)


def _bind(body: MountBody) -> Mount:
    options = body.bind_options
    if not body.source:
        raise InvalidError('invalid mount config for type "bind": field Source must not be empty', field="Mounts")
    if options is not None and options.propagation and options.propagation not in _PROPAGATIONS:
        raise InvalidError(
            f'invalid mount config for type "bind": invalid propagation mode: {options.propagation}', field="Mounts"
        )
    words = (options.propagation,) if options is not None and options.propagation else ()
    return Mount(
        MountKind.BIND,
        body.target,
        body.source,
        read_only=body.read_only,
        options=(*words, "bind") if options is not None and options.non_recursive else words,
        create=options is not None and options.create_mountpoint,
        detailed=True,
    )


def _volume(body: MountBody) -> Mount:
    options = body.volume_options
    config = options.driver_config if options is not None else None
    return Mount(
        MountKind.VOLUME,
        body.target,
        body.source,
        read_only=body.read_only,
        anonymous=not body.source,
        copy=options is None or not options.no_copy,
        driver=config.name if config is not None else "",
        driver_options=config.options if config is not None else {},
        labels=options.labels if options is not None else {},
        subpath=options.subpath if options is not None else "",
        detailed=True,
    )


def _tmpfs(body: MountBody) -> Mount:
    if body.source:
        raise InvalidError('invalid mount config for type "tmpfs": field Source must not be specified', field="Mounts")
    words = _tmpfs_words(body.tmpfs_options)
    return Mount(MountKind.TMPFS, body.target, read_only=body.read_only, options=words, detailed=True)


def _tmpfs_words(options: TmpfsOptions | None) -> tuple[str, ...]:
    if options is None:
        return ()
    size = (f"size={options.size_bytes}",) if options.size_bytes else ()
    return (*size, f"mode={options.mode:o}") if options.mode else size
