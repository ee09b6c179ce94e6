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


async def replay(screen: Screen, firewall: FirewallBackend) -> None:
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
                await Story(screen, hosts, engine, files, _RULES[firewall]).tell()


async def main(firewall: FirewallBackend) -> int:
    """Tell the story; the exit status."""
    screen = Screen(colours=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    start = time.monotonic()
    telling = asyncio.current_task()
    assert telling is not None
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if not received:  # one is enough: a second one must not interrupt the clean-up
            telling.cancel()
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        await replay(screen, firewall)
    except asyncio.CancelledError:
        screen.line(f"\nstopped by {received[0].name}; everything is cleaned up")
        return 128 + received[0]
    except ProgramFailedError as error:
        screen.line(f"\n{error}")
        return 1
    except LinkspanError as error:
        screen.line(f"\n{error.message}" + (f" ({error.hint})" if error.hint else ""))
        return 1
    passed = not screen.failures
    seconds = time.monotonic() - start
    screen.line(f"\n{'all checks hold' if passed else f'{len(screen.failures)} checks failed'} ({seconds:.1f} s)")
    return 0 if passed else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="./run demo", description="Replay the story of a container network.")
    parser.add_argument("--firewall", type=FirewallBackend, choices=list(FirewallBackend), default="nftables")
    sys.exit(asyncio.run(main(parser.parse_args().firewall)))
