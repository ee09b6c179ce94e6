"""The command starts at once: what it imports, and how much work that is."""

import resource
import subprocess
import sys

import pytest

from tests.unit.cli.fake_daemon import FakeDaemon, reply

HEAVY = {"typer", "rich", "click", "aiohttp", "asyncio", "msgspec", "pydantic", "http.client", "dataclasses", "ssl"} | {
    "pathlib",
    "argparse",
    "linkspan.cli.templates",
}
BUDGET = 0.060
ROUNDS = 6


def work(*argv: str) -> float:
    """Seconds of processor time, the least of some runs: a busy machine makes a run longer, but hardly this."""
    found = []
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *argv], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


@pytest.mark.parametrize("words", ["network ls", "network create web", "network rm web"])
def test_a_network_command_imports_nothing_heavy(daemon: FakeDaemon, words: str) -> None:
    answer_everything(daemon)
    report = (
        "import sys; from linkspan.cli.program import main; "
        f"main({['-H', daemon.host, *words.split()]!r}, lambda rest: 0); print('#', *sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", report], check=True, capture_output=True, text=True).stdout
    assert not HEAVY & set(found.partition("#")[2].split())


@pytest.mark.slow
def test_network_ls_is_60_ms_more_than_nothing(daemon: FakeDaemon) -> None:
    answer_everything(daemon)
    nothing = work("-c", "pass")
    ours = work("-m", "linkspan", "-H", daemon.host, "network", "ls")
    assert ours - nothing <= BUDGET, f"{ours * 1000:.0f} ms, of which {nothing * 1000:.0f} are Python's own"


def answer_everything(daemon: FakeDaemon) -> None:
    daemon.answers["GET /v1.51/networks"] = reply(200, [])
    daemon.answers["POST /v1.51/networks/create"] = reply(201, {"Id": "a" * 64})
    daemon.answers["DELETE /v1.51/networks/web"] = reply(204)
