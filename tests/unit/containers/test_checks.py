"""What is refused before a container exists, in Docker's words."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkspan.containers.capabilities import granted
from linkspan.containers.checks import checked
from linkspan.containers.names import ADJECTIVES, NOUNS, name_of
from linkspan.containers.signals import signal_number
from linkspan.containers.users import User, find_user, inside, user
from linkspan.model.capabilities import CAPABILITIES, DEFAULT_CAPABILITIES, capability_set
from linkspan.model.containers import CreateContainer, Mount, MountKind
from linkspan.model.errors import InvalidError, LinkspanError
from linkspan.model.requests import EndpointRequest

ALL = frozenset(CAPABILITIES)


def wanted(**fields: Any) -> CreateContainer:
    return CreateContainer(**{"name": "web", "rootfs": "/", "argv": ("true",), **fields})


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"argv": ()}, "no command specified"),
        ({"argv": ("",)}, "no command specified"),
        ({"name": "w"}, "Invalid container name (w), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        ({"name": "a b"}, "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        ({"rootfs": "relative"}, "invalid rootfs 'relative': expected the absolute path of a directory"),
        (
            {"rootfs": "/no/such/directory"},
            "invalid rootfs '/no/such/directory': expected the absolute path of a directory",
        ),
        ({"mode": "container:"}, "Invalid network mode: invalid container format container:<name|id>"),
        ({"mode": "container:x", "hostname": "h"}, "conflicting options: hostname and the network mode"),
        ({"mode": "container:x", "dns": ["1.1.1.1"]}, "conflicting options: dns and the network mode"),
        (
            {"mode": "container:x", "extra_hosts": ["a:1.1.1.1"]},
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        (
            {"mode": "container:x", "publish": ["80:80"]},
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            {"mode": "container:x", "exposed": ["80/tcp"]},
            "conflicting options: port exposing and the container type network mode",
        ),
        ({"mode": "host", "sysctls": {"net.core.x": "1"}}, "sysctl 'net.core.x' not allowed in host network namespace"),
        ({"sysctls": {"kernel.panic": "1"}}, "sysctl 'kernel.panic' is not allowed: it is not namespaced"),
        ({"sysctls": {"net/../../x": "1"}}, "sysctl 'net/../../x' is not allowed: it is not namespaced"),
        ({"sysctls": {"net..x": "1"}}, "invalid sysctl 'net..x'"),
        ({"stop_signal": "SIGNONSENSE"}, "Invalid signal: SIGNONSENSE"),
        ({"cap_add": ["NONSENSE"]}, 'invalid CapAdd: unknown capability: "CAP_NONSENSE"'),
        ({"cap_drop": ["CAP_NONSENSE"]}, 'invalid CapDrop: unknown capability: "CAP_NONSENSE"'),
        (
            {"mode": "host", "links": ["db:database"]},
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior",
        ),
        ({"dns": ["dns.example"]}, "dns.example is not an ip address"),
        (
            {"dns_search": ["a\nnameserver 6.6.6.6"]},
            "invalid text 'a\\nnameserver 6.6.6.6': a space would begin another word of the file",
        ),
        ({"extra_hosts": ["nonsense"]}, 'bad format for add-host: "nonsense"'),
        ({"extra_hosts": ["a:nonsense"]}, 'invalid IP address in add-host: "nonsense"'),
        ({"workdir": "relative"}, "the working directory 'relative' is invalid, it needs to be an absolute path"),
        (
            {"mounts": [Mount(MountKind.BIND, "/a", "/no/such")]},
            'invalid mount config for type "bind": bind source path does not exist: /no/such',
        ),
        (
            {"mounts": [Mount(MountKind.BIND, "a", "/")]},
            "invalid mount config for type \"bind\": invalid mount path: 'a' mount path must be absolute",
        ),
        (
            {"mounts": [Mount(MountKind.TMPFS, "/")]},
            "invalid specification: destination can't be '/'",
        ),
        ({"mounts": [Mount(MountKind.TMPFS, "t")]}, "invalid mount path: 't' mount path must be absolute"),
        ({"mounts": [Mount(MountKind.TMPFS, "/t", options=("size=1m", "foo"))]}, 'invalid tmpfs option ["foo"]'),
        ({"mounts": [Mount(MountKind.TMPFS, "/t", options=("ro=1",))]}, 'invalid tmpfs option ["ro=1"]'),
        (
            {"mounts": [Mount(MountKind.VOLUME, "/t", "v1", subpath="a/../../b")]},
            'invalid mount config for type "volume": subpath must be a relative path within the volume',
        ),
        (
            {"mounts": [Mount(MountKind.VOLUME, "/t", "v1", subpath="/a")]},
            'invalid mount config for type "volume": subpath must be a relative path within the volume',
        ),
        (
            {"mounts": [Mount(MountKind.VOLUME, "/t", subpath="a", anonymous=True)]},
            'invalid mount config for type "volume": must not set Subpath when using anonymous volumes',
        ),
        ({"env": ["A=\0"]}, "invalid text 'A=\\x00': it holds a NUL or is not valid Unicode"),
        ({"labels": {"\ud800": ""}}, "invalid text '\\ud800': it holds a NUL or is not valid Unicode"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        checked(wanted(**fields))
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("mode", "endpoints", "expected", "networks"),
    [
        ("", (), "bridge", ["bridge"]),
        ("default", ("default",), "bridge", ["bridge"]),
        ("web", (), "web", ["web"]),
        ("web", ("web", "back"), "web", ["web", "back"]),
        ("host", ("bridge",), "host", []),
        ("none", (), "none", []),
    ],
)
def test_the_mode_says_which_networks_are_joined(
    mode: str, endpoints: tuple[str, ...], expected: str, networks: list[str]
) -> None:
    request = checked(wanted(mode=mode, endpoints=[EndpointRequest(name) for name in endpoints]))
    assert request.mode == expected and [each.network for each in request.endpoints] == networks


@pytest.mark.parametrize(("text", "number"), [("TERM", 15), ("sigkill", 9), ("15", 15), ("SIGRTMIN+3", 37), ("64", 64)])
def test_signals_have_names_and_numbers(text: str, number: int) -> None:
    assert signal_number(text) == number


@given(st.text(max_size=12))
def test_any_text_is_a_signal_or_an_error(text: str) -> None:
    try:
        assert 0 < signal_number(text) <= 64
    except InvalidError:
        return


def test_capabilities_are_dockers_by_default() -> None:
    assert sum(1 << CAPABILITIES.index(name) for name in granted((), (), ALL)) == 0xA80425FB


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        (["ALL"], ["NET_RAW"], ALL - {"CAP_NET_RAW"}),
        (["net_admin"], ["all"], {"CAP_NET_ADMIN"}),
        (["CAP_NET_ADMIN"], ["CAP_CHOWN"], (DEFAULT_CAPABILITIES - {"CAP_CHOWN"}) | {"CAP_NET_ADMIN"}),
    ],
)
def test_capabilities_are_added_and_dropped(add: list[str], drop: list[str], expected: set[str]) -> None:
    assert set(granted(add, drop, ALL)) == expected


@given(st.frozensets(st.sampled_from(CAPABILITIES)))
def test_no_process_gets_what_the_machine_lacks(machine: frozenset[str]) -> None:
    assert set(granted(["ALL"], (), machine, privileged=True)) == machine
    assert capability_set(sum(1 << CAPABILITIES.index(name) for name in machine)) == machine


PASSWD = "# comment\nroot:x:0:0::/:/bin/sh\nann:x:1000:1001::/:/bin/sh\ndamaged:x:one:two\n"
GROUP = "root:x:0:\nann:x:1001:\ncrew:x:70:bob,ann\nhold:x:71:ann\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", User(0, 0, (0,))),
        ("ann", User(1000, 1001, (70, 71, 1001))),
        ("1000", User(1000, 1001, (70, 71, 1001))),
        ("ann:crew", User(1000, 70, (70,))),
        ("ann:5", User(1000, 5, (5,))),
        ("77", User(77, 0, (0,))),
        ("77:crew", User(77, 70, (70,))),
    ],
)
def test_users_are_looked_up_in_the_root_file_system(text: str, expected: User) -> None:
    assert user(text, PASSWD, GROUP) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("damaged", "unable to find user damaged: no matching entries in passwd file"),
        ("ann:nobodies", "unable to find group nobodies: no matching entries in group file"),
        ("2147483648", "uids and gids must be in range 0-2147483647"),
        ("-1", "uids and gids must be in range 0-2147483647"),
        ("ann:-1", "uids and gids must be in range 0-2147483647"),
        ("1:99999999999999999999", "uids and gids must be in range 0-2147483647"),
    ],
)
def test_unknown_users_are_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        user(text, PASSWD, GROUP)
    assert caught.value.message == words


@given(st.text(alphabet=":0123456789ab\n#", max_size=30), st.text(alphabet=":019ab\n,", max_size=40))
def test_damaged_user_files_give_a_user_or_an_error(text: str, file: str) -> None:
    try:
        assert user(text, file, file).uid >= 0
    except LinkspanError:
        return


def test_links_inside_lead_to_nothing_outside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (tmp_path / "passwd").write_text("outside:x:1:1:::\n")
    (root / "etc/passwd").symlink_to("../../../passwd")
    assert inside(root, "etc/passwd") == root / "passwd"
    (root / "etc/loop").symlink_to("/etc/loop")
    with pytest.raises(OSError, match="too many symbolic links"):
        inside(root, "/etc/loop")
    with pytest.raises(InvalidError):
        find_user("outside", root)


def test_names_come_from_the_id() -> None:
    assert name_of("0" * 64) == f"{ADJECTIVES[0]}_{NOUNS[0]}"
    assert len({name_of(f"{number:012x}") for number in range(2000)}) == 2000
