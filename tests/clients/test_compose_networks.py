"""What a compose file can say of networks, for both compose commands, beside another project that is up."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.clients.compose import Project, command
from tests.clients.shared import SharedMachine

pytestmark = pytest.mark.slow

FILE = """\
services:
  db:
    image: busybox
    command: ["sh", "-c", "echo word > /index.html; exec httpd -f -p 80 -h /"]
    healthcheck: {test: ["CMD", "test", "-e", "/index.html"], interval: 1s, timeout: 5s, retries: 20}
    networks:
      back: {ipv4_address: 10.88.1.10, ipv6_address: "fd00:88:1::10", aliases: [store]}
    sysctls: {net.ipv4.ip_unprivileged_port_start: 1024}
    ulimits: {nofile: {soft: 1000, hard: 2000}}
    init: true
    stop_signal: SIGKILL
  once:
    image: busybox
    command: ["sh", "-c", "wget -qO- http://store/"]
    depends_on: {db: {condition: service_healthy}}
    networks: [back]
  web:
    image: busybox
    command: ["sh", "-c", "echo web > /index.html; exec httpd -f -p 80 -h /"]
    depends_on: {once: {condition: service_completed_successfully}}
    ports: ["127.0.0.1:18088:80", {target: 81, published: 18089, protocol: udp}]
    extra_hosts: ["host.docker.internal:host-gateway", "some:192.0.2.4"]
    stop_signal: SIGKILL
    networks: [back, front, inner, outside]
  guest: {image: busybox, command: [sleep, "1000"], network_mode: "service:web", stop_signal: SIGKILL}
  lone: {image: busybox, command: [sleep, "1000"], network_mode: none, stop_signal: SIGKILL}
  onhost: {image: busybox, command: [sleep, "1000"], network_mode: host, stop_signal: SIGKILL}
  polite:
    image: busybox
    command: ["sh", "-c", "trap 'echo bye; exit 0' TERM; echo hello; while :; do sleep 0.1; done"]
    links: ["db:word"]
    networks: [back]
  hidden: {image: busybox, command: [sleep, "1000"], profiles: [extra]}
networks:
  front: {driver_opts: {com.docker.network.bridge.name: brwide, com.docker.network.driver.mtu: "1400"}}
  back:
    enable_ipv6: true
    ipam:
      config: [{subnet: 10.88.1.0/24, ip_range: 10.88.1.128/25, gateway: 10.88.1.1}, {subnet: "fd00:88:1::/64"}]
  inner: {internal: true}
  outside: {external: true, name: made-before}
"""
OTHER = """\
services: {web: {image: busybox, command: [sleep, "1000"], stop_signal: SIGKILL}}
"""
UP = ("db", "web", "guest", "lone", "onhost", "polite")


@pytest.fixture(scope="module", params=[1, 2], ids=["compose1", "compose2"])
def project(request: pytest.FixtureRequest, shared: SharedMachine) -> Iterator[Project]:
    """The project, up beside another that has a service of the same name."""
    compose = command(request.param)
    other = Project(shared, compose, "other", {"docker-compose.yml": OTHER})
    other.done("up", "-d")
    shared.done("network", "create", "made-before")
    found = Project(shared, compose, "wide", {"docker-compose.yml": FILE})
    found.done("up", "-d")
    yield found
    found.done("down", "-v", "-t", "1")
    other.done("down", "-t", "1")
    shared.done("network", "rm", "made-before")


def inside(project: Project, service: str, *words: str) -> str:
    return project.done("exec", "-T", service, *words)


def test_services_wait_for_those_that_have_to_end(project: Project) -> None:
    assert project.shared.done("logs", project.container("once")) == "word"
    code, ended = _state(project, "once", "{{.State.ExitCode}} {{.State.FinishedAt}}").split()
    assert code == "0" and ended < _state(project, "web", "{{.State.StartedAt}}")


def _state(project: Project, service: str, template: str) -> str:
    return project.shared.done("inspect", "-f", template, project.container(service))


def test_addresses_of_both_families_are_those_of_the_file(project: Project) -> None:
    listed = inside(project, "db", "ip", "addr")
    assert "10.88.1.10/24" in listed and "fd00:88:1::10/64" in listed
    assert "10.88.1.128/24" in inside(project, "web", "ip", "addr") + inside(project, "polite", "ip", "addr")
    assert inside(project, "web", "wget", "-qO-", "http://[fd00:88:1::10]/") == "word"


def test_a_service_can_live_in_the_network_of_another(project: Project) -> None:
    assert inside(project, "guest", "wget", "-qO-", "http://127.0.0.1/") == "web"
    assert inside(project, "guest", "hostname") == inside(project, "web", "hostname")


def test_a_service_can_have_no_network_or_that_of_the_host(project: Project) -> None:
    assert "eth" not in inside(project, "lone", "ip", "link")
    assert "brwide" in inside(project, "onhost", "ip", "link")


def test_hosts_of_the_file_are_found(project: Project) -> None:
    hosts = inside(project, "web", "cat", "/etc/hosts")
    assert "192.0.2.4\tsome" in hosts and re.search(r"^172\.17\.0\.1\thost\.docker\.internal$", hosts, re.MULTILINE)


def test_a_link_is_another_name(project: Project) -> None:
    assert inside(project, "polite", "wget", "-qO-", "http://word/") == "word"


def test_options_of_networks_reach_the_kernel(project: Project) -> None:
    assert "mtu 1400" in inside(project, "web", "ip", "link")
    (inner,) = json.loads(project.shared.done("network", "inspect", "wide_inner"))
    assert inner["Internal"] is True
    members = json.loads(project.shared.done("network", "inspect", "made-before"))[0]["Containers"].values()
    assert [member["Name"] for member in members] == [project.container("web")]


def test_limits_and_sysctls_of_the_file_hold(project: Project) -> None:
    asked = "ulimit -n; cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
    assert inside(project, "db", "sh", "-c", asked).split() == ["1000", "1024"]


def test_what_has_a_profile_is_left_out(project: Project) -> None:
    assert sorted(project.done("ps", "--services", "--filter", "status=running").split()) == sorted(UP)


def test_a_service_is_found_in_its_own_project_alone(project: Project) -> None:
    listed = project.shared.done("ps", "--format", "{{.Names}}").split()
    assert project.command.container("other", "web") in listed and project.container("web") in listed
    found = inside(project, "polite", "wget", "-qO-", "http://web/")
    assert found == "web"


def test_an_interrupted_up_stops_what_it_shows(project: Project) -> None:
    project.done("stop", "-t", "5", "polite")
    said = project.interrupted("up", "--no-color", "--no-deps", "polite", at=b"| hello")
    assert "Gracefully" in said
    assert _state(project, "polite", "{{.State.Status}} {{.State.ExitCode}}") == "exited 0"
    assert project.shared.done("logs", project.container("polite")).endswith("bye")
    project.done("up", "-d")


def test_a_network_that_changed_is_made_anew(project: Project) -> None:
    if "--yes" not in project.done("up", "--help"):
        pytest.skip("this version of compose changes no network")
    db = _state(project, "db", "{{.Id}}")
    project.write("docker-compose.yml", FILE.replace('"1400"', '"1300"'))
    project.done("up", "-d", "-y")
    assert "mtu 1300" in inside(project, "web", "ip", "link")
    assert _state(project, "db", "{{.Id}}") == db
