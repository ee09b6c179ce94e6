"""What every kind of test shares: the root marker, loud failures for what a machine lacks, pages people read, and the
settings of Hypothesis.
"""

import difflib
import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]

settings.register_profile(
    "same every time",  # so that a failure is never a matter of luck, nor of how busy the machine is
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("same every time")

_ROOT_KINDS = ("kernel", "crash", "clients")
_IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-pages` is the one flag that rewrites generated pages."""
    parser.addoption(
        "--update-pages", action="store_true", help="write generated pages under docs/ instead of comparing them"
    )


def pytest_sessionstart() -> None:
    """Programs that tests interrupt must not inherit that SIGINT is ignored, as a shell leaves it in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in the directories of the root kinds."""
    for item in items:
        if any(item.path.is_relative_to(ROOT / "tests" / kind) for kind in _ROOT_KINDS):
            item.add_marker(pytest.mark.root)


def pytest_collection_finish() -> None:
    """What has been imported and collected stays to the end: the garbage collector need not look at it each time."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests that need root fail in CI and are skipped, with the reason, for a person without root."""
    if item.get_closest_marker("root") is None or os.geteuid() == 0:
        return
    if _IN_CI:
        pytest.fail("this test needs root, and CI must not skip it: run CI as root")
    pytest.skip("needs root: sudo ./run test")


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`page("docs/rules/x.md", text)` compares a page with `text`; with `--update-pages` it writes the page."""

    def compare(name: str, text: str) -> None:
        path = ROOT / name
        if request.config.getoption("--update-pages"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return
        kept = path.read_text() if path.exists() else ""
        if kept != text:
            changes = difflib.unified_diff(
                kept.splitlines(), text.splitlines(), f"{name} (kept)", f"{name} (now)", lineterm=""
            )
            pytest.fail("\n".join([*changes, "", "if the change is wanted: pytest --update-pages"]), pytrace=False)

    return compare
