"""Every command with its flags: the one table that is read by the parser, the help, the completion and the tests.

Names and short forms are those of Docker's command; `--rootfs`, `--dry-run` and `--json` are ours.
"""

from linkspan.cli.grammar import Argument, Command, Flag, Kind
from linkspan.cli.provisions import ABILITIES, LIMITS, VOLUMES

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
            Flag("attachable", "kept and shown; every network is", kind=SWITCH),
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
        "network records",
        "Show, add and remove names of a network that are no containers",
        "names:records",
        (_NETWORK,),
        (
            Flag("add", "a record, such as 'db A 10.0.0.9'", kind=LIST, metavar="'NAME [TTL] TYPE VALUE'"),
            Flag("rm", "the records of a name, or some of them", kind=LIST, metavar="'NAME [TYPE [VALUE]]'"),
            _DRY_RUN,
            _FORMAT,
            _JSON,
        ),
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

_ENV = Flag("env", "a variable, or the name of one that is set here", "e", LIST, "NAME[=VALUE]")
_ENV_FILE = Flag("env-file", "read variables from a file", kind=LIST, metavar="FILE")
_USER = Flag("user", "who the process is: name or number, and group", "u", metavar="USER[:GROUP]")
_WORKDIR = Flag("workdir", "where the process starts", "w", metavar="DIR")
_INTERACTIVE = Flag("interactive", "keep standard input open", "i", SWITCH)
_TTY = Flag("tty", "give the process a terminal", "t", SWITCH)
_DETACH_KEYS = Flag("detach-keys", "what lets a terminal go (ctrl-p,ctrl-q)", metavar="KEYS")
_SIG_PROXY = Flag("sig-proxy", "send signals on to the process (default true)", kind=SWITCH)
_PRIVILEGED = Flag("privileged", "every capability and device", kind=SWITCH)
_TIMEOUT = Flag("timeout", "seconds until it is killed", "t", NUMBER, aliases=("time",))
_SIGNAL = Flag("signal", "the signal to send", "s", metavar="SIGNAL")

_CREATING = (
    Flag("rootfs", "directory that is the root file system, instead of an image", metavar="DIR"),
    Flag("pull", "pull the image: always, missing (default) or never", metavar="POLICY"),
    Flag("platform", "what the image must be for", metavar="OS/ARCHITECTURE"),
    Flag("quiet", "say nothing of what is pulled", "q", SWITCH),
    Flag("name", "name of the container"),
    _INTERACTIVE,
    _TTY,
    Flag("attach", "hold on to stdin, stdout or stderr", "a", LIST, "STREAM"),
    Flag("rm", "remove the container when it ends", kind=SWITCH),
    Flag("publish", "publish a port or a range", "p", LIST, "[ADDRESS:][PORT:]PORT[/PROTOCOL]"),
    Flag("publish-all", "publish every exposed port", "P", SWITCH),
    Flag("expose", "a port that the container serves", kind=LIST, metavar="PORT[/PROTOCOL]"),
    Flag("network", "a network to be on, host, none, or container:NAME", kind=LIST, aliases=("net",)),
    Flag("network-alias", "one more name on the network", kind=LIST, metavar="NAME", aliases=("net-alias",)),
    Flag("ip", "IPv4 address on the network", metavar="ADDRESS"),
    Flag("ip6", "IPv6 address on the network", metavar="ADDRESS"),
    Flag("link-local-ip", "a link-local address", kind=LIST, metavar="ADDRESS"),
    Flag("mac-address", "hardware address", metavar="MAC"),
    Flag("driver-opt", "an option of the endpoint", kind=LIST, metavar="KEY=VALUE"),
    Flag("link", "another container, by a name of its own", kind=LIST, metavar="CONTAINER:NAME"),
    Flag("hostname", "host name inside", "h", metavar="NAME"),
    Flag("domainname", "domain name inside", metavar="NAME"),
    Flag("add-host", "a line of /etc/hosts", kind=LIST, metavar="NAME:ADDRESS"),
    Flag("dns", "name server", kind=LIST, metavar="ADDRESS"),
    Flag("dns-search", "search domain", kind=LIST, metavar="DOMAIN"),
    Flag("dns-option", "option of the resolver", kind=LIST, metavar="OPTION", aliases=("dns-opt",)),
    _ENV,
    _ENV_FILE,
    Flag("label", "a label", "l", LIST, "KEY=VALUE"),
    Flag("label-file", "read labels from a file", kind=LIST, metavar="FILE"),
    Flag("entrypoint", "program in front of the command", metavar="PROGRAM"),
    _WORKDIR,
    _USER,
    Flag("volume", "mount a volume, or a directory of this machine", "v", LIST, "[SOURCE:]TARGET[:OPTIONS]"),
    Flag("mount", "mount something", kind=LIST, metavar="type=TYPE,source=SOURCE,target=TARGET"),
    Flag("tmpfs", "mount a tmpfs", kind=LIST, metavar="TARGET[:OPTIONS]"),
    Flag("read-only", "mount the root file system read-only", kind=SWITCH),
    Flag("cap-add", "add a capability", kind=LIST, metavar="CAPABILITY"),
    Flag("cap-drop", "take a capability away", kind=LIST, metavar="CAPABILITY"),
    _PRIVILEGED,
    Flag("sysctl", "a sysctl inside", kind=LIST, metavar="NAME=VALUE"),
    Flag("shm-size", "size of /dev/shm", metavar="SIZE"),
    *LIMITS,
    Flag("stop-signal", "signal that tells it to end", metavar="SIGNAL"),
    Flag("stop-timeout", "seconds until it is killed", kind=NUMBER),
    Flag("init", "an init process inside", kind=SWITCH),
    Flag("pid", "namespace of processes", metavar="MODE"),
    Flag("ipc", "namespace of IPC", metavar="MODE"),
    Flag("uts", "namespace of host names", metavar="MODE"),
    Flag("userns", "namespace of users", metavar="MODE"),
    Flag("cidfile", "write the id to a file", metavar="FILE"),
    _DRY_RUN,
)
_RUNNING = (Flag("detach", "print the id, and let it run", "d", SWITCH), _DETACH_KEYS, _SIG_PROXY)
_MADE_OF = (Argument("IMAGE", required=False), Argument("COMMAND", required=False, many=True))
"""With `--rootfs` there is no image: every word is of the command."""

