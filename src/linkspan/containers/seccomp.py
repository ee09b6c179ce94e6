"""Which system calls a process may make: a profile in Docker's form, resolved for one container.

The default profile is the one that podman and buildah use, which has its home in containers/common and follows
Docker's. It is data of a Debian package; a profile of the user's has the same form. Its rules are for certain
architectures, capabilities or kernels; the runtime wants them resolved.
"""

import json
import platform
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from linkspan.containers.limits import Json
from linkspan.model.errors import InvalidError, UnavailableError

DEFAULT_PROFILE = Path("/usr/share/containers/seccomp.json")
PACKAGE = "golang-github-containers-common"

_ARCHITECTURES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
    "i686": ("x86", "SCMP_ARCH_X86"),
}
"""By uname's word: the profile's word, and libseccomp's."""


def default_profile(path: Path = DEFAULT_PROFILE) -> str:
    """The text of the default profile; `UnavailableError` names the package that has it."""
    try:
        return path.read_text()
    except OSError as error:
        raise UnavailableError(
            f"the default seccomp profile {path} is missing",
            hint=f"install the package {PACKAGE}, or start containers with --security-opt seccomp=unconfined",
        ) from error


def resolved(text: str, capabilities: Collection[str], machine: str = "", kernel: str = "") -> Mapping[str, Json]:
    """`linux.seccomp` for a process with `capabilities`. Raises `InvalidError` when `text` is no profile."""
    machine, kernel = machine or platform.machine(), kernel or platform.release()
    try:
        profile = json.loads(text)
        word, native = _ARCHITECTURES.get(machine, ("", ""))
        found: dict[str, Json] = {
            "defaultAction": str(profile["defaultAction"]),
            "architectures": list(_architectures(profile, native)),
            "syscalls": [
                _rule(rule) for rule in profile.get("syscalls") or () if _applies(rule, word, capabilities, kernel)
            ],
        }
        if (number := profile.get("defaultErrnoRet")) is not None:
            found["defaultErrnoRet"] = int(number)
        flags = [str(flag) for flag in profile.get("flags") or ()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidError(f"Decoding seccomp profile failed: {error!r}", field="security") from error
    return {**found, "flags": flags} if flags else found


def _architectures(profile: Mapping[str, Any], native: str) -> Iterator[str]:
    """Those that the profile lists, or the machine's own with those it can run."""
    yield from map(str, profile.get("architectures") or ())
    for entry in profile.get("archMap") or ():
        if entry["architecture"] == native:
            yield native
            yield from map(str, entry.get("subArchitectures") or ())


def _applies(rule: Mapping[str, Any], word: str, capabilities: Collection[str], kernel: str) -> bool:
    only, never = rule.get("includes") or {}, rule.get("excludes") or {}
    if only.get("arches") and word not in only["arches"]:
        return False
    if not set(only.get("caps") or ()) <= set(capabilities):
        return False
    if only.get("minKernel") and _version(kernel) < _version(only["minKernel"]):
        return False
    if word in (never.get("arches") or ()) or set(never.get("caps") or ()) & set(capabilities):
        return False
    return not (never.get("minKernel") and _version(kernel) >= _version(never["minKernel"]))


def _version(text: str) -> tuple[int, int]:
    major, _, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return int(major), int(digits or 0)


def _rule(rule: Mapping[str, Any]) -> Json:
    names = rule.get("names") or [rule["name"]]
    found: dict[str, Json] = {"names": [str(name) for name in names], "action": str(rule["action"])}
    if rule.get("args"):
        found["args"] = [_argument(argument) for argument in rule["args"]]
    if (number := rule.get("errnoRet")) is not None:
        found["errnoRet"] = int(number)
    return found


def _argument(argument: Mapping[str, Any]) -> Json:
    return {
        "index": int(argument["index"]),
        "value": int(argument["value"]),
        "valueTwo": int(argument.get("valueTwo") or 0),
        "op": str(argument["op"]),
    }
