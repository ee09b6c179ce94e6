"""Which of several images is meant: Go's names of machines, and the choice from a list of manifests. Pure."""

import re
from collections.abc import Sequence

from linkspan.images.documents import Descriptor, ManifestList
from linkspan.model.errors import InvalidError, NotFoundError
from linkspan.model.images import Platform

_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv8l": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i386": "386",
    "i686": "386",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
_KNOWN = frozenset(
    {"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64"}
    | {"s390x", "wasm"}
)
"""Go's names of machines that Linux runs on; alone, a word has to be one of them."""
_VARIANTS = {"armv7l": "v7", "armv6l": "v6"}
_USUAL_VARIANT = {"arm64": "v8", "arm": "v7", "amd64": "v1"}
_WORD = re.compile(r"[A-Za-z0-9_.-]+")


def machine_platform(machine: str) -> Platform:
    """The platform of `uname -m`."""
    return Platform("linux", _ARCHITECTURES.get(machine, machine), _VARIANTS.get(machine, ""))


def parse_platform(text: str, default: Platform) -> Platform:
    """`linux/arm64/v8`, `arm64` or `linux`; empty is the machine's own."""
    if not text:
        return default
    parts = [part.lower() for part in text.split("/")]
    if len(parts) > 3 or not all(_WORD.fullmatch(part) for part in parts):
        raise _unreadable(text, "cannot parse platform specifier")
    if len(parts) == 1:
        if parts[0] == "linux":
            return default
        architecture = _ARCHITECTURES.get(parts[0], parts[0])
        if architecture not in _KNOWN:
            raise _unreadable(text, "unknown operating system or architecture")
        return Platform("linux", architecture)
    os, architecture, *variant = parts
    return Platform(os, _ARCHITECTURES.get(architecture, architecture), variant[0] if variant else "")


def _unreadable(text: str, reason: str) -> InvalidError:
    return InvalidError(f'"{text}": {reason}: invalid argument', field="platform", value=text)


def fits(found: Platform, wanted: Platform) -> bool:
    """Whether one can be used where the other is wanted: a missing variant is the usual one."""
    return (
        found.os == wanted.os
        and (found.architecture or wanted.architecture) == wanted.architecture
        and (not wanted.variant or _variant(found) == _variant(wanted))
    )


def _variant(platform: Platform) -> str:
    return platform.variant or _USUAL_VARIANT.get(platform.architecture, "")


def choose(listed: ManifestList, wanted: Platform) -> Descriptor:
    """The manifest for a platform: among several, the one with the usual variant."""
    found = [each for each in listed.manifests if each.platform is not None and fits(_platform(each), wanted)]
    if not found:
        raise NotFoundError(
            f"no matching manifest for {wanted} in the manifest list entries", field="platform", value=str(wanted)
        )
    return _usual(found, wanted)


def _usual(found: Sequence[Descriptor], wanted: Platform) -> Descriptor:
    return next((each for each in found if _variant(_platform(each)) == _variant(wanted)), found[0])


def _platform(descriptor: Descriptor) -> Platform:
    found = descriptor.platform
    return Platform("", "") if found is None else Platform(found.os, found.architecture, found.variant)
