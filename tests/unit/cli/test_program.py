"""One call of the command: what is asked, what is printed, and the exit status."""

import json
from urllib.parse import parse_qs

import pytest

from linkspan import __version__
from linkspan.cli import networks
from linkspan.cli.grammar import Line
from linkspan.cli.program import main
from linkspan.cli.session import Session
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_daemon import FakeDaemon, chunked, reply, upgraded

NETWORKS = [
    {"Id": "b" * 64, "Name": "web", "Driver": "bridge", "Scope": "local", "EnableIPv4": True, "Labels": {"k": "v"}},
    {"Id": "a" * 64, "Name": "bridge", "Driver": "bridge", "Scope": "local", "EnableIPv4": True, "Labels": {}},
]
ID = "c" * 64
EXIT = {"StatusCode": 0, "Error": None}


def frame(stream: int, data: bytes) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


def test_networks_are_a_table_by_name(run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    daemon.answers["GET /v1.51/networks"] = chunked(json.dumps(NETWORKS).encode())
    assert run("network", "ls") == 0
    assert capfd.readouterr().out.splitlines() == [
        "NETWORK ID     NAME      DRIVER    SCOPE",
        "aaaaaaaaaaaa   bridge    bridge    local",
        "bbbbbbbbbbbb   web       bridge    local",
    ]


@pytest.mark.parametrize(
    ("flags", "printed"),
    [
        (("-q",), "aaaaaaaaaaaa\nbbbbbbbbbbbb\n"),
        (("-q", "--no-trunc"), f"{'a' * 64}\n{'b' * 64}\n"),
        (("--format", "{{.Name}} {{.Label `k`}}"), "bridge \nweb v\n"),
        (("--format", r"table {{.Name}}\t{{.IPv4}}"), "NAME      IPV4\nbridge    true\nweb       true\n"),
    ],
)
def test_lists_are_shown_as_asked(
    run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str], flags: tuple[str, ...], printed: str
) -> None:
    daemon.answers["GET /v1.51/networks"] = reply(200, NETWORKS)
    assert run("network", "ls", *flags) == 0
    assert capfd.readouterr().out == printed


