"""The command starts at once: what it imports, and how much work that is."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.fake_daemon import FakeDaemon, reply

HEAVY = {"typer", "rich", "click", "aiohttp", "asyncio", "msgspec", "pydantic", "http.client", "dataclasses", "ssl"} | {
    "pathlib",
    "argparse",
    "linkspan.cli.templates",
}
ROUNDS = 5


def work(*argv: str) -> float:
    """Seconds of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *argv], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


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
def test_all_of_network_ls_is_less_work_than_importing_asyncio(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")  # only the first run is to compile anything
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path))
    answer_everything(daemon)
    ratios = [
        work("-m", "linkspan", "-H", daemon.host, "network", "ls") / work("-c", "import asyncio") for _ in range(ROUNDS)
    ]
    assert min(ratios) < 0.8, ratios  # 0.55 measured


def answer_everything(daemon: FakeDaemon) -> None:
    daemon.answers["GET /v1.51/networks"] = reply(200, [])
    daemon.answers["POST /v1.51/networks/create"] = reply(201, {"Id": "a" * 64})
    daemon.answers["DELETE /v1.51/networks/web"] = reply(204)
