"""What the shell offers for names: those that the daemon knows. A daemon that does not answer offers nothing."""

from linkspan.cli.answers import Json, records
from linkspan.cli.grammar import Line
from linkspan.cli.reading import ROOT
from linkspan.cli.session import Session
from linkspan.model.errors import LinkspanError


def networks(incomplete: str) -> list[str]:
    """Networks whose name begins so."""
    names = [network.text("Name") for network in records(_asked("/networks"))]
    return [name for name in names if name.startswith(incomplete)]


def containers(incomplete: str) -> list[str]:
    """Containers whose name begins so."""
    names = [name.removeprefix("/") for found in records(_asked("/containers/json")) for name in found.texts("Names")]
    return [name for name in names if name.startswith(incomplete)]


def _asked(path: str) -> Json:
    try:
        return Session(Line(ROOT, {}, ())).client.get(path, {"all": True})
    except LinkspanError:
        return None
