"""Published ports: the requests people type (`8080:80/tcp`) and the bindings that result."""

from dataclasses import dataclass
from enum import StrEnum

from linkspan.model.addressing import IPAddress, Version, bracketed


class Protocol(StrEnum):
    """Transport protocols that can be published."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Ports `first` to `last`, both included; a single port has them equal."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class PortRequest:
    """One `-p`: publish `target` of a sandbox on `host`.

    `address` None means every address of the host; `host` None asks for an ephemeral port; a `host` longer than a
    single `target` asks for any free port of the range (Docker's rule for `-p 8000-8010:80`).
    """

    target: PortRange
    protocol: Protocol = Protocol.TCP
    host: PortRange | None = None
    address: IPAddress | None = None


@dataclass(frozen=True, slots=True)
class PortBinding:
    """A published range: `host` and `target` have the same length, port for port.

    `proxy_protocol` has the relay carry every connection, and tell the sandbox who the client is.
    """

    protocol: Protocol
    address: IPAddress
    host: PortRange
    target: PortRange
    proxy_protocol: bool = False

    @property
    def version(self) -> Version:
        """4 or 6, the family of the host address."""
        return self.address.version

    def __str__(self) -> str:
        return f"{bracketed(self.address)}:{self.host}->{self.target}/{self.protocol}"
