"""What the kernel's refusals mean to the caller: one table from object and errno to an error with a kind and a hint."""

import errno
from collections.abc import Callable
from typing import Any

from linkspan.engine.publishing import programming_failed
from linkspan.model.addressing import bracketed
from linkspan.model.errors import (
    ConflictError,
    ExhaustedError,
    InvalidError,
    KernelError,
    LinkspanError,
    UnavailableError,
)
from linkspan.model.sandboxes import Sandbox
from linkspan.plan.objects import Bridge, HostPort, HostResolver, Redirect, Resolver, Veth
from linkspan.plan.operations import OperationFailedError
from linkspan.plan.redirect import ADDRESS, PORT

Meaning = Callable[[Any, Any], LinkspanError]


def _host_port(item: HostPort, result: object, reason: str) -> str:
    address = item.addresses[0]  # of both families, the one that Docker tries first
    text = f"failed to bind host port {bracketed(address)}:{item.ports}/{item.protocol}: {reason}"
    return programming_failed(result, text) if isinstance(result, Sandbox) else text


def _port_taken(item: HostPort, result: object) -> LinkspanError:
    return ConflictError(
        _host_port(item, result, "address already in use"),
        field="publish",
        value=str(item.ports),
        hint="a process of the host has the port (`ss -lnp` names it); stop it, or choose another host port",
    )


def _port_elsewhere(item: HostPort, result: object) -> LinkspanError:
    return InvalidError(
        _host_port(item, result, "cannot assign requested address"),
        field="publish",
        value=str(item.address),
        hint=f"{item.address} is not an address of this host",
    )


def _bridge_taken(item: Bridge, _: object) -> LinkspanError:
    return ConflictError(
        f"an interface named {item.name} exists and is not ours",
        field="com.docker.network.bridge.name",
        value=item.name,
        hint=f"choose another bridge name, or remove the other with `ip link delete {item.name}`",
    )


def _bridge_full(item: Veth, _: object) -> LinkspanError:
    return ExhaustedError(
        f"bridge {item.bridge} is full: a Linux bridge holds at most 1023 ports",
        field="network",
        value=item.bridge,
        hint="spread the sandboxes over several networks",
    )


def _unsupported(item: Bridge | Veth, _: object) -> LinkspanError:
    feature = "bridge" if isinstance(item, Bridge) else "veth"
    return UnavailableError(
        f"this kernel has no {feature} devices",
        hint=f"load the module (`modprobe {feature}`) or use a kernel that has it",
    )


def _resolver_taken(item: Resolver, _: object) -> LinkspanError:
    return ConflictError(
        f"the name server of sandbox {item.sandbox[:12]} cannot have port {PORT} of {ADDRESS}: address already in use",
        field="networks",
        value=PORT,
        hint="a process inside has that port of every address: let it have another",
    )


def _host_resolver_taken(item: HostResolver, _: object) -> LinkspanError:
    return ConflictError(
        f"the host's name server cannot have port 53 of {item.address}: address already in use",
        field="host_resolver",
        value=str(item.address),
        hint="another name server has it (`ss -lnp sport = 53` names it): choose another address of 127.0.0.0/8",
    )


def _no_redirect(item: Redirect, _: object) -> LinkspanError:
    return UnavailableError(
        f"sandbox {item.where[:12]} cannot be given a name server: nftables does not work in its namespace",
        hint="install libnftables1 (nftables), and use a kernel with nf_tables; or turn names off",
    )


MEANINGS: dict[tuple[type, int], Meaning] = {
    (HostPort, errno.EADDRINUSE): _port_taken,
    (HostPort, errno.EADDRNOTAVAIL): _port_elsewhere,
    (Resolver, errno.EADDRINUSE): _resolver_taken,
    (HostResolver, errno.EADDRINUSE): _host_resolver_taken,
    (Redirect, errno.EOPNOTSUPP): _no_redirect,
    (Bridge, errno.EEXIST): _bridge_taken,
    (Bridge, errno.EOPNOTSUPP): _unsupported,
    (Veth, errno.EXFULL): _bridge_full,
    (Veth, errno.EOPNOTSUPP): _unsupported,
}


def explain(error: LinkspanError, result: object = None) -> LinkspanError:
    """The error to give to a caller; anything but a refused operation is its own explanation."""
    if not isinstance(error, OperationFailedError):
        return error
    item = error.operation.object
    if (meaning := MEANINGS.get((type(item), error.errno))) is not None:
        explained = meaning(item, result)
    elif error.errno == errno.EPERM:
        explained = UnavailableError(
            f"not permitted to {error.operation.verb} {item}",
            hint="run as root, or with CAP_NET_ADMIN and CAP_SYS_ADMIN",
        )
    else:
        explained = KernelError(error.message, errno=error.errno)
    explained.__cause__ = error
    for note in getattr(error, "__notes__", ()):
        explained.add_note(note)
    return explained
