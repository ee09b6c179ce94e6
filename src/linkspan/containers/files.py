"""/etc/hosts of containers, as Docker writes it. Pure text."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from linkspan.model.addressing import IPAddress
from linkspan.model.containers import CreateContainer
from linkspan.model.errors import InvalidError

_LOCAL_NAMES = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""

HOST_GATEWAY = "host-gateway"
"""The word in `--add-host` that stands for the host's addresses."""

HOST_NAME = "host.docker.internal"
"""The host's name on every network; where containers have a name server, that one knows it."""


def hosts(wanted: CreateContainer, lines: Iterable[str], gateways: Sequence[IPAddress]) -> str:
    """/etc/hosts: local names, `--add-host`, then `lines`, which are the container's own."""
    extra = (line for text in wanted.extra_hosts for line in _extra(text, gateways))
    return _LOCAL_NAMES + "".join((*extra, *lines))


def own_names(hostname: str, domainname: str) -> str:
    """What a container calls itself, as a line of /etc/hosts has it; a domain may be part of the host name too."""
    full = f"{hostname}.{domainname}" if domainname else hostname
    return f"{full} {full.partition('.')[0]}" if "." in full else full


def host_line(address: IPAddress | str, names: str) -> str:
    """One line."""
    return f"{address}\t{names}\n"


def _extra(text: str, gateways: Sequence[IPAddress]) -> Iterable[str]:
    name, address = extra_host(text)
    shown = [str(gateway) for gateway in gateways] if address == HOST_GATEWAY else [address]
    return (host_line(each, name) for each in shown)


def names_the_host(wanted: CreateContainer) -> bool:
    """Whether the user said himself what the host's name stands for."""
    return any(extra_host(text)[0].lower() == HOST_NAME for text in wanted.extra_hosts)


def with_host_name(text: str) -> str:
    """The host's own file with its name for containers, for those that live on its network."""
    if any(HOST_NAME in line.partition("#")[0].split()[1:] for line in text.splitlines()):
        return text
    return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{host_line('127.0.0.1', HOST_NAME)}"


def extra_host(text: str) -> tuple[str, str]:
    """Name and address of an `--add-host`; `InvalidError` with Docker's words."""
    name, separator, address = text.partition("=" if "=" in text.partition(":")[0] else ":")
    if not name or not separator:
        raise InvalidError(f'bad format for add-host: "{text}"', field="extra_hosts", value=text)
    address = address.removeprefix("[").removesuffix("]")
    if address == HOST_GATEWAY:
        return name, address
    try:
        return name, str(ip_address(address))
    except ValueError as error:
        raise InvalidError(f'invalid IP address in add-host: "{address}"', field="extra_hosts", value=text) from error