def test_json_is_an_object_in_each_line(run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    daemon.answers["GET /v1.51/networks"] = reply(200, NETWORKS)
    assert run("network", "ls", "--json") == 0
    assert [json.loads(line)["Name"] for line in capfd.readouterr().out.splitlines()] == ["bridge", "web"]


def test_filters_are_sent_as_docker_sends_them(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["GET /v1.51/networks"] = reply(200, [])
    assert run("network", "ls", "-f", "name=a b", "-f", "name=c", "--filter", "label=x=y") == 0
    query = parse_qs(daemon.asked[0].target.partition("?")[2])
    assert json.loads(query["filters"][0]) == {"name": {"a b": True, "c": True}, "label": {"x=y": True}}


def test_a_refusal_is_one_sentence_and_a_hint(run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    daemon.answers["POST /v1.51/networks/create"] = reply(403, {"message": "no such luck", "hint": "try again"})
    assert run("network", "create", "web") == 1
    assert capfd.readouterr().err == "linkspan: no such luck\nhint: try again\n"


def test_rm_goes_on_after_a_failure(run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    daemon.answers["DELETE /v1.51/networks/a"] = reply(204)
    daemon.answers["DELETE /v1.51/networks/no"] = reply(404, {"message": "network no not found"})
    assert run("network", "rm", "no", "a") == 1
    assert capfd.readouterr() == ("a\n", "linkspan: network no not found\n")
    assert run("network", "rm", "--force", "no", "a") == 0


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        (("network", "create", "n"), "POST /linkspan/v1/plan/networks/create"),
        (("network", "rm", "n"), "DELETE /linkspan/v1/plan/networks/n"),
        (("network", "connect", "n", "c"), "POST /linkspan/v1/plan/networks/n/connect"),
        (("network", "disconnect", "n", "c"), "POST /linkspan/v1/plan/networks/n/disconnect"),
        (("network", "prune"), "POST /linkspan/v1/plan/networks/prune"),
        (("run", "--rootfs", "/r", "--name", "c"), "POST /linkspan/v1/plan/containers/create?name=c"),
        (("create", "--rootfs", "/r"), "POST /linkspan/v1/plan/containers/create"),
    ],
)
def test_a_dry_run_asks_for_the_plan_and_for_nothing_else(
    run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str], argv: tuple[str, ...], asked: str
) -> None:
    daemon.answers[asked] = reply(200, {"Operations": [], "Lines": ["ip link add x", "nft add y"]})
    words = argv[:2] if argv[0] == "network" else argv[:1]
    assert run(*words, "--dry-run", *argv[len(words) :]) == 0
    assert capfd.readouterr().out == "ip link add x\nnft add y\n"
    assert [f"{each.method} {each.target}" for each in daemon.asked] == [asked]


def test_prune_asks_first(run: Run, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.readline", lambda: "n\n", raising=False)
    assert run("network", "prune") == 1
    assert daemon.asked == []


def attached(daemon: FakeDaemon, *, started: bytes, said: bytes = b"", exit: object = None) -> None:
    """The answers to a `run`."""
    daemon.answers["POST /v1.51/containers/create"] = reply(201, {"Id": ID, "Warnings": ["careful"]})
    daemon.answers[f"POST /v1.51/containers/{ID}/attach"] = upgraded(said)
    daemon.answers[f"POST /v1.51/containers/{ID}/wait"] = chunked(json.dumps(exit or EXIT).encode())
    daemon.answers[f"POST /v1.51/containers/{ID}/start"] = started


def test_run_attaches_waits_and_starts_in_this_order_and_ends_as_the_container(
    run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    said = frame(1, b"out\n") + frame(2, b"err\n")
    attached(daemon, started=reply(204), said=said, exit={"StatusCode": 3, "Error": None})
    assert run("run", "--rm", "--rootfs", "/r", "sh", "-c", "exit 3") == 3
    assert [each.target.removeprefix("/v1.51/containers/").replace(ID, "ID") for each in daemon.asked] == [
        "create",
        daemon.asked[1].target.removeprefix("/v1.51/containers/").replace(ID, "ID"),
        "ID/wait?condition=removed",
        "ID/start",
    ]
    assert daemon.asked[1].target.startswith(f"/v1.51/containers/{ID}/attach?stream=1")
    assert capfd.readouterr() == ("out\n", "WARNING: careful\nerr\n")


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ('exec: "x": executable file not found in $PATH', 127),
        ('exec: "/x": no such file or directory', 127),
        ('exec: "/x": permission denied', 126),
        ('exec: "/x": is a directory', 126),
        ("port is already allocated", 125),
    ],
)
@pytest.mark.parametrize("flags", [(), ("-d",)])
def test_a_container_that_does_not_start_ends_as_docker_s(
    run: Run, daemon: FakeDaemon, message: str, status: int, flags: tuple[str, ...]
) -> None:
    attached(daemon, started=reply(400, {"message": message}))
    assert run("run", *flags, "--rootfs", "/r", "x") == status


def test_a_container_that_is_refused_is_125_and_for_create_1(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["POST /v1.51/containers/create"] = reply(409, {"message": "Conflict."})
    assert run("run", "--rootfs", "/r", "x") == 125
    assert run("create", "--rootfs", "/r", "x") == 1


def test_detached_prints_the_id(run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    attached(daemon, started=reply(204))
    assert run("run", "-d", "--rootfs", "/r", "x") == 0
    assert capfd.readouterr().out == f"{ID}\n"
    assert len(daemon.asked) == 2


def test_exec_ends_as_its_process(run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    daemon.answers["POST /v1.51/containers/web/exec"] = reply(201, {"Id": "e1"})
    daemon.answers["POST /v1.51/exec/e1/start"] = upgraded(frame(1, b"o") + frame(2, b"e"))
    daemon.answers["GET /v1.51/exec/e1/json"] = reply(200, {"ExitCode": 4})
    assert run("exec", "-e", "A=b", "web", "sh", "-c", "exit 4") == 4
    assert daemon.asked[0].body["Cmd"] == ["sh", "-c", "exit 4"] and daemon.asked[0].body["Env"] == ["A=b"]
    assert capfd.readouterr() == ("o", "e")


def test_a_terminal_cannot_be_typed_at_through_a_pipe(
    run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert run("run", "-it", "--rootfs", "/r", "sh") == 1
    assert capfd.readouterr().err == "linkspan: the input device is not a TTY\nhint: leave out -t\n"
    assert daemon.asked == []


def test_logs_go_to_the_output_they_were_written_to(
    run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    kind = "application/vnd.docker.multiplexed-stream"
    whole = frame(1, b"out\n") + frame(2, b"err\n")
    daemon.answers["GET /v1.51/containers/web/logs"] = chunked(whole[:5], whole[5:], kind=kind)
    assert run("logs", "-n", "5", "web") == 0
    assert capfd.readouterr() == ("out\n", "err\n")
    assert daemon.asked[0].target == "/v1.51/containers/web/logs?stdout=1&stderr=1&tail=5"


def test_events_are_lines(run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    actor = {"ID": "abc", "Attributes": {"name": "web", "image": "/r"}}
    event = {"Type": "container", "Action": "start", "Actor": actor, "timeNano": 1_700_000_000_000_000_001}
    data = json.dumps(event).encode() + b"\n"
    daemon.answers["GET /v1.51/events"] = chunked(data[:20], data[20:])
    assert run("events", "--until", "1") == 0
    when, _, what = capfd.readouterr().out.partition(" ")
    assert ".000000001" in when and what == "container start abc (image=/r, name=web)\n"
    assert run("events", "--format", "{{.Actor.ID}}") == 0
    assert capfd.readouterr().out == "abc\n"


def test_port_shows_all_or_one(run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    ports = {
        "9000/tcp": None,
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
    }
    daemon.answers["GET /v1.51/containers/web/json"] = reply(200, {"NetworkSettings": {"Ports": ports}})
    assert run("port", "web") == 0
    assert capfd.readouterr().out == "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n"
    assert run("port", "web", "80") == 0
    assert capfd.readouterr().out == "0.0.0.0:8080\n[::]:8080\n"
    assert run("port", "web", "9000") == 1


def test_inspect_finds_containers_and_networks_and_misses_the_rest(
    run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    daemon.answers["GET /v1.51/containers/web/json"] = reply(200, {"Name": "/web"})
    daemon.answers["GET /v1.51/networks/n1"] = reply(200, {"Name": "n1"})
    assert run("inspect", "-f", "{{.Name}}", "web", "nosuch", "n1") == 1
    assert capfd.readouterr() == ("/web\nn1\n", "linkspan: No such object: nosuch\n")


def test_status_is_one_screen_and_tells_whether_something_is_wrong(
    run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    interface = {"Network": "web", "Name": "eth0", "HostName": "veth1", "Addresses": ["10.0.0.2/24"]}
    found = {
        "Version": "0.1.0",
        "EngineID": "e" * 64,
        "Firewall": "nftables",
        "Bridges": [
            {"Name": "br-1", "Network": "web", "Subnets": ["10.0.0.0/24"], "Gateways": ["10.0.0.1"], "Members": 1}
        ],
        "Sandboxes": [{"Name": "c1", "Interfaces": [interface], "Ports": ["0.0.0.0:80->80/tcp"]}],
        "Problems": [],
    }
    daemon.answers["GET /linkspan/v1/status"] = reply(200, found)
    assert run("status") == 0
    out = capfd.readouterr().out
    for text in ("br-1", "10.0.0.1", "eth0 = veth1", "10.0.0.2/24", "0.0.0.0:80->80/tcp", "Nothing is wrong."):
        assert text in out
    problem = {"Subject": "net.ipv4.ip_forward", "Message": "it is off", "Hint": "set it to 1"}
    daemon.answers["GET /linkspan/v1/status"] = reply(200, {**found, "Problems": [problem]})
    assert run("status") == 1
    assert "WRONG:\n  net.ipv4.ip_forward: it is off\n    hint: set it to 1\n" in capfd.readouterr().out


def test_without_a_daemon_one_sentence_says_how_to_start_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-H", "unix:///nosuch/socket", "network", "ls"], lambda rest: 0) == 1
    assert capfd.readouterr().err == (
        "linkspan: no daemon listens at unix:///nosuch/socket\n"
        "hint: start one with `sudo linkspan daemon --host unix:///nosuch/socket`\n"
    )


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"x" * 100_000],
)
def test_what_is_no_daemon_is_one_sentence(
    run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str], answer: bytes
) -> None:
    daemon.answers["GET /v1.51/networks"] = answer
    assert run("network", "ls") == 1
    error = capfd.readouterr().err
    assert error.startswith("linkspan: ") and "Traceback" not in error


def test_a_traceback_is_for_those_who_ask_for_it(
    run: Run, daemon: FakeDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    daemon.answers["GET /v1.51/networks"] = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{"
    )
    assert run("network", "ls") == 1
    assert capfd.readouterr().err.startswith("linkspan: unexpected error: ")
    with pytest.raises(json.JSONDecodeError):
        run("--debug", "network", "ls")


def test_the_daemon_reads_its_own_flags(run: Run) -> None:
    assert run("daemon", "--bip", "10.0.0.1/24") == 42


@pytest.mark.parametrize("flag", ["-v", "--version"])
def test_the_version_is_one_line(run: Run, capfd: pytest.CaptureFixture[str], flag: str) -> None:
    assert run(flag) == 0
    assert capfd.readouterr().out == f"linkspan {__version__}\n"


def test_an_interrupt_is_no_error_of_ours(
    run: Run, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(line: Line, session: Session) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(networks, "ls", interrupted)
    assert run("network", "ls") == 130
    assert capfd.readouterr().err == ""