CONTAINERS = (
    Command("run", "Create and start a container", "running:run", _MADE_OF, (*_CREATING, *_RUNNING), True, 125),
    Command("create", "Create a container", "running:create", _MADE_OF, _CREATING, True),
    Command(
        "start",
        "Start containers",
        "running:start",
        (_CONTAINERS,),
        (Flag("attach", "stay with it", "a", SWITCH), _INTERACTIVE, _DETACH_KEYS, _SIG_PROXY),
    ),
    Command(
        "ps",
        "List containers",
        "containers:ps",
        (),
        (
            Flag("all", "also those that do not run", "a", SWITCH),
            *_LISTING,
            Flag("last", "the last N, whether they run or not", "n", NUMBER),
            Flag("latest", "the last one, whether it runs or not", "l", SWITCH),
            Flag("size", "how much each has written", "s", SWITCH),
        ),
    ),
    Command("stop", "Stop containers", "containers:stop", (_CONTAINERS,), (_TIMEOUT, _SIGNAL)),
    Command("restart", "Stop and start containers", "containers:restart", (_CONTAINERS,), (_TIMEOUT, _SIGNAL)),
    Command("kill", "Send a signal to containers, KILL by default", "containers:kill", (_CONTAINERS,), (_SIGNAL,)),
    Command(
        "rm",
        "Remove containers",
        "containers:rm",
        (_CONTAINERS,),
        (
            Flag("force", "kill those that run", "f", SWITCH),
            Flag("volumes", "accepted for compatibility", "v", SWITCH),
            Flag("link", "remove a link instead, named CONTAINER/ALIAS", "l", SWITCH),
        ),
    ),
    Command("rename", "Rename a container", "containers:rename", (_CONTAINER, Argument("NAME"))),
    Command("wait", "Wait until containers end, and print their exit status", "containers:wait", (_CONTAINERS,)),
    Command(
        "logs",
        "Show what a container has written",
        "following:logs",
        (_CONTAINER,),
        (
            Flag("follow", "go on until it ends", "f", SWITCH),
            Flag("since", "from this time on, or so long ago", metavar="TIME"),
            Flag("until", "up to this time, or so long ago", metavar="TIME"),
            Flag("tail", "the last so many lines", "n", metavar="N"),
            Flag("timestamps", "the time in front of each line", "t", SWITCH),
            Flag("details", "accepted for compatibility", kind=SWITCH),
        ),
    ),
    Command(
        "exec",
        "Run one more process in a container",
        "running:execute",
        (_CONTAINER, Argument("COMMAND", many=True)),
        (
            Flag("detach", "do not stay with it", "d", SWITCH),
            _INTERACTIVE,
            _TTY,
            _ENV,
            _ENV_FILE,
            _USER,
            _WORKDIR,
            _PRIVILEGED,
            _DETACH_KEYS,
        ),
        True,
    ),
    Command(
        "attach",
        "Hold on to the streams of a container",
        "running:attach",
        (_CONTAINER,),
        (Flag("no-stdin", "do not type", kind=SWITCH), _DETACH_KEYS, _SIG_PROXY),
    ),
    Command(
        "port",
        "Show where ports are published",
        "containers:port",
        (_CONTAINER, Argument("PORT[/PROTOCOL]", required=False)),
    ),
    Command(
        "inspect",
        "Show everything about containers, images or networks",
        "containers:inspect",
        (Argument("NAME", many=True),),
        (
            _TEMPLATE,
            Flag("type", "container, image or network"),
            Flag("size", "accepted for compatibility", "s", SWITCH),
        ),
    ),
)

