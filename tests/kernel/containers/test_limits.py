"""Limits, devices and system calls, as the processes inside find them."""

import asyncio
import os
from typing import Any

import pytest

from linkspan.model.containers import Status
from linkspan.model.errors import ConflictError, InvalidError, UnavailableError
from linkspan.model.resources import DeviceRequest, Resources, Restart, RestartPolicy, Ulimit
from tests.support.container_hosts import CGROUPS, ContainerHost
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow

MIB = 1 << 20


def group_file(id: str, controller: str, first: str, second: str) -> str:
    """What a control group says, in version 1 or 2."""
    if (CGROUPS / "cgroup.controllers").exists():
        return (CGROUPS / "linkspan" / id / second).read_text().strip()
    return (CGROUPS / controller / "linkspan" / id / first).read_text().strip()


async def test_memory_and_processes_are_limited(place: ContainerHost) -> None:
    box = await place.run(resources=Resources(memory=64 * MIB, pids=20))
    assert group_file(box.id, "memory", "memory.limit_in_bytes", "memory.max") == str(64 * MIB)
    assert group_file(box.id, "pids", "pids.max", "pids.max") == "20"


async def test_a_group_above_its_own_can_be_named(place: ContainerHost) -> None:
    name = f"linkspan-{os.getpid()}"
    box = await place.run(cgroup_parent=f"/{name}")
    pids = await place.engine._kernel.processes(f"/{name}/{box.id}")  # type: ignore[attr-defined]
    assert box.state.pid in pids
    await place.containers.pause(box.id)
    await place.containers.remove(box.id, force=True)
    gone = [each for root in (CGROUPS, *CGROUPS.iterdir()) if (each := root / name).is_dir()]
    assert gone and not any((each / box.id).exists() for each in gone)
    for each in gone:
        each.rmdir()


async def test_limits_of_a_running_container_are_changed(place: ContainerHost) -> None:
    box = await place.run(resources=Resources(memory=64 * MIB))
    await place.containers.update(box.id, Resources(memory=96 * MIB), RestartPolicy(Restart.ALWAYS))
    assert group_file(box.id, "memory", "memory.limit_in_bytes", "memory.max") == str(96 * MIB)
    wanted = place.containers.get(box.id).wanted
    assert wanted.restart.name is Restart.ALWAYS and wanted.resources.memory_swap == 128 * MIB


async def test_who_takes_too_much_memory_is_killed_and_that_is_known(place: ContainerHost) -> None:
    eat = "x=x; while :; do x=$x$x; done"
    box = await place.create("sh", "-c", eat, resources=Resources(memory=16 * MIB, memory_swap=16 * MIB))
    ended = place.containers.wait(box.id, "next-exit")
    await place.containers.start(box.id)
    code, _ = await asyncio.wait_for(ended, PATIENCE)
    assert code == 137 and place.containers.get(box.id).state.oom_killed
    assert "container oom" in place.happened()
    assert "oom" not in os.listdir()  # noqa: PTH208 - the monitor writes a file of that name where it works


async def test_system_calls_are_filtered_unless_unconfined(place: ContainerHost) -> None:
    show = ("sh", "-c", "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status")
    assert "Seccomp:\t2" in await place.output(*show)
    assert "Seccomp:\t0" in await place.output(*show, security=["seccomp=unconfined"])
    assert "Seccomp:\t0" in await place.output(*show, privileged=True)
    assert "NoNewPrivs:\t1" in await place.output(*show, security=["no-new-privileges"])


async def test_only_administrators_make_namespaces(place: ContainerHost) -> None:
    make = ("busybox", "unshare", "-r", "true")
    assert "Operation not permitted" in await place.output(*make)
    assert await place.output(*make, cap_add=["SYS_ADMIN"]) == ""


async def test_a_system_call_that_is_not_allowed_fails(place: ContainerHost) -> None:
    profile = (
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}'
    )
    said = await place.output("sh", "-c", "mkdir /made 2>&1; echo end", security=[f"seccomp={profile}"])
    assert "Operation not permitted" in said and "end" in said


async def test_a_device_is_given_at_its_path_and_can_be_used(place: ContainerHost) -> None:
    device = DeviceRequest("/dev/zero", "/dev/nought", "r")
    said = await place.output(
        "sh", "-c", "head -c 3 /dev/nought | wc -c; echo x >/dev/nought || echo no", devices=[device]
    )
    assert said.splitlines()[0] == "3"


async def test_a_device_that_is_none_is_refused(place: ContainerHost) -> None:
    box = await place.create(devices=[DeviceRequest("/etc/passwd", "/dev/x")])
    with pytest.raises(InvalidError, match="error gathering device information"):
        await place.containers.start(box.id)


async def test_an_init_is_the_first_process_and_ends_orphans(place: ContainerHost) -> None:
    said = await place.output("sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '; echo; cat /proc/$$/stat", init=True)
    assert said.startswith("/sbin/docker-init -- sh -c") and " 1 " in said.splitlines()[1]


