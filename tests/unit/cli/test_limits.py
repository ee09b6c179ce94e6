"""Flags about limits, health and volumes, as the daemon understands them."""

from pathlib import Path

import msgspec
import pytest

from linkspan.api.bodies.containers import ContainerCreate
from linkspan.api.bodies.resources import UpdateBody
from linkspan.api.creation import container_request
from linkspan.api.limits import resources as understood
from linkspan.cli.catalogue import COMMANDS
from linkspan.cli.creating import create_body
from linkspan.cli.limits import resources
from linkspan.cli.reading import read_line
from linkspan.model.containers import CreateContainer, Mount, MountKind
from linkspan.model.errors import InvalidError
from linkspan.model.health import HealthCheck
from linkspan.model.resources import DeviceRequest, Resources, Restart, RestartPolicy, Throttle, Ulimit


def wanted(*flags: str) -> CreateContainer:
    body = create_body(read_line(["run", "--rootfs", "/r", *flags, "sh"], COMMANDS), {})
    return container_request("c1", msgspec.convert(body, ContainerCreate))


def test_limits() -> None:
    found = wanted(
        *("-m", "64m", "--memory-swap", "-1", "--cpus", "1.5", "--pids-limit", "20", "--cpuset-cpus", "0"),
        *("--memory-swappiness", "0", "--oom-kill-disable", "--device-read-bps", "/dev/sda:1m"),
    )
    assert found.resources == Resources(
        memory=64 << 20,
        memory_swap=-1,
        nano_cpus=1_500_000_000,
        pids=20,
        cpuset_cpus="0",
        swappiness=0,
        oom_kill_disable=True,
        read_bps=(Throttle("/dev/sda", 1 << 20),),
    )


def test_ulimits_devices_groups_and_security() -> None:
    found = wanted(
        *("--ulimit", "nofile=10:20", "--ulimit", "core=5", "--device", "/dev/a:r", "--device", "/dev/b:/dev/c:rw"),
        *("--group-add", "wheel", "--security-opt", "no-new-privileges", "--oom-score-adj", "-5"),
    )
    assert found.ulimits == (Ulimit("nofile", 10, 20), Ulimit("core", 5, 5))
    assert found.devices == (DeviceRequest("/dev/a", "/dev/a", "r"), DeviceRequest("/dev/b", "/dev/c", "rw"))
    assert (found.group_add, found.security, found.oom_score_adj) == (("wheel",), ("no-new-privileges",), -5)


def test_a_profile_of_system_calls_is_sent_as_its_text(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"defaultAction": "x"}')
    assert wanted("--security-opt", f"seccomp={tmp_path}/p.json").security == ('seccomp={"defaultAction": "x"}',)
    assert wanted("--security-opt", "seccomp=unconfined").security == ("seccomp=unconfined",)
    with pytest.raises(InvalidError, match="opening seccomp profile"):
        wanted("--security-opt", f"seccomp={tmp_path}/none.json")


def test_policies() -> None:
    assert wanted().restart == RestartPolicy()
    assert wanted("--restart", "on-failure:3").restart == RestartPolicy(Restart.ON_FAILURE, 3)
    assert wanted("--restart", "unless-stopped").restart == RestartPolicy(Restart.UNLESS_STOPPED)
    with pytest.raises(InvalidError):
        wanted("--restart", "on-failure:x")


def test_health_checks() -> None:
    assert wanted().health is None and wanted("--no-healthcheck").health is None
    found = wanted(
        "--health-cmd", "true", "--health-interval", "1m30s", "--health-retries", "2", "--health-timeout", "500ms"
    )
    assert found.health == HealthCheck(("/bin/sh", "-c", "true"), interval=90, timeout=0.5, retries=2)
    with pytest.raises(InvalidError, match="invalid duration"):
        wanted("--health-cmd", "true", "--health-interval", "soon")


def test_volumes() -> None:
    mount = "type=volume,source=v2,target=/v,readonly,volume-nocopy,volume-subpath=a/b"
    found = wanted("-v", "v1:/data:ro", "-v", "/nameless", "--mount", mount, "--volumes-from", "other:ro")
    assert found.mounts == (
        Mount(MountKind.VOLUME, "/data", "v1", read_only=True),
        Mount(MountKind.VOLUME, "/v", "v2", read_only=True, copy=False, subpath="a/b", detailed=True),
        Mount(MountKind.VOLUME, "/nameless", anonymous=True),
    )
    assert found.volumes_from == ("other:ro",)


def test_an_update_says_only_what_was_asked_for() -> None:
    body = resources(read_line(["update", "-m", "96m", "--restart", "always", "web"], COMMANDS))
    assert set(body) == {"Memory", "RestartPolicy"}
    assert understood(msgspec.convert(body, UpdateBody)) == Resources(memory=96 << 20)
