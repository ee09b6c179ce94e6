"""Who switched forwarding on, told by notes that a reboot takes away."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from linkspan.kernel import files
from linkspan.kernel.forwarding import Forwarding
from linkspan.plan.objects import HOST, Sysctl

IPV4, IPV6 = "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"
SWITCHES = [Sysctl(HOST, "net.ipv4.ip_forward", "1"), Sysctl(HOST, "net.ipv6.conf.all.forwarding", "1")]


@pytest.fixture
def switches(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The switches of a host where both are off."""
    values = {IPV4: "0\n", IPV6: "0\n"}

    def read(path: str, values: Mapping[str, str] = values) -> str:
        if path not in values:
            raise FileNotFoundError(path)
        return values[path]

    monkeypatch.setattr(files, "read", read)
    return values


def test_what_is_off_is_noted_before_it_is_switched_on(tmp_path: Path, switches: dict[str, str]) -> None:
    forwarding = Forwarding(tmp_path / "forwarding")
    switches[IPV6] = "1\n"
    forwarding.note(SWITCHES)
    switches[IPV4] = "1\n"
    assert (forwarding.on(), forwarding.by_us()) == ((4, 6), (4,))
    assert Forwarding(tmp_path / "forwarding").by_us() == (4,)  # the next engine knows


def test_only_switches_of_the_host_are_noted(tmp_path: Path, switches: dict[str, str]) -> None:
    forwarding = Forwarding(tmp_path / "forwarding")
    forwarding.note([Sysctl("sandbox", "net.ipv4.ip_forward", "1"), Sysctl(HOST, "net.ipv4.conf.x.y", "1", "x")])
    switches[IPV4] = "1\n"
    assert forwarding.by_us() == ()


def test_a_note_is_void_once_the_switch_is_off_again(tmp_path: Path, switches: dict[str, str]) -> None:
    forwarding = Forwarding(tmp_path / "forwarding")
    forwarding.note(SWITCHES)
    assert forwarding.by_us() == ()  # killed before it was switched on, or somebody switched it off
    switches[IPV4] = "1\n"
    assert forwarding.by_us() == ()  # now it was somebody else


def test_a_kernel_without_ipv6_forwards_none(tmp_path: Path, switches: dict[str, str]) -> None:
    del switches[IPV6]
    assert Forwarding(tmp_path).on() == ()