async def test_ulimits_and_groups(place: ContainerHost) -> None:
    said = await place.output(
        *("sh", "-c", "grep 'Max core file size' /proc/self/limits; id"),
        ulimits=[Ulimit("core", 1024, 2048)],
        group_add=["sailors", "77"],
        user="ann",
    )
    assert "1024" in said and "2048" in said and "70(sailors)" in said and "77" in said


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"oom_score_adj": -999}, "an oom-score-adj of -999 is below the daemon's own"),
        ({"ulimits": [Ulimit("nofile", 1 << 40, 1 << 40)]}, "is above the daemon's own limit"),
    ],
)
async def test_what_only_another_privilege_could_give_is_refused_by_name(
    place: ContainerHost, fields: dict[str, Any], text: str
) -> None:
    if "CAP_SYS_RESOURCE" in place.containers.abilities.capabilities:
        said = await place.output("cat", "/proc/self/oom_score_adj", oom_score_adj=-999)
        assert said == "-999\n"
        return
    box = await place.create(**fields)
    with pytest.raises(UnavailableError, match=f"{text}.* CAP_SYS_RESOURCE"):
        await place.containers.start(box.id)


async def test_namespaces_of_the_host_and_of_others(place: ContainerHost) -> None:
    other = await place.run(ipc="shareable", name="other")
    said = await place.output(
        "sh", "-c", "readlink /proc/self/ns/pid; readlink /proc/self/ns/uts", pid="host", uts="host"
    )
    own = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "uts")]  # noqa: PTH115
    assert said.split() == own
    await place.exec(other.id, "sh", "-c", "echo told >/dev/shm/told")
    assert await place.output("cat", "/dev/shm/told", ipc="container:other") == "told\n"
    said = await place.output("ps", pid="container:other")
    assert "sleep 1000" in said


@pytest.mark.parametrize("field", ["mode", "ipc", "pid"])
async def test_a_mode_of_a_container_that_is_not_there_is_the_request_s_mistake(
    place: ContainerHost, field: str
) -> None:
    with pytest.raises(InvalidError, match=r"^No such container: gone$"):
        await place.create(**{field: "container:gone"})


async def test_shared_memory_of_a_private_container_is_not_shared(place: ContainerHost) -> None:
    other = await place.run()
    box = await place.create(ipc=f"container:{other.id}")
    with pytest.raises(ConflictError, match="non-shareable IPC"):
        await place.containers.start(box.id)


async def test_a_container_is_frozen_and_goes_on(place: ContainerHost) -> None:
    box = await place.run("sh", "-c", "while :; do echo x; sleep 0.05; done")
    await place.until_written(box.id, "x")
    await place.containers.pause(box.id)
    assert place.containers.get(box.id).state.status is Status.PAUSED
    assert group_file(box.id, "freezer", "freezer.state", "cgroup.freeze") in ("FROZEN", "1")
    with pytest.raises(ConflictError, match="is paused"):
        await place.exec(box.id, "true")
    await place.containers.unpause(box.id)
    assert await place.exec(box.id, "echo", "again") == (0, b"again\n")
    assert [event for event in place.happened() if "pause" in event] == ["container pause", "container unpause"]


async def test_a_paused_container_is_taken_over_stopped_and_removed(place: ContainerHost) -> None:
    first, second = await place.run(), await place.run()
    for box in (first, second):
        await place.containers.pause(box.id)
    await place.close()
    await place.open()
    assert place.containers.get(first.id).state.status is Status.PAUSED
    await place.containers.stop(first.id, timeout=0)
    assert place.containers.get(first.id).state.exit_code == 137
    await place.containers.remove(second.id, force=True)


async def test_what_is_frozen_is_seen_even_when_it_was_not_noted(place: ContainerHost) -> None:
    box = await place.run()
    await place.containers._freezer._told("pause", place.containers._register.get(box.id))
    await place.close()
    await place.open()
    assert place.containers.get(box.id).state.status is Status.PAUSED
    await place.containers.unpause(box.id)
    assert await place.exec(box.id, "echo", "on") == (0, b"on\n")


async def test_usage_is_measured(place: ContainerHost) -> None:
    box = await place.run("sh", "-c", "while :; do :; done", resources=Resources(memory=64 * MIB, pids=10))
    before = (await place.containers.meter.measure(box.id)).usage
    assert before is not None
    async with asyncio.timeout(PATIENCE):
        while True:
            found = (await place.containers.meter.measure(box.id)).usage
            assert found is not None
            if found.cpu.total > before.cpu.total:
                break
    assert found.system >= before.system and found.cpus >= 1
    assert 0 < found.memory.now < 64 * MIB == found.memory.limit
    assert (found.pids, found.pids_limit, [link.name for link in found.links]) == (1, 10, ["eth0"])
    titles, rows = await place.containers.meter.processes(box.id, "-o pid,args")
    assert list(titles) == ["PID", "COMMAND"] and [row[1] for row in rows] == ["sh -c while :; do :; done"]
