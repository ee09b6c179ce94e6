"""`pause`, `unpause`, `update`, `top`, `stats`."""

import time
from collections.abc import Sequence

from linkspan.cli.answers import Record, records
from linkspan.cli.client import RefusedError
from linkspan.cli.containers import each, path
from linkspan.cli.forms import binary, decimal
from linkspan.cli.grammar import Line
from linkspan.cli.limits import resources
from linkspan.cli.lists import Column, Kind, id_column, show, text
from linkspan.cli.session import Session
from linkspan.cli.tables import table
from linkspan.model.errors import InvalidError

_PERIOD = 1.0


def pause(line: Line, session: Session) -> int:
    """Prints the names of those that are paused now."""
    return each(line, session, lambda name: session.client.post(f"{path(name)}/pause"))


def unpause(line: Line, session: Session) -> int:
    """Prints the names of those that go on."""
    return each(line, session, lambda name: session.client.post(f"{path(name)}/unpause"))


def update(line: Line, session: Session) -> int:
    """Prints the names of those that were changed."""
    body = resources(line)
    if not body:
        raise InvalidError("nothing to change", hint="linkspan update --help shows what can be", field="flags")

    def change(name: str) -> None:
        for warning in Record(session.client.post(f"{path(name)}/update", body)).texts("Warnings"):
            session.warn(f"WARNING: {warning}")

    return each(line, session, change)


def top(line: Line, session: Session) -> int:
    """What ps says of them."""
    name, *arguments = line.arguments
    found = Record(session.client.get(f"{path(name)}/top", {"ps_args": " ".join(arguments)}))
    processes = found.get("Processes")
    listed = processes if isinstance(processes, list) else []
    rows = [[str(cell) for cell in row] for row in listed if isinstance(row, list)]
    session.say(*table([found.texts("Titles"), *rows]))
    return 0


def used_memory(memory: Record) -> int:
    """Without what the kernel can take back at once."""
    stats = memory.record("stats")
    cache = stats.number("total_inactive_file") or stats.number("inactive_file")
    return max(memory.number("usage") - cache, 0)


def _cpu(item: Record, full: bool) -> str:
    now, before = item.record("cpu_stats"), item.record("precpu_stats")
    used = now.record("cpu_usage").number("total_usage") - before.record("cpu_usage").number("total_usage")
    all = now.number("system_cpu_usage") - before.number("system_cpu_usage")
    return f"{used / all * max(now.number('online_cpus'), 1) * 100 if used > 0 and all > 0 else 0:.2f}%"


def _memory(item: Record, full: bool) -> str:
    memory = item.record("memory_stats")
    used, limit = used_memory(memory), memory.number("limit")
    return f"{binary(used)} / {binary(limit)}"


def _memory_share(item: Record, full: bool) -> str:
    memory = item.record("memory_stats")
    limit = memory.number("limit")
    return f"{used_memory(memory) / limit * 100 if limit else 0:.2f}%"


def _net(item: Record, full: bool) -> str:
    networks = item.record("networks")
    links = [networks.record(name) for name in networks.value]
    return " / ".join(decimal(sum(link.number(key) for link in links), 3) for key in ("rx_bytes", "tx_bytes"))


def _block(item: Record, full: bool) -> str:
    entries = item.record("blkio_stats").records("io_service_bytes_recursive")
    sums = [sum(entry.number("value") for entry in entries if entry.text("op") == op) for op in ("read", "write")]
    return " / ".join(decimal(amount, 3) for amount in sums)


STATS = Kind(
    "id",
    {
        "ID": Column("CONTAINER ID", id_column("id")),
        "Container": Column("CONTAINER", id_column("id")),
        "Name": Column("NAME", lambda item, full: item.text("name").removeprefix("/")),
        "CPUPerc": Column("CPU %", _cpu),
        "MemUsage": Column("MEM USAGE / LIMIT", _memory),
        "MemPerc": Column("MEM %", _memory_share),
        "NetIO": Column("NET I/O", _net),
        "BlockIO": Column("BLOCK I/O", _block),
        "PIDs": Column("PIDS", lambda item, full: str(item.record("pids_stats").number("current"))),
        "Read": Column("READ", text("read")),
    },
    ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"),
)


def stats(line: Line, session: Session) -> int:
    """A table every second, or one."""
    before = _measured(line, session)
    while True:
        time.sleep(_PERIOD)
        found = _measured(line, session)
        rows = [_beside(item, before[id]) if id in before else item for id, item in found.items()]
        if session.pretty and not line.switch("no-stream"):
            session.say("\x1b[2J\x1b[H")
        show(session, line, STATS, rows)
        if line.switch("no-stream"):
            return 0
        before = found


def _measured(line: Line, session: Session) -> dict[str, Record]:
    """One measurement of each container, by its id."""
    names: Sequence[str] = line.arguments
    if not names:
        listed = records(session.client.get("/containers/json", {"all": line.switch("all")}))
        names = [item.text("Id") for item in listed]
    found = {}
    for name in names:
        try:
            item = Record(session.client.get(f"{path(name)}/stats", {"stream": "0", "one-shot": "1"}))
        except RefusedError:
            if line.arguments:
                raise
            continue
        found[item.text("id")] = item
    return found


def _beside(item: Record, before: Record) -> Record:
    return Record({**item.value, "precpu_stats": before.record("cpu_stats").value})
