"""Published ports between Docker's bodies and `-p` texts.

Clients send a binding per port; neighbours become one range here, since a range costs what a single port does.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from linkspan.api.bodies.containers import PortBody
from linkspan.model.errors import InvalidError
from linkspan.model.ports import PortBinding
from linkspan.model.portspec import parse_publish


def publish_texts(bindings: Mapping[str, Sequence[PortBody] | None]) -> tuple[str, ...]:
    """`{"80/tcp": [{"HostPort": "8080"}]}` as `8080:80/tcp`; an empty list asks for one port of any number."""
    exact: dict[tuple[str, str], list[tuple[int, int]]] = {}
    texts: list[str] = []
    for port, hosts in bindings.items():
        number, _, protocol = port.partition("/")
        if ":" in port:
            raise InvalidError(f"invalid port specification: {port!r}", field="PortBindings", value=port)
        for host in hosts or [PortBody()]:
            text = _text(host.host_ip, host.host_port, number, protocol or "tcp")
            parse_publish(text)
            if number.isdigit() and host.host_port.isdigit() and host.host_port != "0":
                exact.setdefault((host.host_ip, protocol or "tcp"), []).append((int(host.host_port), int(number)))
            else:
                texts.append(text)
    for (address, protocol), pairs in exact.items():
        texts += [_range_text(address, protocol, run) for run in _runs(pairs)]
    return tuple(texts)


def _text(address: str, host: str, target: str, protocol: str) -> str:
    shown = f"[{address}]" if ":" in address else address
    head = f"{shown}:{host}:" if address else f"{host}:" if host else ""
    return f"{head}{target}/{protocol}"


def _runs(pairs: Iterable[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Pairs in which both ports go up by one from each to the next."""
    run: list[tuple[int, int]] = []
    for host, target in sorted(pairs):
        if run and (host, target) != (run[-1][0] + 1, run[-1][1] + 1):
            yield run
            run = []
        run.append((host, target))
    if run:
        yield run


def _range_text(address: str, protocol: str, run: Sequence[tuple[int, int]]) -> str:
    (host, target), (last_host, last_target) = run[0], run[-1]
    if len(run) == 1:
        return _text(address, str(host), str(target), protocol)
    return _text(address, f"{host}-{last_host}", f"{target}-{last_target}", protocol)


def exposed_ports(names: Iterable[str]) -> tuple[str, ...]:
    """`80/tcp` or `8000-8002/udp`, each port by itself with its protocol."""
    found: list[str] = []
    for name in names:
        target = parse_publish(name)
        if target.host is not None or target.address is not None:
            raise InvalidError(
                f"invalid exposed port {name!r}: expected port[/protocol]", field="ExposedPorts", value=name
            )
        found += [f"{port}/{target.protocol}" for port in range(target.target.first, target.target.last + 1)]
    return tuple(dict.fromkeys(found))


def wished_bindings(texts: Iterable[str]) -> dict[str, list[PortBody]]:
    """What was asked for, as `HostConfig.PortBindings` shows it."""
    found: dict[str, list[PortBody]] = {}
    for text in texts:
        wish = parse_publish(text)
        paired = wish.host is not None and len(wish.host) == len(wish.target)
        for offset in range(len(wish.target)):
            host = "" if wish.host is None else str(wish.host.first + offset) if paired else str(wish.host)
            body = PortBody(host_ip=str(wish.address or ""), host_port=host)
            found.setdefault(f"{wish.target.first + offset}/{wish.protocol}", []).append(body)
    return found


def single_ports(binding: PortBinding) -> Iterator[tuple[int, int]]:
    """(inside, on the host) of each port of a range."""
    return ((binding.target.first + offset, binding.host.first + offset) for offset in range(len(binding.target)))
