"""What every kind of test shares: the root marker, and loud failures for what a machine lacks."""

import os
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_ROOT_KINDS = ("kernel", "crash", "clients")
_IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in the directories of the root kinds."""
    for item in items:
        if item.path.relative_to(_HERE).parts[0] in _ROOT_KINDS:
            item.add_marker(pytest.mark.root)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests that need root fail in CI and are skipped, with the reason, for a person without root."""
    if item.get_closest_marker("root") is None or os.geteuid() == 0:
        return
    if _IN_CI:
        pytest.fail("this test needs root, and CI must not skip it: run CI as root")
    pytest.skip("needs root: sudo ./run test")
