"""Ports as lists show them: `0.0.0.0:8080->80/tcp, [::]:9000-9002->9000-9002/tcp, 53/udp`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from linkspan.cli.answers import Record


class Run(NamedTuple):
    """Ports that follow each other inside, and on the host as well when they are published."""

    address: str
    public: int
    private: int
    protocol: str
    length: int = 1

    def __str__(self) -> str:
        inside = f"{_range(self.private, self.length)}/{self.protocol}"
        if not self.public:
            return inside
        return f"{joined(self.address, _range(self.public, self.length))}->{inside}"


def joined(address: str, port: object) -> str:
    """`0.0.0.0:80`, `[::]:80`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def port_list(ports: Sequence[Record]) -> str:
    """Every port of a container; neighbours are one range."""
    found = [
        Run(port.text("IP"), port.number("PublicPort"), port.number("PrivatePort"), port.text("Type")) for port in ports
    ]
    return ", ".join(map(str, sorted(_runs(found), key=_order)))


def _order(run: Run) -> tuple[bool, int, str, int, str]:
    """Docker's: those with another number on the host come last."""
    return (run.public not in (0, run.private), run.private, run.address, run.public, run.protocol)


def _runs(ports: Iterable[Run]) -> Iterator[Run]:
    last: Run | None = None
    for port in sorted(ports, key=lambda port: (port.address, port.protocol, port.public, port.private)):
        if last is not None and _follows(port, last):
            last = last._replace(length=last.length + 1)
            continue
        if last is not None:
            yield last
        last = port
    if last is not None:
        yield last


def _follows(port: Run, last: Run) -> bool:
    public = last.public and last.public + last.length
    return (port.address, port.protocol, port.public, port.private) == (
        last.address,
        last.protocol,
        public,
        last.private + last.length,
    )


def _range(first: int, length: int) -> str:
    return str(first) if length == 1 else f"{first}-{first + length - 1}"
