"""What the kernel's refusals mean to the caller."""

import errno
from ipaddress import IPv4Address, IPv6Address

import pytest

from linkspan.engine.failures import MEANINGS, explain
from linkspan.model.errors import (
    ConflictError,
    ExhaustedError,
    InvalidError,
    KernelError,
    LinkspanError,
    UnavailableError,
)
from linkspan.model.ports import PortRange, Protocol
from linkspan.plan.objects import (
    HOST,
    Bridge,
    HostPort,
    HostResolver,
    KernelObject,
    Redirect,
    Resolver,
    Up,
    Veth,
)
from linkspan.plan.operations import Operation, OperationFailedError, Verb

BRIDGE = Bridge("br1", "02:00:00:00:00:01", 1500, "o")
VETH = Veth("veth1", "br1", "s", "eth0", "02:00:00:00:00:02", 1500, False, "o")
PORT = HostPort(Protocol.TCP, IPv4Address("10.0.0.1"), PortRange(80, 80), "o")
PORT6 = HostPort(Protocol.UDP, IPv6Address("::"), PortRange(80, 81), "o")


def refused(item: KernelObject, number: int) -> OperationFailedError:
    return OperationFailedError(Operation(Verb.ADD, item), (), errno=number, reason="no")


@pytest.mark.parametrize(
    ("item", "number", "kind", "field"),
    [
        (PORT, errno.EADDRINUSE, ConflictError, "publish"),
        (PORT6, errno.EADDRNOTAVAIL, InvalidError, "publish"),
        (BRIDGE, errno.EEXIST, ConflictError, "com.docker.network.bridge.name"),
        (BRIDGE, errno.EOPNOTSUPP, UnavailableError, None),
        (VETH, errno.EXFULL, ExhaustedError, "network"),
        (VETH, errno.EOPNOTSUPP, UnavailableError, None),
    ],
)
def test_a_refusal_with_a_meaning_is_explained(
    item: KernelObject, number: int, kind: type[LinkspanError], field: str | None
) -> None:
    refusal = refused(item, number)
    error = explain(refusal)
    assert type(error) is kind
    assert (error.field, error.__cause__) == (field, refusal)
    assert error.hint


@pytest.mark.parametrize(("item", "feature"), [(BRIDGE, "bridge"), (VETH, "veth")])
def test_a_kernel_without_a_feature_is_told_by_its_module(item: KernelObject, feature: str) -> None:
    error = explain(refused(item, errno.EOPNOTSUPP))
    assert error.message == f"this kernel has no {feature} devices"
    assert error.hint is not None and f"modprobe {feature}" in error.hint


def test_every_meaning_is_covered() -> None:
    assert len(MEANINGS) == 9


def test_names_that_cannot_be_served_say_what_is_in_the_way() -> None:
    inside = explain(refused(Resolver("5" * 64, ("n",), "o"), errno.EADDRINUSE))
    assert type(inside) is ConflictError
    assert "sandbox 555555555555 cannot have port 61053" in inside.message
    host = explain(refused(HostResolver(IPv4Address("127.0.0.76"), "o"), errno.EADDRINUSE))
    assert (type(host), host.field, host.value) == (ConflictError, "host_resolver", "127.0.0.76")
    missing = explain(refused(Redirect("5" * 64, "o"), errno.EOPNOTSUPP))
    assert type(missing) is UnavailableError
    assert missing.hint is not None and "libnftables1" in missing.hint


@pytest.mark.parametrize(("item", "shown"), [(PORT, "10.0.0.1:80/tcp"), (PORT6, "[::]:80-81/udp")])
def test_a_port_is_shown_as_it_was_typed(item: HostPort, shown: str) -> None:
    assert (
        f"failed to bind host port {shown}: address already in use" in explain(refused(item, errno.EADDRINUSE)).message
    )


@pytest.mark.parametrize("item", [BRIDGE, PORT, Up(HOST, "br1")])
def test_without_a_privilege_the_machine_is_unavailable(item: KernelObject) -> None:
    error = explain(refused(item, errno.EPERM))
    assert type(error) is UnavailableError
    assert error.hint is not None and "root" in error.hint


def test_any_other_refusal_is_a_kernel_error_with_its_errno() -> None:
    error = explain(refused(BRIDGE, errno.ENOMEM))
    assert isinstance(error, KernelError)
    assert (error.errno, error.errno_name) == (errno.ENOMEM, "ENOMEM")
    assert "br1" in error.message


def test_what_is_no_refusal_explains_itself() -> None:
    error = ConflictError("as it is")
    assert explain(error) is error


def test_notes_stay_with_the_explanation() -> None:
    refusal = refused(BRIDGE, errno.ENOMEM)
    refusal.add_note("undo is incomplete")
    assert explain(refusal).__notes__ == ["undo is incomplete"]
