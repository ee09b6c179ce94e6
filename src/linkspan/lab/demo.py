"""`./run demo`: the story of a container network, replayed with real programs and checked at every step.

It all happens in a lab of namespaces (see `hosts.py`); the network of the machine you sit at is not touched.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from linkspan import FirewallBackend, LinkspanError
from linkspan.lab.command import Command
from linkspan.lab.hosts import lab
from linkspan.lab.programs import ProgramFailedError
from linkspan.lab.screen import Screen
from linkspan.lab.story import Rules, Story
from linkspan.wiring import open_kernel

_RULES = {
    FirewallBackend.NFTABLES: Rules(
        how=(("nft", "list", "chain", "inet", "linkspan", "published"),),
        everywhere=("nft", "list", "map", "inet", "linkspan", "anyports4"),
        one_address=("nft", "list", "map", "inet", "linkspan", "ports4"),
    ),
    FirewallBackend.IPTABLES: Rules(
        how=(),
        everywhere=("iptables", "-t", "nat", "-L", "-n"),
        one_address=("iptables", "-t", "nat", "-L", "DOCKER", "-n"),
    ),
}


class Interruption:
    """SIGINT, SIGTERM and SIGHUP end the steps of the story, but never the clean-up."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._steps: asyncio.Task[None] | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._arrive, number)

    def _arrive(self, number: signal.Signals) -> None:
        if self._steps is not None and self.signal is None:  # once: what is being undone is not interrupted again
            self._steps.cancel()
        self.signal = number

    async def guard(self, steps: Coroutine[None, None, None]) -> None:
        """Run the steps to their end or to a signal, which Ctrl-C sends to the programs that they run, too."""
        try:
            async with asyncio.TaskGroup() as group:
                self._steps = group.create_task(steps)
                if self.signal is not None:
                    self._steps.cancel()
        except* ProgramFailedError:
            if self.signal is None:
                raise


@contextmanager
def directory(screen: Screen) -> Iterator[Path]:
    """A directory that is gone after the block, unless something is still mounted in it."""
    files = Path(tempfile.mkdtemp(prefix="linkspan-demo-", dir=_writable()))
    try:
        yield files
    finally:
        if any(point.is_relative_to(files) for point, _ in _mounts()):
            screen.failures.append(f"something is still mounted in {files}")
        else:
            shutil.rmtree(files)


def _writable() -> Path:
    """Where copies on write can be kept: not on an overlayfs, which is what a container has for a root."""
    usual = Path(tempfile.gettempdir()).resolve()
    around = [(len(point.parts), kind) for point, kind in _mounts() if usual.is_relative_to(point)]
    return Path("/dev/shm") if around and max(around)[1] == "overlay" else usual  # noqa: S108 - mkdtemp follows


def _mounts() -> Sequence[tuple[Path, str]]:
    """Where something is mounted, and the kind of file system."""
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [(Path(point.replace(r"\040", " ")), kind) for _, point, kind, *_ in lines]


async def replay(screen: Screen, firewall: FirewallBackend, interruption: Interruption) -> None:
    """Build the lab, and tell the story with a daemon on its machine."""
    with directory(screen) as files:
        async with lab(open_kernel) as hosts:
            screen.line(
                "A machine and a neighbour on a LAN, each a network namespace. To look around the machine yourself:"
            )
            screen.line(f"nsenter --net={hosts.machine.namespace} ip link")
            command = Command(hosts.machine, files, firewall)
            try:
                await interruption.guard(Story(screen, hosts, command, files, _RULES[firewall]).tell())
            except* ProgramFailedError:
                screen.line(f"\nThe daemon's log:\n{command.log()}")
                raise
            finally:
                await command.close()


async def main(firewall: FirewallBackend) -> int:
    """Tell the story; the exit status."""
    screen = Screen(colours=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    interruption = Interruption()
    start = time.monotonic()
    try:
        await replay(screen, firewall, interruption)
    except* (LinkspanError, ProgramFailedError, TimeoutError) as errors:
        screen.failures += [f"the steps end here: {error}" for error in errors.exceptions]
    for failure in screen.failures:
        screen.line(f"\nfailed: {failure}")
    if interruption.signal is not None:
        screen.line(f"\nstopped by {interruption.signal.name}{'' if screen.failures else '; everything is cleaned up'}")
        return 128 + interruption.signal
    if not screen.failures:
        screen.line(f"\nall checks hold ({time.monotonic() - start:.1f} s)")
    return 1 if screen.failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="./run demo", description="Replay the story of a container network.")
    parser.add_argument("--firewall", type=FirewallBackend, choices=list(FirewallBackend), default="nftables")
    sys.exit(asyncio.run(main(parser.parse_args().firewall)))
