"""`python -m bench [NAME...]`: measure, print the table, write the JSON. As root."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from bench import dockerd, endpoints, figures, latency, networks, ranges, takeover
from bench.figures import Row
from bench.rooms import Rooms

MEASUREMENTS: dict[str, Callable[[Rooms], Awaitable[Sequence[Row]]]] = {
    "attach": endpoints.attach_and_detach,
    "crowd": endpoints.crowded,
    "range": ranges.publish,
    "network": networks.create_and_remove,
    "connect": latency.connect,
    "open": takeover.take_over,
    "docker": dockerd.compare,
}


async def measure(rooms: Rooms, names: Sequence[str]) -> list[Row]:
    """The rows of the measurements with these names, one after the other."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    rows: list[Row] = []
    for name in names:
        if name == "docker" and (reason := dockerd.missing()):
            print(reason, file=sys.stderr)
            continue
        start = time.monotonic()
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        rows += await MEASUREMENTS[name](rooms)
        print(f"{time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return rows


def main() -> int:
    """0 when everything could be measured, also when a figure is missed."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*MEASUREMENTS, []], help=f"only these: {', '.join(MEASUREMENTS)}")
    names = parser.parse_args().name or list(MEASUREMENTS)
    rooms = Rooms()
    try:
        rows = asyncio.run(measure(rooms, names))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\ninterrupted; everything is taken back", file=sys.stderr)
        return 130
    finally:
        rooms.close()
    print(figures.table(rows))
    missed = [row.what for row in rows if row.verdict == "MISSED"]
    print(f"\n{len(missed)} missed: {'; '.join(missed)}" if missed else "\nevery figure that was asked for is reached")
    print(f"written to {figures.write(rows, [])}")
    return 0


sys.exit(main())
