"""What is shipped around the code."""

import importlib.resources
import re
from pathlib import Path

import pytest

from tests.imports import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_the_package_says_that_it_is_typed() -> None:
    assert importlib.resources.files("linkspan").joinpath("py.typed").is_file()


def test_the_lock_pins_every_package_with_hashes_and_names_no_index() -> None:
    text = (ROOT / "requirements.lock").read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert pins
    assert all(re.match(r"[a-z0-9-]+==\S+ .*\\$", line) for line in pins)
    assert text.count("--hash=sha256:") >= len(pins)
    assert not re.search(r"https?:|--(extra-)?index|--find-links|@ ", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken


@pytest.mark.parametrize("record", sorted((ROOT / "docs/adr").iterdir()), ids=lambda record: record.stem)
def test_a_decision_names_its_context_what_lost_and_what_follows(record: Path) -> None:
    text = record.read_text()
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == ["Context", "Decision", "What lost", "Consequence"]
