"""What is shipped around the code."""

import importlib.resources
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_package_says_that_it_is_typed() -> None:
    assert importlib.resources.files("linkspan").joinpath("py.typed").is_file()


def test_the_lock_pins_every_package_with_hashes_and_names_no_index() -> None:
    text = (ROOT / "requirements.lock").read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert pins
    assert all(re.match(r"[a-z0-9-]+==\S+ .*\\$", line) for line in pins)
    assert text.count("--hash=sha256:") >= len(pins)
    assert not re.search(r"https?:|--(extra-)?index|--find-links|@ ", text)
