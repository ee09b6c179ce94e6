"""Profiles of system calls are resolved for a machine, a kernel and capabilities."""

import json
from typing import Any

import pytest

from linkspan.containers.seccomp import default_profile, narrowed, resolved
from linkspan.containers.security import Security, security
from linkspan.model.errors import InvalidError, UnavailableError

PROFILE = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ],
    "syscalls": [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": []},
        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
        {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "excludes": {"caps": ["CAP_BPF"]}},
        {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64"]}},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}],
        },
    ],
}


def names(machine: str = "x86_64", kernel: str = "6.1.0-13-amd64", caps: tuple[str, ...] = ()) -> list[str]:
    found: Any = resolved(json.dumps(PROFILE), caps, machine, kernel)
    return [f"{rule['names'][0]} {rule['action'][9:].lower()}" for rule in found["syscalls"]]


def test_rules_are_chosen_by_capabilities() -> None:
    assert "bpf errno" in names() and "bpf allow" not in names()
    assert "bpf allow" in names(caps=("CAP_BPF",)) and "bpf errno" not in names(caps=("CAP_BPF",))


def test_rules_are_chosen_by_architecture_and_kernel() -> None:
    assert "arch_prctl allow" in names() and "arch_prctl allow" not in names("aarch64")
    assert "ptrace allow" in names(kernel="4.8") and "ptrace allow" not in names(kernel="4.7.9")


def test_the_runtime_is_told_architectures_arguments_and_errors() -> None:
    found: Any = resolved(json.dumps(PROFILE), (), "aarch64", "6.1")
    assert found["architectures"] == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    assert (found["defaultAction"], found["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 38)
    assert found["syscalls"][-1]["args"] == [{"index": 0, "value": 40, "valueTwo": 0, "op": "SCMP_CMP_NE"}]
    assert found["syscalls"][1]["errnoRet"] == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"defaultAction": "x", "syscalls": [1]}', "null", "[" * 10000])
def test_what_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="Decoding seccomp profile failed"):
        resolved(text, ())


PERMISSIVE = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "syscalls": [
        {"names": ["read", "clone", "clone3", "unshare", "mount", "keyctl"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["setns"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
    ],
}


def rules_for(name: str, *caps: str, machine: str = "x86_64") -> list[tuple[str, int | None, object]]:
    """What becomes of a system call: the action, the error and the arguments of each rule."""
    found: Any = resolved(json.dumps(narrowed(PERMISSIVE)), caps, machine, "6.1")
    rules = [rule for rule in found["syscalls"] if name in rule["names"]]
    return [(rule["action"][9:].lower(), rule.get("errnoRet"), rule.get("args")) for rule in rules]


@pytest.mark.parametrize("name", ["unshare", "mount", "setns", "syslog"])
def test_only_administrators_make_namespaces_and_mounts(name: str) -> None:
    assert rules_for(name) == [("errno", 1, None)]
    assert ("allow", None, None) in rules_for(name, "CAP_SYS_ADMIN")
    assert not any(action == "errno" for action, *_ in rules_for(name, "CAP_SYS_ADMIN"))


def test_nobody_has_keys_and_everybody_reads() -> None:
    assert rules_for("keyctl", "CAP_SYS_ADMIN") == [("errno", 1, None)]
    assert rules_for("read") == [("allow", None, None)]


@pytest.mark.parametrize(("machine", "index"), [("x86_64", 0), ("aarch64", 0), ("s390x", 1)])
def test_clone_makes_processes_and_no_namespaces(machine: str, index: int) -> None:
    flags = {"index": index, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    assert rules_for("clone", machine=machine) == [("allow", None, [flags])]
    assert rules_for("clone3", machine=machine) == [("errno", 38, None)]
    assert rules_for("clone", "CAP_SYS_ADMIN", machine=machine) == [("allow", None, None)]


@pytest.mark.parametrize("text", ["", "[]", "{}", "null"])
def test_a_damaged_default_profile_is_said(tmp_path: Any, text: str) -> None:
    (tmp_path / "profile.json").write_text(text)
    with pytest.raises(UnavailableError, match="missing or damaged"):
        default_profile(tmp_path / "profile.json")


def test_a_missing_default_profile_names_its_package(tmp_path: Any) -> None:
    with pytest.raises(UnavailableError) as caught:
        default_profile(tmp_path / "none.json")
    assert "golang-github-containers-common" in (caught.value.hint or "")


def test_security_options() -> None:
    assert security([]) == Security()
    assert security(["no-new-privileges", "seccomp=unconfined"]) == Security("unconfined", no_new_privileges=True)
    assert security(["no-new-privileges:false", "label=disable", "apparmor=unconfined"]) == Security()
    assert security(["seccomp={}"]) == Security("{}")


@pytest.mark.parametrize("option", ["odd", "seccomp=", "no-new-privileges=maybe", "apparmor=mine", "label=type:x"])
def test_an_option_that_would_have_no_effect_is_refused(option: str) -> None:
    with pytest.raises(InvalidError):
        security([option])
