"""The compose commands as they are, 1.29 and 2: a project of three services on two networks, from `up` to `down -v`."""

import json
import re
import time
from collections.abc import Iterator, Sequence

import pytest

from tests.clients.compose import Project, command
from tests.clients.shared import SharedMachine

pytestmark = pytest.mark.slow

ERASE = "\x1b[2K"
"""Compose 2.26 writes it at beginnings of lines, colours or not."""

FILE = """\
version: "2.4"
services:
  db:
    image: busybox
    command: ["sh", "-c", "echo db-started; mkdir -p /data/w; echo $$GREETING from db > /data/w/index.html;
      exec httpd -f -p 80 -h /data/w"]
    env_file: [db.env]
    volumes: ["data:/data"]
    healthcheck: {test: ["CMD", "test", "-e", "/data/w/index.html"], interval: 1s, timeout: 5s, retries: 20}
    stop_signal: SIGKILL
    networks:
      back: {aliases: [database, store]}
  web:
    image: nginx
    ports: ["18080:80", "127.0.0.1:18081:80"]
    depends_on: {db: {condition: service_healthy}}
    networks: [front, back]
  cli:
    image: busybox
    command: ["sh", "-c", "wget -qO- http://store/; exec sleep 1000"]
    environment: {MODE: test}
    depends_on: [web]
    stop_signal: SIGKILL
    volumes: ["./src:/src:ro", "/scratch"]
    networks: [back]
networks:
  front: {}
  back: {driver: bridge, ipam: {config: [{subnet: 10.88.0.0/24}]}}
volumes: {data: {}}
"""


@pytest.fixture(scope="module", params=[1, 2], ids=["compose1", "compose2"])
def project(request: pytest.FixtureRequest, shared: SharedMachine) -> Iterator[Project]:
    """The project, up."""
    compose = command(request.param)
    files = {"docker-compose.yml": FILE, "src/text": "mine\n", "db.env": "# a comment\nGREETING=hello\n"}
    found = Project(shared, compose, "proj", files)
    found.began = str(time.time())
    up = found.compose("up", "-d")
    assert up.status == 0, up
    assert re.search(r"Creating network .proj_back. with driver .bridge.|Network proj_back  Created", up.err), up.err
    for name in ("db", "web", "cli"):
        assert re.search(f"Creating proj_{name}_1 *... done|Container proj-{name}-1  Started", up.err), up.err
    yield found
    down = found.compose("down", "-v", "-t", "1")
    assert down.status == 0, down


def test_events_of_up_come_in_dockers_order(project: Project) -> None:
    told = [_told(text) for text in project.shared.done(*_EVENTS, "--since", project.began).splitlines()]
    checks = ("container exec_", "container health_status", "image ")
    db, web, cli = (project.container(name) for name in ("db", "web", "cli"))
    wanted = [
        *_life(db, "back", volumes=["/data"]),
        *_life(web, "back", "front"),
        "volume create",
        *_life(cli, "back", volumes=["/scratch"]),
    ]
    found = [text for text in told if not text.startswith(checks)]
    assert sorted(found[:3]) == ["network create proj_back", "network create proj_front", "volume create"]
    if project.command.version == 1:
        assert found[3:] == wanted
        assert told.index(f"container health_status: healthy {db}") < told.index(f"container create {web}")
    else:  # it makes all of them first
        created = [f"container create {db}", f"container create {web}", "volume create", f"container create {cli}"]
        assert [*found[3:5], *sorted(found[5:7], reverse=True)] == created
        assert found[7:] == [text for text in wanted if text not in created]
        assert told.index(f"container health_status: healthy {db}") < told.index(f"container start {web}")


_EVENTS = ("events", "--until", "-1s", "--format", "{{json .}}")


def _told(text: str) -> str:
    event = json.loads(text)
    found = event["Actor"]["Attributes"]
    return f"{event['Type']} {event['Action']} {found.get('name') or found.get('destination', '')}".strip()


def _life(container: str, *networks: str, volumes: Sequence[str] = ()) -> list[str]:
    """What is told of a service that is created and started."""
    return [
        f"container create {container}",
        *(f"network connect proj_{network}" for network in networks),
        *(f"volume mount {place}" for place in volumes),
        f"container start {container}",
    ]


def test_every_service_is_up_and_the_checked_one_healthy(project: Project) -> None:
    rows = project.done("ps").splitlines()
    for name, state in (("cli", "Up"), ("db", r"Up .*\(healthy\)"), ("web", "Up .*0.0.0.0:18080->80/tcp")):
        assert any(re.match(f"{project.container(name)} .* {state}", row) for row in rows), rows


def test_a_second_up_changes_nothing(project: Project) -> None:
    before = project.shared.done("ps", "-q", "--no-trunc")
    again = project.compose("up", "-d")
    unchanged = [project.command.unchanged.format(project.container(name)) for name in ("db", "web", "cli")]
    assert again.status == 0 and all(text in again.err for text in unchanged), again
    assert project.shared.done("ps", "-q", "--no-trunc") == before


def test_logs_have_the_names_of_their_services(project: Project) -> None:
    project.shared.wait(project.shared.machine.until_said(project.container("cli"), "hello from db"))
    said = project.done("logs", "--no-color").replace(ERASE, "")
    assert re.search(r"^cli.1 +\| hello from db$", said, re.MULTILINE)
    last = project.done("logs", "--no-color", "--tail", "1", "db").splitlines()[-1].removeprefix(ERASE)
    assert re.fullmatch(r"db.1 +\| db-started", last)


