"""`ps`, `stop`, `restart`, `kill`, `rm`, `rename`, `wait`, `port`, `inspect`."""

import json
from collections.abc import Callable

from linkspan.cli.answers import Json, Record, records
from linkspan.cli.client import RefusedError, filters, quoted
from linkspan.cli.forms import decimal
from linkspan.cli.grammar import Line
from linkspan.cli.inspecting import inspect as inspect_all
from linkspan.cli.lists import Column, Kind, id_column, labels_column, show, text
from linkspan.cli.portlists import joined, port_list
from linkspan.cli.session import Session
from linkspan.cli.spans import ago, local
from linkspan.cli.tables import shortened
from linkspan.model.errors import NotFoundError


def _command(item: Record, full: bool) -> str:
    command = item.text("Command")
    return json.dumps(command if full else shortened(command, 20), ensure_ascii=False)


def _names(item: Record, full: bool) -> str:
    return ",".join(name.removeprefix("/") for name in item.texts("Names"))


def _mounts(item: Record, full: bool) -> str:
    return ",".join(mount.text("Source") for mount in item.records("Mounts"))


def _volumes(item: Record) -> int:
    return sum(mount.text("Type") == "volume" for mount in item.records("Mounts"))


def _size(item: Record, full: bool) -> str:
    """`8.19kB (virtual 2MB)`; without `--size` nothing is known."""
    return f"{decimal(item.number('SizeRw'), 3)} (virtual {decimal(item.number('SizeRootFs'), 3)})"


CONTAINERS = Kind(
    "Id",
    {
        "ID": Column("CONTAINER ID", id_column()),
        "Image": Column("IMAGE", text("Image")),
        "Command": Column("COMMAND", _command),
        "CreatedAt": Column("CREATED AT", lambda item, full: local(item.number("Created"))),
        "RunningFor": Column("CREATED", lambda item, full: ago(item.number("Created"))),
        "State": Column("STATE", text("State")),
        "Status": Column("STATUS", text("Status")),
        "Ports": Column("PORTS", lambda item, full: port_list(item.records("Ports"))),
        "Names": Column("NAMES", _names),
        "Labels": Column("LABELS", labels_column),
        "Mounts": Column("MOUNTS", _mounts),
        "LocalVolumes": Column("LOCAL VOLUMES", lambda item, full: str(_volumes(item))),
        "Networks": Column(
            "NETWORKS", lambda item, full: ",".join(item.record("NetworkSettings").record("Networks").value)
        ),
        "Size": Column("SIZE", _size),
    },
    ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"),
)


def ps(line: Line, session: Session) -> int:
    """The containers that run, the newest first; with `-a` all."""
    last = 1 if line.switch("latest") else line.number("last") or 0
    query: dict[str, str | int | bool | None] = {
        "all": line.switch("all"),
        "limit": last if last > 0 else None,
        "filters": filters(line.list("filter")),
    }
    kind = CONTAINERS
    if line.switch("size"):
        query["size"] = True
        kind = kind._replace(usual=(*kind.usual, "Size"))
    return show(session, line, kind, records(session.client.get("/containers/json", query)))


def each(line: Line, session: Session, act: Callable[[str], object]) -> int:
    """Do something to each container, and print the names of those it was done to."""
    status = 0
    for name in line.arguments:
        try:
            act(name)
        except RefusedError as error:
            if line.switch("force") and error.status == 404:
                continue
            session.warn(f"linkspan: {error.message}")
            if error.hint:
                session.warn(f"hint: {error.hint}")
            status = 1
        else:
            session.say(name)
    return status


def stop(line: Line, session: Session) -> int:
    """SIGTERM, and SIGKILL when that was not enough."""
    query = {"t": line.number("timeout"), "signal": line.text("signal")}
    return each(line, session, lambda name: session.client.post(f"{path(name)}/stop", None, query))


def restart(line: Line, session: Session) -> int:
    """Stop and start."""
    query = {"t": line.number("timeout"), "signal": line.text("signal")}
    return each(line, session, lambda name: session.client.post(f"{path(name)}/restart", None, query))


def kill(line: Line, session: Session) -> int:
    """A signal, KILL by default."""
    query = {"signal": line.text("signal")}
    return each(line, session, lambda name: session.client.post(f"{path(name)}/kill", None, query))


def rm(line: Line, session: Session) -> int:
    """Those that run only with `--force`."""
    query = {"force": line.switch("force"), "v": line.switch("volumes"), "link": line.switch("link")}
    return each(line, session, lambda name: session.client.delete(path(name), query))


def rename(line: Line, session: Session) -> int:
    """Prints nothing."""
    session.client.post(f"{path(line.arguments[0])}/rename", None, {"name": line.arguments[1]})
    return 0


def wait(line: Line, session: Session) -> int:
    """Prints the exit status of each container, once it has ended."""
    status = 0
    for name in line.arguments:
        try:
            ended = Record(session.client.post(f"{path(name)}/wait"))
        except RefusedError as error:
            session.warn(f"linkspan: {error.message}")
            status = 1
        else:
            session.say(str(ended.number("StatusCode")))
    return status


def port(line: Line, session: Session) -> int:
    """What is published where: all ports, or one of them."""
    name = line.arguments[0]
    found = Record(session.client.get(f"{path(name)}/json")).record("NetworkSettings").record("Ports")
    if len(line.arguments) == 1:
        for inside in sorted(found.value, key=_by_number):
            session.say(*(f"{inside} -> {place}" for place in _places(found, inside)))
        return 0
    wanted = line.arguments[1] if "/" in line.arguments[1] else f"{line.arguments[1]}/tcp"
    places = _places(found, wanted)
    if not places:
        raise NotFoundError(f"No public port '{wanted}' published for {name}", field="port", value=wanted)
    session.say(*places)
    return 0


def _places(ports: Record, inside: str) -> list[str]:
    return [joined(binding.text("HostIp"), binding.text("HostPort")) for binding in ports.records(inside)]


def _by_number(port: str) -> tuple[int, str]:
    number, _, protocol = port.partition("/")
    return (int(number) if number.isdecimal() else 0, protocol)


_INSPECTED = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
}


def inspect(line: Line, session: Session) -> int:
    """Containers, then images, networks and volumes, of that name or id."""
    wanted = line.text("type")
    places = [place for kind, place in _INSPECTED.items() if wanted in ("", kind)]

    def find(name: str) -> Json:
        for place in places:
            try:
                return session.client.get(place.format(quoted(name)))
            except RefusedError as error:
                no_image = error.message.startswith("invalid reference format")
                if wanted or not (error.status == 404 or no_image):
                    raise
        raise RefusedError(f"No such object: {name}", status=404)

    if not places:
        raise NotFoundError(
            f"{wanted!r} is nothing that can be inspected", hint="container, image or network", field="type"
        )
    return inspect_all(session, line, line.arguments, find)


def path(name: str) -> str:
    """Where a container is in the API."""
    return f"/containers/{quoted(name)}"
