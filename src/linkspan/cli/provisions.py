"""Flags of what a container may use, and the commands about that, about files and about volumes: more of the table."""

from linkspan.cli.grammar import Argument, Command, Flag, Kind

SWITCH, LIST, NUMBER = Kind.SWITCH, Kind.LIST, Kind.NUMBER

_CONTAINER, _CONTAINERS = Argument("CONTAINER"), Argument("CONTAINER", many=True)
_VOLUMES = Argument("VOLUME", many=True)
_FILTER = Flag("filter", "only what fits, such as name=web", "f", LIST, "KEY=VALUE")
_FORMAT = Flag("format", "json, or a Go template", metavar="TEMPLATE")
_JSON = Flag("json", "the same as --format json", kind=SWITCH)
_NO_TRUNC = Flag("no-trunc", "show ids and commands in full", kind=SWITCH)
_FORCE = Flag("force", "do not ask", "f", SWITCH)

_UPDATED = (
    Flag("memory", "limit of memory", "m", metavar="SIZE"),
    Flag("memory-swap", "limit of memory and swap together, -1 for none", metavar="SIZE"),
    Flag("memory-reservation", "memory that is left to it when memory is short", metavar="SIZE"),
    Flag("cpus", "limit of CPUs", metavar="NUMBER"),
    Flag("cpu-shares", "share of the CPUs when they are busy", "c", NUMBER),
    Flag("cpu-period", "period of the quota in microseconds", kind=NUMBER),
    Flag("cpu-quota", "microseconds of CPU time in each period", kind=NUMBER),
    Flag("cpuset-cpus", "the CPUs it may use", metavar="0-3,5"),
    Flag("cpuset-mems", "the memory nodes it may use", metavar="0-3,5"),
    Flag("pids-limit", "limit of processes and threads, -1 for none", kind=NUMBER),
    Flag("blkio-weight", "share of the disks, 10 to 1000", kind=NUMBER),
    Flag("restart", "when to start it again: no, on-failure[:N], always, unless-stopped", metavar="POLICY"),
)
LIMITS = (
    *_UPDATED,
    Flag("memory-swappiness", "0 to 100: how soon memory is swapped", kind=NUMBER),
    Flag("oom-kill-disable", "wait for memory instead of being killed", kind=SWITCH),
    Flag("oom-score-adj", "-1000 to 1000: how soon it is killed when memory is short", kind=NUMBER),
    Flag("ulimit", "a limit of setrlimit(2)", kind=LIST, metavar="NAME=SOFT[:HARD]"),
    Flag("device", "a device of this machine", kind=LIST, metavar="SOURCE[:TARGET[:rwm]]"),
    Flag("device-cgroup-rule", "devices that may be used", kind=LIST, metavar="'TYPE MAJOR:MINOR MODE'"),
    Flag("device-read-bps", "bytes per second read from a device", kind=LIST, metavar="DEVICE:SIZE"),
    Flag("device-write-bps", "bytes per second written to a device", kind=LIST, metavar="DEVICE:SIZE"),
    Flag("device-read-iops", "reads per second from a device", kind=LIST, metavar="DEVICE:NUMBER"),
    Flag("device-write-iops", "writes per second to a device", kind=LIST, metavar="DEVICE:NUMBER"),
    Flag("group-add", "one more group of the process", kind=LIST, metavar="GROUP"),
    Flag("security-opt", "no-new-privileges, seccomp=unconfined, seccomp=FILE", kind=LIST, metavar="OPTION"),
    Flag("cgroup-parent", "control group above its own", metavar="PATH"),
    Flag("cgroupns", "namespace of control groups: host or private", metavar="MODE"),
    Flag("health-cmd", "command that tells whether it works", metavar="COMMAND"),
    Flag("health-interval", "time between two checks (30s)", metavar="DURATION"),
    Flag("health-timeout", "how long a check may take (30s)", metavar="DURATION"),
    Flag("health-start-period", "how long failures do not count (0s)", metavar="DURATION"),
    Flag("health-start-interval", "time between two checks in that time (5s)", metavar="DURATION"),
    Flag("health-retries", "so many failures in a row mean unhealthy (3)", kind=NUMBER),
    Flag("no-healthcheck", "do not check", kind=SWITCH),
    Flag("log-driver", "what keeps the output: json-file, local or none", metavar="DRIVER"),
    Flag("log-opt", "how much is kept: max-size=10m, max-file=3", kind=LIST, metavar="NAME=VALUE"),
    Flag("volumes-from", "the volumes of another container too", kind=LIST, metavar="CONTAINER[:ro]"),
    Flag("volume-driver", "driver of new volumes: local", metavar="DRIVER"),
)

ABILITIES = (
    Command("pause", "Freeze every process of containers", "controlling:pause", (_CONTAINERS,)),
    Command("unpause", "Let paused containers go on", "controlling:unpause", (_CONTAINERS,)),
    Command("update", "Change what containers may use", "controlling:update", (_CONTAINERS,), _UPDATED),
    Command(
        "top",
        "List the processes of a container",
        "controlling:top",
        (_CONTAINER, Argument("PS-ARGUMENT", required=False, many=True)),
        takes_rest=True,
    ),
    Command(
        "stats",
        "Show what containers use",
        "controlling:stats",
        (Argument("CONTAINER", required=False, many=True),),
        (
            Flag("all", "also those that do not run", "a", SWITCH),
            Flag("no-stream", "once, instead of again and again", kind=SWITCH),
            Flag("format", "table, table TEMPLATE, json, or a Go template", metavar="TEMPLATE"),
            _JSON,
            _NO_TRUNC,
        ),
    ),
    Command(
        "cp",
        "Copy files between a container and this machine",
        "copying:cp",
        (Argument("SOURCE"), Argument("TARGET")),
        (
            Flag("archive", "keep owners: everything belongs to the container's user", "a", SWITCH),
            Flag("quiet", "accepted for compatibility", "q", SWITCH),
        ),
    ),
    Command("diff", "Show which files of a container have changed", "copying:diff", (_CONTAINER,)),
    Command(
        "export",
        "Write all files of a container as a tar archive",
        "copying:export",
        (_CONTAINER,),
        (Flag("output", "into a file", "o", metavar="FILE"),),
    ),
)

VOLUMES = (
    Command(
        "volume create",
        "Create a volume",
        "volumes:create",
        (Argument("VOLUME", required=False),),
        (
            Flag("driver", "local is the only one", "d"),
            Flag("opt", "an option: type, o and device of what is mounted there", "o", LIST, "KEY=VALUE"),
            Flag("label", "a label", kind=LIST, metavar="KEY=VALUE"),
        ),
    ),
    Command(
        "volume ls",
        "List volumes",
        "volumes:ls",
        (),
        (
            _FILTER,
            Flag("format", "table, table TEMPLATE, json, or a Go template", metavar="TEMPLATE"),
            _JSON,
            Flag("quiet", "show names only", "q", SWITCH),
        ),
        aliases=("volume list",),
    ),
    Command(
        "volume inspect",
        "Show everything about volumes",
        "volumes:inspect",
        (_VOLUMES,),
        (_FORMAT._replace(short="f"),),
    ),
    Command(
        "volume rm",
        "Remove volumes",
        "volumes:rm",
        (_VOLUMES,),
        (Flag("force", "say nothing of those that do not exist", "f", SWITCH),),
        aliases=("volume remove",),
    ),
    Command(
        "volume prune",
        "Remove volumes without a name that no container has",
        "volumes:prune",
        (),
        (Flag("all", "those with a name too", "a", SWITCH), _FORCE, _FILTER._replace(short="")),
    ),
)
