"""`./run demo`: the story of a container network, replayed with real programs and checked at every step.

It all happens in a lab of namespaces (see `hosts.py`); the network of the machine you sit at is not touched.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path

from linkspan import Config, Engine, FirewallBackend, LinkspanError
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
        self.signal = number
        if self._steps is not None:
            self._steps.cancel()

    async def guard(self, steps: Coroutine[None, None, None]) -> None:
        """Run the steps to their end or to a signal."""
        async with asyncio.TaskGroup() as group:
            self._steps = group.create_task(steps)
            if self.signal is not None:
                self._steps.cancel()


async def replay(screen: Screen, firewall: FirewallBackend, interruption: Interruption) -> None:
    """Build the lab, open an engine on its machine, and tell the story."""
    with tempfile.TemporaryDirectory(prefix="linkspan-demo-") as name:
        files = Path(name)
        async with lab(open_kernel) as hosts:
            screen.line(
                "A machine and a neighbour on a LAN, each a network namespace. To look around the machine yourself:"
            )
            screen.line(f"nsenter --net={hosts.machine.namespace} ip link")
            opened = Engine.open(
                data_root=files / "data",
                exec_root=files / "exec",
                namespace=hosts.machine.namespace,
                config=Config(firewall=firewall),
            )
            async with opened as engine:
                story = Story(screen, hosts, engine, files, _RULES[firewall])
                try:
                    await interruption.guard(story.tell())
                finally:
                    await story.clear()
                if interruption.signal is None:
                    await story.nothing_left()


async def main(firewall: FirewallBackend) -> int:
    """Tell the story; the exit status."""
    screen = Screen(colours=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    interruption = Interruption()
    start = time.monotonic()
    try:
        await replay(screen, firewall, interruption)
    except* (LinkspanError, ProgramFailedError) as errors:
        screen.failures += [f"the steps end here: {error}" for error in errors.exceptions]
    for failure in screen.failures:
        screen.line(f"\nfailed: {failure}")
    if interruption.signal is not None:
        screen.line(f"\nstopped by {interruption.signal.name}; everything is cleaned up")
        return 128 + interruption.signal
    if not screen.failures:
        screen.line(f"\nall checks hold ({time.monotonic() - start:.1f} s)")
    return 1 if screen.failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="./run demo", description="Replay the story of a container network.")
    parser.add_argument("--firewall", type=FirewallBackend, choices=list(FirewallBackend), default="nftables")
    sys.exit(asyncio.run(main(parser.parse_args().firewall)))
