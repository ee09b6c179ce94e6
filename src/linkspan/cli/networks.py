"""`linkspan network …`."""

import sys

from linkspan.cli.answers import Json, Record, records
from linkspan.cli.client import RefusedError, filters, quoted
from linkspan.cli.grammar import Line
from linkspan.cli.inspecting import inspect as inspect_all
from linkspan.cli.lists import Column, Kind, id_column, labels_column, show, text, truth
from linkspan.cli.plans import PLAN, show_plan
from linkspan.cli.session import Session
from linkspan.cli.words import pairs
from linkspan.model.errors import InvalidError

NETWORKS = Kind(
    "Id",
    {
        "ID": Column("NETWORK ID", id_column()),
        "Name": Column("NAME", text("Name")),
        "Driver": Column("DRIVER", text("Driver")),
        "Scope": Column("SCOPE", text("Scope")),
        "IPv4": Column("IPV4", truth("EnableIPv4")),
        "IPv6": Column("IPV6", truth("EnableIPv6")),
        "Internal": Column("INTERNAL", truth("Internal")),
        "Labels": Column("LABELS", labels_column),
        "CreatedAt": Column("CREATED AT", text("Created")),
    },
    ("ID", "Name", "Driver", "Scope"),
)


def ls(line: Line, session: Session) -> int:
    """The networks, by name."""
    found = records(session.client.get("/networks", {"filters": filters(line.list("filter"))}))
    return show(session, line, NETWORKS, sorted(found, key=lambda network: network.text("Name")))


def create(line: Line, session: Session) -> int:
    """Prints the id."""
    body = create_body(line)
    if line.switch("dry-run"):
        return show_plan(session, line, session.client.post(f"{PLAN}/networks/create", body))
    made = Record(session.client.post("/networks/create", body))
    if made.text("Warning"):
        session.warn(f"WARNING: {made.text('Warning')}")
    session.say(made.text("Id"))
    return 0


def create_body(line: Line) -> dict[str, Json]:
    """The body of POST /networks/create."""
    body: dict[str, Json] = {
        "Name": line.arguments[0],
        "Driver": line.text("driver", "bridge"),
        "Scope": line.text("scope"),
        "Internal": line.switch("internal"),
        "Attachable": line.switch("attachable"),
        "Ingress": line.switch("ingress"),
        "ConfigOnly": line.switch("config-only"),
        "Options": pairs(line.list("opt")),
        "Labels": pairs(line.list("label")),
        "IPAM": {
            "Driver": line.text("ipam-driver", "default"),
            "Options": pairs(line.list("ipam-opt")),
            "Config": [*_subnets(line)],
        },
    }
    if line.has("config-from"):
        body["ConfigFrom"] = {"Network": line.text("config-from")}
    for flag, key in (("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")):
        if line.has(flag):
            body[key] = line.switch(flag)
    return body


def _subnets(line: Line) -> list[Json]:
    """Each `--subnet` with the `--gateway`, `--ip-range` and `--aux-address` that lie in it."""
    import ipaddress

    try:
        found = {ipaddress.ip_network(subnet, strict=False): subnet for subnet in line.list("subnet")}
    except ValueError as error:
        raise InvalidError(f"invalid subnet: {error}", field="subnet") from error
    configs: dict[str, dict[str, Json]] = {subnet: {"Subnet": subnet} for subnet in found.values()}

    def home(name: str, given: str) -> dict[str, Json]:
        try:
            address = ipaddress.ip_interface(given).ip
        except ValueError as error:
            raise InvalidError(f"invalid {name} {given!r}: {error}", field=name) from error
        for prefix, subnet in found.items():
            if address in prefix:
                return configs[subnet]
        raise InvalidError(f"no matching subnet for {name} {given}", hint="give its --subnet", field=name)

    for name, key in (("gateway", "Gateway"), ("ip-range", "IPRange")):
        for given in line.list(name):
            if key in (config := home(name, given)):
                raise InvalidError(f"more than one {name} in subnet {config['Subnet']}", field=name)
            config[key] = given
    for name, given in pairs(line.list("aux-address")).items():
        config = home("aux-address", given)
        config["AuxiliaryAddresses"] = {**Record(config).record("AuxiliaryAddresses").value, name: given}
    return list(configs.values())


def inspect(line: Line, session: Session) -> int:
    """Everything about networks."""
    return inspect_all(session, line, line.arguments, lambda name: session.client.get(f"/networks/{quoted(name)}"))


def rm(line: Line, session: Session) -> int:
    """Goes on after a failure, and prints what was removed."""
    status = 0
    for name in line.arguments:
        path = f"/networks/{quoted(name)}"
        try:
            if line.switch("dry-run"):
                show_plan(session, line, session.client.delete(PLAN + path))
                continue
            session.client.delete(path)
        except RefusedError as error:
            if line.switch("force") and error.status == 404:
                continue
            session.warn(f"linkspan: {error.message}")
            status = 1
            continue
        session.say(name)
    return status


def connect(line: Line, session: Session) -> int:
    """Prints nothing."""
    network, container = line.arguments
    body: dict[str, Json] = {"Container": container, "EndpointConfig": endpoint_body(line)}
    return _change(line, session, f"/networks/{quoted(network)}/connect", body)


def endpoint_body(line: Line) -> dict[str, Json]:
    """How a container wants to be connected."""
    body: dict[str, Json] = {
        "IPAMConfig": {
            "IPv4Address": line.text("ip"),
            "IPv6Address": line.text("ip6"),
            "LinkLocalIPs": [*line.list("link-local-ip")],
        },
        "Aliases": [*line.list("alias"), *line.list("network-alias")],
        "Links": [*line.list("link")] if line.command.path == "network connect" else [],
        "DriverOpts": pairs(line.list("driver-opt")),
        "MacAddress": line.text("mac-address"),
    }
    if line.has("gw-priority"):
        body["GwPriority"] = line.number("gw-priority")
    return body


def disconnect(line: Line, session: Session) -> int:
    """Prints nothing."""
    network, container = line.arguments
    body: dict[str, Json] = {"Container": container, "Force": line.switch("force")}
    return _change(line, session, f"/networks/{quoted(network)}/disconnect", body)


def _change(line: Line, session: Session, path: str, body: dict[str, Json]) -> int:
    if line.switch("dry-run"):
        return show_plan(session, line, session.client.post(PLAN + path, body))
    session.client.post(path, body)
    return 0


def prune(line: Line, session: Session) -> int:
    """Asks first, unless `--force`."""
    query = {"filters": filters(line.list("filter"))}
    if line.switch("dry-run"):
        return show_plan(session, line, session.client.post(f"{PLAN}/networks/prune", None, query))
    if not line.switch("force") and not agreed("WARNING! This will remove all networks not used by a container."):
        return 1
    removed = Record(session.client.post("/networks/prune", None, query)).texts("NetworksDeleted")
    if removed:
        session.say("Deleted Networks:", *removed)
    return 0


def agreed(warning: str) -> bool:
    """Whether whoever sits there wants it."""
    sys.stdout.write(f"{warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
