"""`linkspan dns …` and `linkspan network records`."""

import json
from pathlib import Path
from typing import Any

import pytest

from linkspan.cli import hooking
from linkspan.cli.names import Entry, parse_record
from linkspan.model.errors import InvalidError
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_daemon import FakeDaemon, reply

DB = {"Name": "db", "Type": "A", "Value": "10.0.0.9", "TTL": 600}
TWO = {"Name": "db", "Type": "TXT", "Value": '"a  b"', "TTL": 60}
DNS: dict[str, Any] = {
    "Enabled": True,
    "HostResolver": "127.0.0.76",
    "Domain": "linkspan",
    "Zones": [{"Network": "shop", "NetworkID": "1", "Containers": 2, "Records": 1}],
    "Resolvers": [
        {
            "Container": "web",
            "Networks": ["shop"],
            "Names": {"shop": ["web", "www"]},
            "Servers": [],
            "Forwards": True,
        },
        {"Container": "db", "Networks": ["shop"], "Names": {"shop": ["db"]}, "Servers": ["9.9.9.9"], "Forwards": True},
    ],
}
TRACE: dict[str, Any] = {
    "Container": "web",
    "Name": "db",
    "Type": "A",
    "Status": "NOERROR",
    "Answers": ["db. 600 IN A 172.18.0.3"],
    "Steps": [{"Where": "zone shop", "Outcome": "1 address", "Seconds": 0.00042}],
}
_PATH = "/linkspan/v1/networks/shop/records"


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("db A 10.0.0.9", Entry("db", 600, "A", "10.0.0.9")),
        (" db  60  a  10.0.0.9 ", Entry("db", 60, "A", "10.0.0.9")),
        ('db TXT "a  b"', Entry("db", 600, "TXT", '"a  b"')),
        ("_sip._udp SRV 10 5 5060 sip.example.", Entry("_sip._udp", 600, "SRV", "10 5 5060 sip.example.")),
    ],
)
def test_a_record_is_read_as_in_a_zone_file(text: str, entry: Entry) -> None:
    assert parse_record(text) == entry


@pytest.mark.parametrize("text", ["", "db", "db A", "db 60 A", "db 60"])
def test_half_a_record_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="invalid record"):
        parse_record(text)


def test_records_are_shown(daemon: FakeDaemon, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers[f"GET {_PATH}"] = reply(200, {"Records": [DB]})
    assert run("network", "records", "shop") == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["NAME", "TTL", "TYPE", "VALUE"],
        ["db", "600", "A", "10.0.0.9"],
    ]


