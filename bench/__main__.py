"""Measure Linkspan beside the floor and beside Docker; print a table, write JSON to bench/results. Needs root."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from bench import (
    commands,
    containers,
    dockerd,
    endpoints,
    figures,
    fleet,
    latency,
    names,
    networks,
    ranges,
    relay,
    share,
    stock,
    takeover,
)
from bench.figures import Row
from bench.rooms import Rooms

MEASUREMENTS: dict[str, Callable[[Rooms], Awaitable[Sequence[Row | str]]]] = {
    "attach": endpoints.attach_and_detach,
    "crowd": endpoints.crowded,
    "range": ranges.publish,
    "network": networks.create_and_remove,
    "connect": latency.connect,
    "open": takeover.take_over,
    "docker": dockerd.compare,
    "api": share.measure,
    "fleet": fleet.measure,
    "run": containers.compare,
    "command": commands.compare,
    "names": names.compare,
    "relay": relay.compare,
    "stock": stock.compare,
}
"""What is measured by name: rows, and notes on what could not be measured."""

GROUPS = {"daemon": ("api", "fleet", "run", "command")}


async def measure(rooms: Rooms, names: Sequence[str]) -> tuple[list[Row], list[str]]:
    """The rows of the measurements with these names, one after the other, and notes on what could not be measured."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    rows: list[Row] = []
    notes: list[str] = []
    for name in names:
        start = time.monotonic()
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        try:
            for found in await MEASUREMENTS[name](rooms):
                if isinstance(found, Row):
                    rows.append(found)
                elif found not in notes:
                    notes.append(found)
        except dockerd.DockerError as error:
            notes.append(f"no figures of Docker: {error}")
        print(f"{time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return rows, notes


def chosen() -> Sequence[str]:
    """The names on the command line; all when there are none."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    known = ", ".join((*MEASUREMENTS, *GROUPS))
    parser.add_argument("name", nargs="*", help=f"measure only these: {known}")
    given: Sequence[str] = parser.parse_args().name
    names = [name for each in given for name in GROUPS.get(each, (each,))]
    if unknown := [name for name in names if name not in MEASUREMENTS]:
        parser.error(f"there is no measurement {', '.join(unknown)}; there are {known}")
    return names or list(MEASUREMENTS)


def main() -> int:
    """0 when everything was measured, also when a figure is missed: the machine may be busy with other things."""
    names = chosen()
    rooms = Rooms()
    try:
        rows, notes = asyncio.run(measure(rooms, names))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\ninterrupted; everything is taken back", file=sys.stderr)
        return 130
    finally:
        rooms.close()
    if rows:
        print(figures.table(rows))
    for note in notes:
        print(f"\n{note}")
    missed = [row.what for row in rows if row.verdict == figures.MISSED]
    print(f"\n{len(missed)} MISSED: {'; '.join(missed)}" if missed else "\nevery figure that was asked for is reached")
    print(f"written to {figures.write(rows, notes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
