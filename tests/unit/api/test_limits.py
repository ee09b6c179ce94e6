"""Limits, devices, health checks and policies of requests, and what is refused in Docker's words."""

import json
from typing import Any

import pytest

from linkspan.api import limits
from linkspan.api.bodies.resources import HealthConfig, ResourcesBody, RestartPolicy, UpdateBody
from linkspan.api.reading import parse
from linkspan.model import resources as model
from linkspan.model.errors import InvalidError
from linkspan.model.health import HealthCheck
from linkspan.model.resources import DeviceRequest, Resources, Restart, Throttle


def body(**fields: Any) -> ResourcesBody:
    return parse(json.dumps(fields).encode(), ResourcesBody)


def test_limits_reach_the_request() -> None:
    sent = body(
        Memory=1 << 26,
        MemorySwap=-1,
        NanoCpus=500_000_000,
        CpusetCpus="0-1",
        PidsLimit=50,
        MemorySwappiness=0,
        OomKillDisable=True,
        BlkioDeviceReadBps=[{"Path": "/dev/sda", "Rate": 1024}],
    )
    assert limits.resources(sent) == Resources(
        memory=1 << 26,
        memory_swap=-1,
        nano_cpus=500_000_000,
        cpuset_cpus="0-1",
        pids=50,
        swappiness=0,
        oom_kill_disable=True,
        read_bps=(Throttle("/dev/sda", 1024),),
    )


def test_what_the_docker_command_sends_without_being_asked_is_no_limit() -> None:
    sent = body(MemorySwappiness=-1, PidsLimit=0, OomKillDisable=False, Devices=[], Ulimits=[], BlkioDeviceReadBps=[])
    assert limits.resources(sent) == Resources()


def test_devices_are_at_the_same_path_inside_unless_said() -> None:
    sent = body(Devices=[{"PathOnHost": "/dev/a"}, {"PathOnHost": "/dev/b", "PathInContainer": "/dev/c"}])
    assert limits.devices(sent.devices) == (DeviceRequest("/dev/a", "/dev/a"), DeviceRequest("/dev/b", "/dev/c"))


def test_a_device_that_only_a_driver_could_give_is_refused() -> None:
    with pytest.raises(InvalidError, match="could not select device driver"):
        limits.resources(body(DeviceRequests=[{"Driver": "nvidia"}]))


@pytest.mark.parametrize("name", ["no", "always", "unless-stopped", "on-failure"])
def test_a_policy_is_known_by_its_name(name: str) -> None:
    assert limits.restart_policy(RestartPolicy(name=name)) == model.RestartPolicy(Restart(name))


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(InvalidError, match="unknown policy 'often'"):
        limits.restart_policy(RestartPolicy(name="often"))


def test_an_update_without_a_policy_leaves_it() -> None:
    assert parse(b"{}", UpdateBody).restart_policy.name == ""


def test_a_health_check_has_dockers_times_where_none_are_given() -> None:
    found = limits.health_check(HealthConfig(test=["CMD-SHELL", "true"], interval=1_000_000_000))
    assert found == HealthCheck(("/bin/sh", "-c", "true"), interval=1.0)


@pytest.mark.parametrize("test", [[], ["NONE"]])
def test_no_health_check(test: list[str]) -> None:
    assert limits.health_check(HealthConfig(test=test)) is None


@pytest.mark.parametrize("test", [["CMD-SHELL", "curl -f x || exit 1"], ["CMD", "true", "x"]])
def test_a_health_check_is_shown_as_it_was_asked_for(test: list[str]) -> None:
    shown = limits.health_body(limits.health_check(HealthConfig(test=test, retries=2, timeout=500_000_000)))
    assert shown is not None and (shown.test, shown.retries, shown.timeout) == (test, 2, 500_000_000)


def test_a_test_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidError, match='Unknown healthcheck type "RUN"'):
        limits.health_check(HealthConfig(test=["RUN", "x"]))
