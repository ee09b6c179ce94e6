"""Docker's options of logs, as the docker command and docker-compose give them."""

import json

import pytest

from tests.clients.machine import DockerMachine
from tests.clients.shared import SharedMachine, line

pytestmark = pytest.mark.slow

CONFIG = "{{json .HostConfig.LogConfig}}"
LIMITS = "--log-opt max-size=100k --log-opt max-file=2"
START = "failed to initialize logging driver: "
COMPOSE = """\
version: "2.4"
services:
  web:
    image: busybox
    command: ["busybox", "seq", "1", "100000"]
    logging: {driver: json-file, options: {max-size: "100k", max-file: "2"}}
  quiet:
    image: busybox
    command: ["echo", "said"]
    logging: {driver: none}
"""


def test_options_are_shown_as_they_were_asked_for(shared: SharedMachine) -> None:
    shared.play(
        [
            line("create --name usual busybox true", "[0-9a-f]{64}"),
            line(f"inspect -f {CONFIG.replace(' ', '|')} usual", r'{"Type":"json-file","Config":{}}'),
            line(f"create --name rotated {LIMITS} busybox true", "[0-9a-f]{64}"),
            line(
                f"inspect -f {CONFIG.replace(' ', '|')} rotated",
                r'{"Type":"json-file","Config":{"max-file":"2","max-size":"100k"}}',
            ),
            line("inspect -f ({{.LogPath}}) rotated", r"\(\)"),
            line("start rotated", "rotated"),
            line("inspect -f {{.LogPath}} rotated", "/.*/log"),
            line("create --name local --log-driver local busybox true", "[0-9a-f]{64}"),
            line(f"inspect -f {CONFIG.replace(' ', '|')} local", r'{"Type":"local","Config":{}}'),
            line("info -f {{.LoggingDriver}}|{{.Plugins.Log}}", r"json-file \[json-file local\]"),
        ]
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--log-opt max-size=abc", f"{START}invalid size: 'abc'"),
        ("--log-opt max-size=1m --log-opt max-file=0", f"{START}max-file cannot be less than 1"),
        ("--log-opt foo=bar", "unknown log opt 'foo' for json-file log driver"),
        ("--log-driver foo", 'error looking up logging plugin foo: plugin "foo" not found'),
        ("--log-driver syslog", "logging driver syslog is not supported: expected json-file, local, none"),
    ],
)
def test_what_cannot_be_is_refused_in_docker_s_words(flags: str, said: str, shared: SharedMachine) -> None:
    refused = shared.docker("run", "--name", "refused", *flags.split(), "busybox", "true")
    assert refused.status == 125 and f"Error response from daemon: {said}" in refused.err, refused
    assert "refused" not in shared.done("ps", "-a", "--format", "{{.Names}}")


def test_a_rotated_log_is_bounded_and_read_in_order(shared: SharedMachine) -> None:
    ran = shared.docker("run", "--name", "much", *LIMITS.split(), "busybox", "busybox", "seq", "1", "100000")
    assert ran.status == 0 and ran.err == "" and len(ran.out.split()) == 100000
    left = [int(text) for text in shared.done("logs", "much").split()]
    assert left == list(range(left[0], 100001)) and left[0] > 1
    assert shared.done("logs", "--tail", "2", "much").split() == ["99999", "100000"]
    first = shared.done("logs", "--timestamps", "--tail", "1", "much").split()[0]
    assert shared.done("logs", "--since", first, "much").split()[-1] == "100000"
    data = shared.root / "data" / "containers" / shared.done("inspect", "-f", "{{.Id}}", "much")
    assert (
        sum(size for size in {path.stat().st_ino: path.stat().st_size for path in data.glob("log*")}.values()) < 10**6
    )
    shared.done("rm", "much")
    assert not data.exists()


def test_a_container_without_a_log_is_attached_to_and_not_read(shared: SharedMachine) -> None:
    shared.play(
        [
            line("run --name none --log-driver none busybox echo said", "said"),
            line("logs none", status=1, err="configured logging driver does not support reading"),
            line("logs -f none", status=1, err="configured logging driver does not support reading"),
            line("start -a none", "said"),
            line("inspect -f ({{.LogPath}}) none", r"\(\)"),
        ]
    )


def test_a_compose_file_says_how_much_is_kept(shared: SharedMachine) -> None:
    file = shared.root / "logging.yml"
    file.write_text(COMPOSE)
    address = f"DOCKER_HOST=unix://{shared.machine.socket}"
    compose = ("env", f"HOME={shared.root}", address, "docker-compose", "-f", str(file), "-p", "logging")
    up = shared.run(*compose, "up", "-d")
    assert up.status == 0, up
    web, quiet = (shared.run(*compose, "ps", "-q", "-a", name).out for name in ("web", "quiet"))
    assert json.loads(shared.done("inspect", "-f", CONFIG, web)) == {
        "Type": "json-file",
        "Config": {"max-size": "100k", "max-file": "2"},
    }
    shared.done("wait", web, quiet)
    left = shared.done("logs", web).split()
    assert left[-1] == "100000" and len(left) < 20000
    assert shared.docker("logs", quiet).status == 1
    assert shared.run(*compose, "down", "-t", "1").status == 0


async def test_the_daemon_says_how_much_is_kept_by_default(machine: DockerMachine) -> None:
    file = machine.root / "daemon.json"
    file.write_text(json.dumps({"log-driver": "local", "log-opts": {"max-size": "1m", "max-file": "2"}}))
    await machine.serve("--config-file", str(file))
    assert (await machine.docker("info", "-f", "{{.LoggingDriver}}")).out == "local"
    await machine.create("usual", "true")
    await machine.create("own", "true", HostConfig={"LogConfig": {"Type": "", "Config": {"max-size": "2m"}}})
    await machine.create("other", "true", HostConfig={"LogConfig": {"Type": "json-file"}})
    shown = [
        json.loads((await machine.docker("inspect", "-f", CONFIG, name)).out) for name in ("usual", "own", "other")
    ]
    assert shown == [
        {"Type": "local", "Config": {"max-size": "1m", "max-file": "2"}},
        {"Type": "local", "Config": {"max-size": "2m", "max-file": "2"}},
        {"Type": "json-file", "Config": {}},
    ]