@pytest.mark.parametrize("name", ["store", "database", "db", "the container", "web"])
def test_services_reach_each_other_by_name(project: Project, name: str) -> None:
    wanted = "nginx serves" if name == "web" else "hello from db"
    host = project.container("db") if name == "the container" else name
    assert project.done("exec", "-T", "cli", "wget", "-qO-", f"http://{host}/") == wanted


def test_exec_gives_input_output_and_the_exit_status(project: Project) -> None:
    failed = project.compose("exec", "-T", "cli", "sh", "-c", "cat /src/text; echo $MODE; exit 3")
    assert (failed.status, failed.out) == (3, "mine\ntest")
    read_only = project.compose("exec", "-T", "cli", "touch", "/src/new")
    assert read_only.status == 1 and "Read-only file system" in read_only.err


def test_published_ports_are_told_and_lead_to_the_service(project: Project) -> None:
    assert project.done("port", "web", "80").splitlines()[0] in ("0.0.0.0:18080", "127.0.0.1:18081")
    assert project.shared.run("curl", "-s", "http://127.0.0.1:18081").out == "nginx serves"
    fetched = project.shared.wait(
        project.shared.machine.neighbour.run("curl", "-s", f"http://{project.shared.machine.address}:18080")
    )
    assert "nginx serves" in str(fetched)


def test_networks_are_bridges_named_by_their_id(project: Project) -> None:
    front, back = json.loads(project.shared.done("network", "inspect", "proj_front", "proj_back"))
    for network in (front, back):
        assert project.shared.run("ip", "link", "show", f"br-{network['Id'][:12]}").status == 0
        assert network["Labels"]["com.docker.compose.project"] == "proj"
    assert back["IPAM"]["Config"][0]["Subnet"] == "10.88.0.0/24"


def test_processes_are_listed_by_service(project: Project) -> None:
    assert re.search(r"cli.*sleep 1000.*db.*httpd -f", project.done("top"), re.DOTALL)


def test_a_service_grows_and_shrinks(project: Project) -> None:
    project.done("up", "-d", "--scale", "cli=3")
    assert len(project.done("ps", "-q", "cli").split()) == 3
    deprecated = project.compose("scale", "cli=1")
    assert deprecated.status == 0 and len(project.done("ps", "-q", "cli").split()) == 1


def test_one_off_runs_leave_nothing(project: Project) -> None:
    once = project.compose("run", "--rm", "-T", "cli", "sh", "-c", "wget -qO- http://store/; exit 4")
    assert (once.status, once.out) == (4, "hello from db")
    assert "run" not in project.shared.done("ps", "-a", "--format", "{{.Names}}")


def test_a_service_is_stopped_started_and_restarted(project: Project) -> None:
    project.done("stop", "-t", "30", "web")
    assert re.search(rf"{project.container('web')} .* Exit(ed \(| )0", project.done("ps", "-a"))
    project.done("start", "web")
    project.done("restart", "-t", "30", "web")
    fetch = "until wget -qO- http://web/ 2>/dev/null; do sleep 0.1; done"
    assert project.done("exec", "-T", "cli", "sh", "-c", fetch) == "nginx serves"
    project.done("pause", "cli")
    assert "Paused" in project.done("ps")
    project.done("unpause", "cli")
    project.done("kill", "-s", "KILL", "cli")
    assert re.search(rf"{project.container('cli')} .* Exit(ed \(| )137", project.done("ps", "-a"))
    project.done("up", "-d")


def test_what_changed_is_made_anew_with_its_volumes(project: Project) -> None:
    scratch = "'{{range .Mounts}}{{if eq .Destination \"/scratch\"}}{{.Name}}{{end}}{{end}}'"
    cli, db = project.container("cli"), project.container("db")
    before = project.shared.done("inspect", "-f", scratch, cli), project.done("ps", "-q", "cli")
    project.write("docker-compose.yml", FILE.replace("MODE: test", "MODE: changed"))
    again = project.compose("up", "-d")
    assert again.status == 0 and project.command.recreated.format(cli) in again.err, again
    assert project.command.unchanged.format(db) in again.err
    after = project.shared.done("inspect", "-f", scratch, cli), project.done("ps", "-q", "cli")
    assert before[0] == after[0] and before[1] != after[1]
    assert project.done("exec", "-T", "cli", "sh", "-c", "echo $MODE") == "changed"


def test_events_are_told_as_compose_writes_them(project: Project) -> None:
    project.done("restart", "-t", "0", "cli")
    filters = ("--filter", "label=com.docker.compose.service=cli", "--filter", "type=container")
    shown = ("--format", "{{.Action}} {{.Actor.Attributes.name}}")
    told = project.shared.done("events", "--since", "1m", "--until", "-1s", *filters, *shown).splitlines()
    assert told[-5:] == [
        f"{action} {project.container('cli')}" for action in ("kill", "die", "stop", "start", "restart")
    ]


def test_down_leaves_nothing(project: Project) -> None:
    down = project.compose("down", "-v", "-t", "1")
    assert down.status == 0 and project.command.removed.format("proj_data") in down.err, down
    shared = project.shared
    assert shared.done("ps", "-aq") == ""
    assert shared.done("volume", "ls", "-q", "--filter", "label=com.docker.compose.project=proj") == ""
    assert sorted(shared.done("network", "ls", "--format", "{{.Name}}").split()) == ["bridge", "host", "none"]
    assert "br-" not in shared.run("ip", "link").out
