from dataclasses import replace
from pathlib import Path

import pytest

from linkspan.api import host as machine
from linkspan.api.render.status import host_problems
from linkspan.model.config import Config
from tests.unit.api.client import HOST


@pytest.fixture
def switches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[int, Path]:
    files = {4: tmp_path / "v4", 6: tmp_path / "v6"}
    for file in files.values():
        file.write_text("1\n")
    monkeypatch.setattr(machine, "_FORWARDING", files)
    return files


def test_forwarding_that_is_off_is_a_problem(switches: dict[int, Path]) -> None:
    assert list(host_problems(HOST, Config(), ipv6=True)) == []
    switches[4].write_text("0\n")
    switches[6].write_text("0\n")
    assert [p.subject for p in host_problems(HOST, Config(), ipv6=True)] == [
        "net.ipv4.ip_forward",
        "net.ipv6.conf.all.forwarding",
    ]
    assert [p.subject for p in host_problems(HOST, Config(), ipv6=False)] == ["net.ipv4.ip_forward"]


def test_a_missing_package_is_named(switches: dict[int, Path]) -> None:
    host = replace(HOST, programs={"no-such-program": "some-package", "sh": "dash"})
    assert [(p.subject, p.hint) for p in host_problems(host, Config(), ipv6=False)] == [
        ("package some-package", "apt install some-package")
    ]
