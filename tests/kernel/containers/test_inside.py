"""What a process finds around it."""

from pathlib import Path

import pytest

from linkspan.model.containers import Mount, MountKind
from linkspan.model.errors import ConflictError, InvalidError
from tests.support.container_hosts import ContainerHost

pytestmark = pytest.mark.slow


def own_status() -> list[str]:
    return Path("/proc/self/status").read_text().splitlines()


async def test_names_and_addresses_are_in_etc(place: ContainerHost) -> None:
    text = await place.output(
        *("sh", "-c", "hostname; cat /etc/hostname /etc/hosts /etc/resolv.conf"),
        hostname="ship",
        domainname="sea.test",
        extra_hosts=["buoy:192.0.2.9", "shore:host-gateway"],
        dns=["192.0.2.53"],
        dns_search=["sea.test"],
        dns_options=["ndots:2"],
    )
    lines = text.splitlines()
    assert lines[:2] == ["ship", "ship"]
    for line in ("192.0.2.9\tbuoy", "172.17.0.1\tshore", "172.17.0.2\tship.sea.test ship", "nameserver 192.0.2.53"):
        assert line in lines
    assert "search sea.test" in lines and "options ndots:2" in lines


async def test_without_a_hostname_it_is_the_short_id(place: ContainerHost) -> None:
    container = await place.run("sh", "-c", "hostname; exec sleep 1000", name="web")
    await place.until_written("web", container.id[:12])


async def test_environment_directory_and_user_are_what_was_asked_for(place: ContainerHost) -> None:
    text = await place.output(
        *("sh", "-c", "pwd; id; env"), env=["A=b", "EMPTY="], workdir="/made/here", user="ann", tty=False
    )
    assert text.splitlines()[:2] == ["/made/here", "uid=1000(ann) gid=1000(ann) groups=70(sailors),1000(ann)"]
    assert "A=b" in text and "EMPTY=" in text and "PATH=/usr/local/sbin:" in text and "HOSTNAME=" in text


async def test_mounts(place: ContainerHost, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/file").write_text("from outside\n")
    text = await place.output(
        *(
            "sh",
            "-c",
            "cat /ro/file /one; echo x > /ro/file; echo x > /rw/new; echo x > /made/new; grep /scratch /proc/mounts",
        ),
        mounts=[
            Mount(MountKind.BIND, "/ro", str(tmp_path / "shared"), read_only=True),
            Mount(MountKind.BIND, "/rw", str(tmp_path / "shared")),
            Mount(MountKind.BIND, "/made", str(tmp_path / "new/directory"), create=True),
            Mount(MountKind.BIND, "/one", str(tmp_path / "shared/file"), create=True),
            Mount(MountKind.TMPFS, "/scratch", options=("size=1m",)),
        ],
    )
    assert text.count("from outside") == 2 and "Read-only file system" in text and "size=1024k" in text
    assert (tmp_path / "shared/new").exists() and (tmp_path / "new/directory/new").exists()


async def test_a_read_only_root(place: ContainerHost) -> None:
    text = await place.output("sh", "-c", "echo x > /file; echo x > /dev/shm/file && echo shm", read_only=True)
    assert "/file: Read-only file system" in text and "shm\n" in text


async def test_shared_memory_has_its_size(place: ContainerHost) -> None:
    text = await place.output("sh", "-c", "grep /dev/shm /proc/mounts", shm_size=1 << 20)
    assert "size=1024k" in text


async def test_sysctls_and_docker_defaults(place: ContainerHost) -> None:
    text = await place.output(
        *("cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/net/ipv4/ip_forward"),
        sysctls={"net.ipv4.ip_forward": "1"},
    )
    assert text.split() == ["0", "1"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 0x00000000A80425FB),
        ({"cap_drop": ["ALL"], "cap_add": ["NET_ADMIN"]}, 1 << 12),
        ({"cap_drop": ["CAP_CHOWN"]}, 0x00000000A80425FA),
    ],
)
async def test_capabilities(place: ContainerHost, fields: dict[str, object], expected: int) -> None:
    text = await place.output("grep", "CapEff", "/proc/self/status", **fields)
    assert int(text.split()[1], 16) == expected


async def test_privileged_has_whatever_the_machine_has(place: ContainerHost) -> None:
    bounding = next(line for line in own_status() if line.startswith("CapBnd"))
    text = await place.output(
        *(
            "sh",
            "-c",
            "grep CapEff /proc/self/status; mount -t tmpfs x /tmp && echo mounted; touch /sys/kernel/x; ls /dev",
        ),
        privileged=True,
    )
    assert text.split()[1] == bounding.split()[1] and "mounted" in text


async def test_what_is_not_privileged_is_kept_from_the_kernel(place: ContainerHost) -> None:
    text = await place.output(*("sh", "-c", "echo 1 > /proc/sys/kernel/panic; mount -t tmpfs x /tmp; echo done"))
    assert "/proc/sys/kernel/panic: Read-only file system" in text
    assert "mount: permission denied" in text


async def test_a_published_port_is_served(place: ContainerHost) -> None:
    await place.run(
        *("sh", "-c", "echo from inside > /index.html; echo ready; exec httpd -f -h / -p 80"),
        name="web",
        publish=["8080:80"],
    )
    await place.until_written("web", "ready")
    said = await place.neighbour.run("curl", "-s", "--retry", "20", "--retry-connrefused", "http://192.0.2.1:8080/")
    assert said == "from inside\n"


async def test_mode_host_is_the_network_of_the_machine(place: ContainerHost) -> None:
    text = await place.output("ip", "-4", "address", "show", "eth0", mode="host")
    assert "192.0.2.1/24" in text


async def test_mode_none_has_loopback_only(place: ContainerHost) -> None:
    text = await place.output("sh", "-c", "ip -o link | wc -l; ip address show lo", mode="none")
    assert text.startswith("1\n") and "127.0.0.1/8" in text


async def test_a_shared_network_has_the_names_of_its_owner(place: ContainerHost) -> None:
    owner = await place.run(name="owner", hostname="ship")
    text = await place.output("sh", "-c", "hostname; ip -4 address show eth0; cat /etc/hosts", mode="container:owner")
    assert text.startswith("ship\n") and "172.17.0.2/16" in text and "172.17.0.2\tship" in text
    assert place.containers.get("owner").id == owner.id


async def test_a_shared_network_survives_a_restart_of_its_owner(place: ContainerHost) -> None:
    await place.run(name="owner")
    await place.run(name="member", mode="container:owner")
    before = await place.exec("member", "readlink", "/proc/self/ns/net")
    await place.containers.restart("owner", timeout=0)
    after = await place.exec("owner", "readlink", "/proc/self/ns/net")
    assert before == after == await place.exec("member", "readlink", "/proc/self/ns/net")


async def test_the_last_to_leave_a_shared_network_takes_it_away(place: ContainerHost) -> None:
    owner = await place.run(name="owner")
    await place.run(name="member", mode="container:owner")
    await place.containers.remove("owner", force=True)
    assert owner.id in place.engine.sandboxes
    await place.containers.stop("member", timeout=0)
    assert dict(place.engine.sandboxes) == {}


async def test_the_owner_of_a_shared_network_must_run(place: ContainerHost) -> None:
    with pytest.raises(InvalidError, match=r"^No such container: nosuch$"):
        await place.create(mode="container:nosuch")
    await place.create(name="owner")
    await place.create(name="member", mode="container:owner")
    with pytest.raises(
        ConflictError, match="cannot join network namespace of a non running container: container owner is"
    ):
        await place.containers.start("member")
