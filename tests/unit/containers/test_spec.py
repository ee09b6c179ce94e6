"""What the runtime is told."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from linkspan.containers.checks import checked
from linkspan.containers.files import host_line, hosts
from linkspan.containers.resolvconf import HostFile, Way, resolv_conf
from linkspan.containers.spec import Setting, environment, exec_process, spec
from linkspan.containers.users import User
from linkspan.model.capabilities import CAPABILITIES
from linkspan.model.containers import Abilities, Container, CreateContainer, Device, ExecRequest, Mount, MountKind
from tests.support.scenes import START

ID = "0123456789ab" + "0" * 52
ALL = frozenset(CAPABILITIES)
PAGE = "docs/containers.md"


def wanted(*argv: str, **fields: Any) -> CreateContainer:
    return CreateContainer(name="web", rootfs="/srv/busybox", argv=argv or ("httpd", "-f"), **fields)


def described(request: CreateContainer, abilities: Abilities | None = None, **changes: Any) -> Mapping[str, Any]:
    setting = Setting(
        rootfs=Path("/run/linkspan/containers/0123/rootfs"),
        files={"/etc/hosts": Path("/var/lib/linkspan/containers/0123/hosts")},
        namespace=Path("/run/linkspan/netns/0123456789ab"),
        hostname="0123456789ab",
        user=User(),
        abilities=abilities or Abilities(ALL, unified=True),
    )
    document: Mapping[str, Any] = spec(Container(ID, "web", START, request), replace(setting, **changes))
    assert json.loads(json.dumps(document)) == document
    return document


def test_the_page_shows_what_the_runtime_is_told(page: Callable[[str, str], None]) -> None:
    request = wanted(
        *("httpd", "-f", "-p", "80"),
        env=["A=b"],
        mounts=[Mount(MountKind.BIND, "/data", "/srv/data", read_only=True)],
        mode="bridge",
        extra_hosts=["printer:192.0.2.9"],
    )
    document = json.dumps(described(request), indent=2)
    lines = [host_line(address, "0123456789ab") for address in ("172.17.0.2", "fd00::2")]
    page(
        PAGE,
        "# What a container is made from\n\n"
        "`linkspan run -v /srv/data:/data:ro -e A=b --add-host printer:192.0.2.9 --rootfs /srv/busybox "
        "httpd -f -p 80`\n\n"
        f"## The runtime's config.json\n\n```json\n{document}\n```\n\n"
        f"## /etc/hosts\n\n```text\n{hosts(request, lines, [])}```\n\n"
        "## /etc/resolv.conf on the default network, from a host that asks 192.0.2.53 and its own stub\n\n"
        f"```text\n{resolv_conf(request, STUBBED, (4, 6), Way.REACHABLE)}```\n\n"
        "## The same on a network of the user's\n\n"
        f"```text\n{resolv_conf(request, STUBBED, (4, 6), Way.NAMES)}```\n",
    )


STUBBED = HostFile(text="nameserver 127.0.0.53\nnameserver 192.0.2.53\nsearch example.test\noptions edns0\n")


def test_mode_host_joins_no_network_namespace() -> None:
    document = described(wanted(mode="host"), namespace=None)
    kinds = [namespace["type"] for namespace in document["linux"]["namespaces"]]
    assert "network" not in kinds and "uts" in kinds
    assert document["linux"]["sysctl"] == {}


def test_a_shared_network_keeps_its_own_settings() -> None:
    document = described(wanted(mode="container:x", sysctls={"net.ipv4.ip_forward": "1"}))
    assert document["linux"]["sysctl"] == {"net.ipv4.ip_forward": "1"}


def test_control_groups_have_a_namespace_only_in_version_2() -> None:
    for unified in (True, False):
        document = described(wanted(), Abilities(ALL, unified=unified))
        assert ({"type": "cgroup"} in document["linux"]["namespaces"]) is unified


def test_privileged_gets_everything_the_machine_has_and_no_more() -> None:
    null = Device("/dev/null", "c", 1, 3, 0o666)
    document = described(wanted(privileged=True), Abilities(ALL - {"CAP_SYS_RESOURCE"}, devices=(null,)))
    capabilities = document["process"]["capabilities"]["bounding"]
    assert len(capabilities) == len(CAPABILITIES) - 1 and "CAP_SYS_RESOURCE" not in capabilities
    assert document["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert document["linux"]["devices"][0]["path"] == "/dev/null"
    assert "maskedPaths" not in document["linux"] and "readonlyPaths" not in document["linux"]
    options = {mount["destination"]: mount["options"] for mount in document["mounts"]}
    assert "rw" in options["/sys"] and "rw" in options["/sys/fs/cgroup"]


def test_a_mount_that_was_asked_for_replaces_a_default_one_and_deeper_ones_come_later() -> None:
    mounts = [
        Mount(MountKind.TMPFS, "/a/b/c"),
        Mount(MountKind.BIND, "/a", "/srv/a"),
        Mount(MountKind.TMPFS, "/dev/shm/", options=("size=1m",)),
    ]
    targets = [mount["destination"] for mount in described(wanted(mounts=mounts))["mounts"]]
    assert targets.index("/a") < targets.index("/a/b/c") and targets.index("/dev") < targets.index("/dev/shm/")
    assert "/dev/shm" not in targets


def test_propagation_is_private_unless_asked_otherwise() -> None:
    mounts = [Mount(MountKind.BIND, "/a", "/srv"), Mount(MountKind.BIND, "/b", "/srv", options=("rshared", "z"))]
    options = {mount["destination"]: mount["options"] for mount in described(wanted(mounts=mounts))["mounts"]}
    assert options["/a"] == ["rbind", "rprivate", "rw"] and options["/b"] == ["rbind", "rshared", "rw"]


def test_the_last_of_several_variables_counts_and_a_bare_name_removes() -> None:
    assert environment(["A=1", "A=2=3", "PATH"], "ship", tty=True) == ["HOSTNAME=ship", "TERM=xterm", "A=2=3"]


def test_an_exec_inherits_what_it_does_not_ask_for() -> None:
    request = wanted(env=["A=1", "B=1"], workdir="/srv", cap_drop=["ALL"])
    process: Mapping[str, Any] = exec_process(
        request, ExecRequest(("sh",), env=("B=2",), tty=True), User(7, 8, (8,)), "ship", Abilities(ALL)
    )
    assert process["cwd"] == "/srv" and process["terminal"] is True
    assert "A=1" in process["env"] and "B=2" in process["env"] and "B=1" not in process["env"]
    assert process["user"] == {"uid": 7, "gid": 8, "additionalGids": [8]}
    assert process["capabilities"]["effective"] == []


def test_a_domain_is_set_as_docker_sets_it() -> None:
    document = described(wanted(domainname="sea.test"))
    assert document["linux"]["sysctl"]["kernel.domainname"] == "sea.test"


def test_the_request_is_kept_as_it_was_checked(tmp_path: Path) -> None:
    request = checked(replace(wanted(env=["A=b"], labels={"k": "v"}), rootfs=str(tmp_path)))
    assert request.env == ("A=b",) and request.mode == "bridge"
    assert [endpoint.network for endpoint in request.endpoints] == ["bridge"]
