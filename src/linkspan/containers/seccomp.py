"""Which system calls a process may make: a profile in Docker's form, resolved for one container.

The default profile is the one that podman and buildah use, which has its home in containers/common. It is data of a
Debian package, and narrowed to what Docker's allows: podman gives every process namespaces, mounts and keys of its own,
Docker only the administrators among them. A profile of the user's has the same form. The rules are for certain
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


_ADMINISTRATION = frozenset(
    {"clone", "clone3", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "open_tree"}
    | {"setns", "syslog", "umount", "umount2", "unshare"}
)
"""What Docker's profile leaves to those who have CAP_SYS_ADMIN."""

_REFUSED = frozenset({"keyctl", "pivot_root"})
"""What Docker's profile allows nobody."""

_NAMESPACES = 0x7E020000
"""The flags of clone that make namespaces: CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID and -NET."""

_EPERM, _ENOSYS = 1, 38
_FLAGS_COME_SECOND = ["s390", "s390x"]


def default_profile(path: Path = DEFAULT_PROFILE) -> str:
    """The text of the default profile; `UnavailableError` names the package that has it."""
    try:
        return json.dumps(narrowed(json.loads(path.read_text())))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnavailableError(
            f"the default seccomp profile {path} is missing or damaged: {error}",
            hint=f"install the package {PACKAGE}, or start containers with --security-opt seccomp=unconfined",
        ) from error


def narrowed(profile: Mapping[str, Any]) -> Mapping[str, Any]:
    """A profile that allows an ordinary process no more than Docker's, which knows the same rules otherwise."""
    kept = (_without(rule, _ADMINISTRATION | _REFUSED) for rule in profile["syscalls"])
    return {**profile, "syscalls": [*(rule for rule in kept if rule["names"]), *_administration()]}


def _without(rule: Mapping[str, Any], names: Collection[str]) -> Mapping[str, Any]:
    return {**rule, "names": [name for name in rule["names"] if name not in names]}


def _administration() -> Iterator[Mapping[str, Any]]:
    """Threads and processes are made with clone, so only its flags are looked at. A filter cannot see those of clone3,
    which libraries do without where the kernel does not have it.
    """
    administrators = {"caps": ["CAP_SYS_ADMIN"]}
    ordinary = sorted(_ADMINISTRATION - {"clone", "clone3"})
    yield {"names": sorted(_ADMINISTRATION), "action": "SCMP_ACT_ALLOW", "includes": administrators}
    yield {"names": ordinary, "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM, "excludes": administrators}
    yield {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS, "excludes": administrators}
    yield {"names": sorted(_REFUSED), "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM}
    clone = {"names": ["clone"], "action": "SCMP_ACT_ALLOW"}
    yield {**clone, "args": [_no_namespaces(0)], "excludes": {**administrators, "arches": _FLAGS_COME_SECOND}}
    yield {**clone, "args": [_no_namespaces(1)], "excludes": administrators, "includes": {"arches": _FLAGS_COME_SECOND}}


def _no_namespaces(index: int) -> Mapping[str, Json]:
    return {"index": index, "value": _NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}


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
