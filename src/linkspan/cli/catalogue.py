"""Every command with its flags: the one table that is read by the parser, the help, the completion and the tests.

Names and short forms are those of Docker's command; `--rootfs`, `--dry-run` and `--json` are ours.
"""

from linkspan.cli.grammar import Argument, Command, Flag, Kind

SWITCH, LIST, NUMBER = Kind.SWITCH, Kind.LIST, Kind.NUMBER

_NETWORK, _NETWORKS = Argument("NETWORK"), Argument("NETWORK", many=True)
_CONTAINER, _CONTAINERS = Argument("CONTAINER"), Argument("CONTAINER", many=True)

_DRY_RUN = Flag("dry-run", "print what would be done, and change nothing", kind=SWITCH)
_FILTER = Flag("filter", "only what fits, such as name=web", "f", LIST, "KEY=VALUE")
_FORMAT = Flag("format", "json, or a Go template", metavar="TEMPLATE")
_TEMPLATE = _FORMAT._replace(short="f")
_JSON = Flag("json", "the same as --format json", kind=SWITCH)
_LISTING = (
    _FILTER,
    Flag("format", "table, table TEMPLATE, json, or a Go template", metavar="TEMPLATE"),
    _JSON,
    Flag("no-trunc", "show ids and commands in full", kind=SWITCH),
    Flag("quiet", "show ids only", "q", SWITCH),
)

NETWORK = (
    Command(
        "network create",
        "Create a network",
        "networks:create",
        (_NETWORK,),
        (
            Flag("driver", "driver of the network: bridge (default)", "d"),
            Flag("subnet", "a prefix of the network's addresses", kind=LIST, metavar="CIDR"),
            Flag("gateway", "the bridge's address in a subnet", kind=LIST, metavar="ADDRESS"),
            Flag("ip-range", "the part of a subnet that containers get addresses from", kind=LIST, metavar="CIDR"),
            Flag("aux-address", "an address that no container gets", kind=LIST, metavar="NAME=ADDRESS"),
            Flag("internal", "no way out of the network", kind=SWITCH),
            Flag("ipv4", "give the network IPv4 (default)", kind=SWITCH),
            Flag("ipv6", "give the network IPv6", kind=SWITCH),
            Flag("opt", "an option of the driver", "o", LIST, "KEY=VALUE"),
            Flag("label", "a label", kind=LIST, metavar="KEY=VALUE"),
            Flag("attachable", "accepted for compatibility", kind=SWITCH),
            Flag("ipam-driver", "default is the only one"),
            Flag("ipam-opt", "an option of the IPAM driver", kind=LIST, metavar="KEY=VALUE"),
            Flag("scope", "local is the only one"),
            Flag("ingress", "not supported", kind=SWITCH),
            Flag("config-only", "not supported", kind=SWITCH),
            Flag("config-from", "not supported", metavar="NETWORK"),
            _DRY_RUN,
        ),
    ),
    Command("network ls", "List networks", "networks:ls", (), _LISTING, aliases=("network list",)),
    Command(
        "network inspect",
        "Show everything about networks",
        "networks:inspect",
        (_NETWORKS,),
        (_TEMPLATE, Flag("verbose", "accepted for compatibility", "v", SWITCH)),
    ),
    Command(
        "network rm",
        "Remove networks",
        "networks:rm",
        (_NETWORKS,),
        (Flag("force", "say nothing of those that do not exist", "f", SWITCH), _DRY_RUN),
        aliases=("network remove",),
    ),
    Command(
        "network connect",
        "Connect a container to a network",
        "networks:connect",
        (_NETWORK, _CONTAINER),
        (
            Flag("ip", "its IPv4 address", metavar="ADDRESS"),
            Flag("ip6", "its IPv6 address", metavar="ADDRESS"),
            Flag("alias", "one more name on this network", kind=LIST, metavar="NAME"),
            Flag("driver-opt", "an option of the endpoint", kind=LIST, metavar="KEY=VALUE"),
            Flag("gw-priority", "the network with the highest has the default route", kind=NUMBER),
            Flag("link", "another container, by a name of its own", kind=LIST, metavar="CONTAINER:NAME"),
            Flag("link-local-ip", "a link-local address", kind=LIST, metavar="ADDRESS"),
            _DRY_RUN,
        ),
    ),
    Command(
        "network disconnect",
        "Disconnect a container from a network",
        "networks:disconnect",
        (_NETWORK, _CONTAINER),
        (Flag("force", "also when the container is in a bad way", "f", SWITCH), _DRY_RUN),
    ),
    Command(
        "network prune",
        "Remove networks that nobody uses",
        "networks:prune",
        (),
        (
            Flag("filter", "only what fits: until=TIME, label=NAME", kind=LIST, metavar="KEY=VALUE"),
            Flag("force", "do not ask", "f", SWITCH),
            _DRY_RUN,
        ),
    ),
)
COMMANDS: tuple[Command, ...] = (*NETWORK,)