_IMAGE, _IMAGES = Argument("IMAGE"), Argument("IMAGE", many=True)
_PLATFORM = Flag("platform", "of which machine, such as linux/arm64", metavar="OS/ARCHITECTURE")
_QUIET = Flag("quiet", "say only what it was about", "q", SWITCH)

IMAGES = (
    Command(
        "images",
        "List images",
        "images:ls",
        (Argument("NAME", required=False),),
        (
            *_LISTING,
            Flag("all", "accepted for compatibility", "a", SWITCH),
            Flag("digests", "show digests", kind=SWITCH),
        ),
        aliases=("image ls", "image list"),
    ),
    Command(
        "pull",
        "Bring an image from its registry",
        "images:pull",
        (_IMAGE,),
        (_PLATFORM, _QUIET, Flag("all-tags", "every tag of the repository", "a", SWITCH)),
        aliases=("image pull",),
    ),
    Command(
        "push",
        "Send an image to its registry",
        "images:push",
        (_IMAGE,),
        (_QUIET, Flag("all-tags", "every tag of the repository", "a", SWITCH)),
        aliases=("image push",),
    ),
    Command(
        "load",
        "Load images from an archive, or from standard input",
        "images:load",
        (),
        (Flag("input", "the archive", "i", metavar="FILE"), _QUIET),
        aliases=("image load",),
    ),
    Command(
        "save",
        "Write images into an archive, or to standard output",
        "images:save",
        (_IMAGES,),
        (Flag("output", "the archive", "o", metavar="FILE"),),
        aliases=("image save",),
    ),
    Command(
        "import",
        "Make an image of an archive of files; - is standard input",
        "images:make",
        (Argument("FILE"), Argument("NAME", required=False)),
        (
            Flag("change", "an instruction of a Dockerfile", "c", LIST, "INSTRUCTION"),
            Flag("message", "a comment", "m", metavar="TEXT"),
            _PLATFORM,
        ),
        aliases=("image import",),
    ),
    Command("tag", "Give an image one more name", "images:tag", (_IMAGE, Argument("NAME")), aliases=("image tag",)),
    Command(
        "rmi",
        "Remove names of images, and images without any",
        "images:rm",
        (_IMAGES,),
        (
            Flag("force", "also when a container that does not run needs it", "f", SWITCH),
            Flag("no-prune", "accepted for compatibility", kind=SWITCH),
        ),
        aliases=("image rm", "image remove"),
    ),
    Command(
        "history",
        "Show how an image was made",
        "images:history",
        (_IMAGE,),
        (*_LISTING[1:], Flag("human", "accepted for compatibility", kind=SWITCH)),
        aliases=("image history",),
    ),
    Command("image inspect", "Show everything about images", "images:inspect", (_IMAGES,), (_TEMPLATE,)),
    Command(
        "image prune",
        "Remove images without a name that no container uses",
        "images:prune",
        (),
        (
            Flag("all", "those with a name too", "a", SWITCH),
            Flag("filter", "only what fits: until=TIME, label=NAME", kind=LIST, metavar="KEY=VALUE"),
            Flag("force", "do not ask", "f", SWITCH),
        ),
    ),
)

SYSTEM = (
    Command(
        "events",
        "Follow what happens",
        "following:events",
        (),
        (
            _FILTER,
            _FORMAT,
            _JSON,
            Flag("since", "from this time on", metavar="TIME"),
            Flag("until", "end at this time", metavar="TIME"),
        ),
    ),
    Command("version", "Show versions", "system:version", (), (_TEMPLATE, _JSON)),
    Command("info", "Show the daemon and its machine", "system:info", (), (_TEMPLATE, _JSON)),
    Command(
        "status",
        "Show everything on one screen, and whatever is wrong",
        "status:status",
        (),
        (_TEMPLATE, _JSON),
    ),
)
DNS = (
    Command("dns status", "Show who answers names, and which", "names:status", (), (_TEMPLATE, _JSON)),
    Command(
        "dns trace",
        "Ask as a container would, and show how the answer came about",
        "names:trace",
        (_CONTAINER, Argument("NAME"), Argument("TYPE", required=False)),
        (_TEMPLATE, _JSON),
    ),
    Command(
        "dns hook",
        "Show how this machine finds containers by name",
        "names:hook",
        (),
        (
            Flag("apply", "do it: change what this machine's resolver reads", kind=SWITCH),
            Flag("undo", "take it back", kind=SWITCH),
        ),
    ),
)
DAEMON = Command("daemon", "Serve: `linkspan daemon --help` shows its flags", "")
"""Handed over before its line is read: its flags are the daemon's own."""

COMMANDS: tuple[Command, ...] = (*CONTAINERS, *ABILITIES, *IMAGES, *NETWORK, *VOLUMES, *DNS, *SYSTEM, DAEMON)
