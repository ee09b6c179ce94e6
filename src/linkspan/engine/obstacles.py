"""What stands in the way of packets although everything of ours is in place."""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from linkspan.model.networks import Network
from linkspan.model.problems import Problem
from linkspan.plan.observation import ForeignChain


def obstacles(networks: Iterable[Network], chains: Iterable[ForeignChain]) -> Sequence[Problem]:
    """One problem for each chain that drops what our bridges forward.

    Whether a rule really lets a packet pass is not judged: a chain whose table names a bridge is taken to know it.
    """
    bridges = [network for network in networks if network.bridge is not None and not network.internal]
    return [_problem(chain, stopped) for chain in chains if (stopped := list(_stopped(bridges, chain)))]


def _stopped(bridges: Iterable[Network], chain: ForeignChain) -> Iterator[str]:
    """The bridges with a family that the chain sees, and whose name nothing around it mentions."""
    for network in bridges:
        assert network.bridge is not None
        name = network.bridge.name
        if any(network.subnet(version) for version in chain.versions) and not any(
            fnmatchcase(name, pattern) or (pattern.endswith("+") and name.startswith(pattern[:-1]))
            for pattern in chain.interfaces
        ):
            yield name


def _problem(chain: ForeignChain, bridges: Sequence[str]) -> Problem:
    return Problem(
        chain.name,
        f"{chain.end}, and none of its rules mentions {', '.join(bridges)}: "
        "what containers there send to other machines, and receive from them, is dropped",
        f"let the firewall that owns it accept what comes in or goes out by {', '.join(bridges)}",
    )