def test_records_are_added_to_those_that_are_there(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers[f"GET {_PATH}"] = reply(200, {"Records": [DB]})
    daemon.answers[f"PUT {_PATH}"] = reply(200, {"Records": []})
    assert run("network", "records", "shop", "--add", 'db 60 TXT "a  b"', "--add", "db A 10.0.0.9") == 0
    assert daemon.asked[-1].body == {"Records": [DB, TWO]}


@pytest.mark.parametrize(
    ("wish", "left"), [("DB", []), ("db A", [TWO]), ('db txt "a  b"', [DB]), ("db A 10.0.0.9", [TWO])]
)
def test_records_are_removed_by_what_they_are(daemon: FakeDaemon, run: Run, wish: str, left: list[Any]) -> None:
    daemon.answers[f"GET {_PATH}"] = reply(200, {"Records": [DB, TWO]})
    daemon.answers[f"PUT {_PATH}"] = reply(200, {"Records": left})
    assert run("network", "records", "shop", "--rm", wish) == 0
    assert daemon.asked[-1].body == {"Records": left}


def test_what_is_not_there_cannot_be_removed(daemon: FakeDaemon, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers[f"GET {_PATH}"] = reply(200, {"Records": [DB]})
    assert run("network", "records", "shop", "--rm", "db AAAA") == 1
    assert "there is no record 'db AAAA'" in capsys.readouterr().err
    assert [asked.method for asked in daemon.asked] == ["GET"]


def test_a_dry_run_asks_for_the_plan(daemon: FakeDaemon, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers[f"GET {_PATH}"] = reply(200, {"Records": []})
    daemon.answers["PUT /linkspan/v1/plan/networks/shop/records"] = reply(200, {"Operations": [], "Lines": ["x"]})
    assert run("network", "records", "shop", "--add", "db A 10.0.0.9", "--dry-run") == 0
    assert capsys.readouterr().out == "x\n"


def test_status_shows_who_answers_whom(daemon: FakeDaemon, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["GET /linkspan/v1/dns"] = reply(200, DNS)
    assert run("dns", "status") == 0
    out = capsys.readouterr().out
    assert "NAME.NETWORK.linkspan at 127.0.0.76" in out
    assert [" ".join(line.split()) for line in out.splitlines()[-2:]] == [
        "web shop web www the host's servers",
        "db shop db 9.9.9.9",
    ]


def test_status_is_json_when_asked(daemon: FakeDaemon, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["GET /linkspan/v1/dns"] = reply(200, DNS)
    assert run("dns", "status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == DNS
    assert run("dns", "status", "--format", "{{.HostResolver}}") == 0
    assert capsys.readouterr().out == "127.0.0.76\n"


def test_a_trace_shows_the_answer_and_the_way_to_it(
    daemon: FakeDaemon, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.answers["GET /linkspan/v1/dns/trace"] = reply(200, TRACE)
    assert run("dns", "trace", "web", "db") == 0
    assert daemon.asked[-1].target.endswith("?container=web&name=db&type=A")
    out = capsys.readouterr().out
    assert out.startswith("web asks db A: NOERROR, 1 answer\n  db. 600 IN A 172.18.0.3\n")
    assert out.splitlines()[-1].split() == ["0.42", "ms", "zone", "shop", "1", "address"]


def test_a_question_without_answer_ends_with_one(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["GET /linkspan/v1/dns/trace"] = reply(200, {**TRACE, "Status": "NXDOMAIN", "Answers": []})
    assert run("dns", "trace", "web", "nosuch", "aaaa") == 1
    assert daemon.asked[-1].target.endswith("&type=AAAA")


@pytest.fixture
def etc(daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without systemd-resolved, whose resolver file is here."""
    daemon.answers["GET /linkspan/v1/dns"] = reply(200, DNS)
    monkeypatch.setattr(hooking, "RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(hooking, "RESOLVED", tmp_path / "resolve")
    monkeypatch.setattr(hooking, "DROP_IN", tmp_path / "conf.d/linkspan.conf")
    (tmp_path / "resolv.conf").write_text("search sea.test\nnameserver 192.0.2.1\n")
    return tmp_path


def test_a_hook_is_only_shown_unless_asked_for(etc: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = (etc / "resolv.conf").read_text()
    assert run("dns", "hook") == 0
    assert "    nameserver 127.0.0.76\n" in capsys.readouterr().out
    assert (etc / "resolv.conf").read_text() == before


def test_a_hook_comes_first_once_and_can_be_undone(etc: Path, run: Run) -> None:
    before = (etc / "resolv.conf").read_text()
    assert run("dns", "hook", "--apply") == 0
    assert run("dns", "hook", "--apply") == 0
    assert (etc / "resolv.conf").read_text().splitlines()[1:] == [
        "nameserver 127.0.0.76",
        "search sea.test",
        "nameserver 192.0.2.1",
    ]
    assert run("dns", "hook", "--undo") == 0
    assert (etc / "resolv.conf").read_text() == before


def test_a_resolver_file_of_another_program_is_left_alone(
    etc: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (etc / "resolv.conf").rename(etc / "other")
    (etc / "resolv.conf").symlink_to("other")
    assert run("dns", "hook", "--apply") == 1
    assert "which another program writes" in capsys.readouterr().err


def test_a_fourth_server_would_not_be_asked(etc: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (etc / "resolv.conf").write_text("nameserver 192.0.2.1\n" * 3)
    assert run("dns", "hook", "--apply") == 1
    assert "names three servers already" in capsys.readouterr().err


def test_systemd_resolved_gets_a_drop_in_and_is_restarted(etc: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (etc / "resolve").mkdir()
    begun: list[tuple[str, ...]] = []
    monkeypatch.setattr("os.execvp", lambda file, argv: begun.append(argv))
    assert run("dns", "hook", "--apply") == 0
    assert (etc / "conf.d/linkspan.conf").read_text().endswith("[Resolve]\nDNS=127.0.0.76\nDomains=~linkspan\n")
    assert run("dns", "hook", "--undo") == 0
    assert not (etc / "conf.d/linkspan.conf").exists()
    assert begun == [("systemctl", "restart", "systemd-resolved")] * 2


def test_without_a_name_server_for_the_host_there_is_no_hook(
    daemon: FakeDaemon, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.answers["GET /linkspan/v1/dns"] = reply(200, {**DNS, "HostResolver": ""})
    assert run("dns", "hook") == 1
    assert "start the daemon with --host-dns 127.0.0.76" in capsys.readouterr().err
