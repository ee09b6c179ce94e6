"""The docker command against what dockerd answers to the same words: found by asking both, side by side.

Each test is a table. In a command a blank separates words and a bar stands for a blank inside of one.
"""

import json
import time

import pytest

from tests.clients.shared import SharedMachine, line
from tests.support.images import busybox
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow
ID = "[0-9a-f]{64}"


def until(shared: SharedMachine, form: str, name: str, wanted: str) -> None:
    """Inspect a container until it shows what is wanted."""
    deadline = time.monotonic() + PATIENCE
    while (found := shared.done("inspect", "-f", form, name)) != wanted:
        assert time.monotonic() < deadline, found


def test_what_cannot_be_run_is_refused_with_125_and_dockers_words(shared: SharedMachine) -> None:
    shared.play(
        line(f"run --rm {words} busybox true", "", status=125, err=said)
        for words, said in (
            ("-w /etc/passwd", "Cannot mkdir: /etc/passwd is not a directory"),
            ("-u -1", "uids and gids must be in range 0-2147483647"),
            ("--cap-add BOGUS", 'invalid CapAdd: unknown capability: "CAP_BOGUS"'),
            ("--cap-drop BOGUS", 'invalid CapDrop: unknown capability: "CAP_BOGUS"'),
            ("--security-opt bogus=1", 'invalid --security-opt 2: "bogus=1"'),
            ("--isolation hyperv", "invalid isolation: \"hyperv\" - linux only supports 'default'"),
            ("--memory-swap 10m", "set the Memory limit when using Memoryswap limit, see usage"),
            ("--cpu-shares -1", "shares: invalid argument"),
            ("--cpuset-cpus x", "Invalid value x for cpuset cpus: invalid format: x"),
            ("--cpuset-mems 4095", "Requested memory nodes are not available - requested 4095, available: 0"),
            ("--link nosuch", "could not get container for nosuch: No such container: nosuch"),
        )
    )


def test_what_has_no_effect_or_is_dangerous_is_warned_of(shared: SharedMachine) -> None:
    shared.load([(busybox(architecture="s390x"), ["foreign"])])
    shared.play(
        [
            line(
                "create --name wa --network host -p 80:80 busybox", ID, err="Published ports are discarded when using"
            ),
            line("create --name wb --oom-kill-disable busybox", ID, err="no memory limit is set"),
            line("create --name wc foreign", ID, err=r"platform \(linux/s390x\) does not match the detected host"),
            line("rm wa wb wc", "wa\nwb\nwc"),
            line("rmi foreign"),
        ]
    )


def test_more_processes_fail_as_dockers_do(shared: SharedMachine) -> None:
    shared.play(
        [
            line("run -d --name xe busybox sleep 1000", ID),
            line(
                "exec -d xe nosuch", "", status=1, err='OCI runtime exec failed: .*"nosuch": executable file not found'
            ),
            line("exec xe nosuch", "OCI runtime exec failed: .*executable file not found.*", status=127),
            line("exec -w relative xe pwd", "OCI runtime exec failed: .*", status=126),
            line(
                "exec --detach-keys bogus-key xe true", "", status=1, err=r"Invalid escape keys \(bogus-key\) provided"
            ),
            line("pause xe", "xe"),
            line("exec xe true", "", status=1, err="Container xe is paused, unpause the container before exec"),
            line("rm -f xe", "xe"),
        ]
    )


def test_the_keys_that_let_go_of_one_more_process_are_the_users(shared: SharedMachine) -> None:
    shared.done("run", "-d", "--name", "xk", "busybox", "sleep", "1000")
    typed = [(b"ready", b"\x18x")]
    words = ["exec", "-it", "--detach-keys", "ctrl-x,x", "xk", "sh", "-c", "echo ready; exec sleep 1000"]
    _, seen = shared.wait(shared.machine.terminal(words, until=typed))
    assert len(json.loads(shared.done("inspect", "-f", "{{json .ExecIDs}}", "xk"))) == 1, seen
    shared.done("rm", "-f", "xk")


def test_an_update_is_refused_with_the_container_and_the_reason(shared: SharedMachine) -> None:
    cannot = f"Cannot update container {ID}: "
    shared.play(
        [
            line("create --name up --cpus 0.5 --rm busybox", ID),
            line(
                "update --cpu-quota 5000 up", status=1, err=f"{cannot}Conflicting options: CPU Quota cannot be updated"
            ),
            line(
                "update --restart always up", status=1, err=f"{cannot}Restart policy cannot be updated because AutoRem"
            ),
            line("update --cpus 0.3 --restart no up", "up"),
            line("rm up", "up"),
        ]
    )


def test_names_are_refused_where_they_were_to_be_given_or_are_not_there(shared: SharedMachine) -> None:
    new = "Error when allocating new name: "
    shared.play(
        [
            line("create --name n1 busybox", ID),
            line("create --name n2 busybox", ID),
            line("rename n1 n2", status=1, err=f'{new}Conflict. The container name "/n2" is already in use'),
            line("rename n1 bad|name", status=1, err=rf"{new}Invalid container name \(/bad name\), only"),
            line("kill nosuch", status=1, err="cannot kill container: nosuch: No such container: nosuch"),
            line("rm --link n1", status=1, err="Conflict, cannot remove the default link name of the container"),
            line("rm n1 n2", "n1\nn2"),
        ]
    )


def test_top_is_an_event_and_says_what_ps_says(shared: SharedMachine) -> None:
    shared.play(
        [
            line("run -d --name tp busybox sleep 1000", ID),
            line("top tp --bogus", status=1, err="Error response from daemon: ps: "),
            line("top tp", "UID.*sleep 1000"),
            line("exec tp true", ""),
            line("rm -f tp", "tp"),
            line("events --since 1h --until -1s --filter container=tp --format {{.Action}}.", ".*\ntop\\..*"),
            line(
                "events --since 1h --until -1s --filter container=tp --format {{.Action}}.",
                ".*\nexec_start: true \\..*",
            ),
        ]
    )


def test_inspect_shows_where_the_files_are(shared: SharedMachine) -> None:
    shared.done("run", "-d", "--name", "wf", "--hostname", "ship.sea.test", "busybox", "sleep", "1000")
    files = shared.done("inspect", "-f", "{{.HostsPath}} {{.HostnamePath}} {{.ResolvConfPath}}", "wf").split()
    hosts, hostname, resolv = (shared.run("cat", path).out for path in files)
    assert "\tship.sea.test ship\n" in f"{hosts}\n"
    assert (hostname, "nameserver" in resolv or "Generated" in resolv) == ("ship.sea.test", True)
    shared.done("exec", "wf", "touch", "/made")
    merged, upper = shared.done(
        "inspect", "-f", "{{.GraphDriver.Data.MergedDir}} {{.GraphDriver.Data.UpperDir}}", "wf"
    ).split()
    assert "made" in shared.run("ls", upper).out.split()
    assert "busybox" in shared.run("ls", f"{merged}/bin").out.split()
    shared.done("rm", "-f", "wf")


def test_what_needs_a_process_says_so_while_a_container_waits_for_its_next_start(shared: SharedMachine) -> None:
    shared.done("run", "-d", "--name", "ra", "--restart", "always", "busybox", "false")
    wait = "is restarting, wait until the container is running"
    for words in ("exec ra true", "top ra", "pause ra"):
        until(shared, "{{.State.Restarting}}|{{gt .RestartCount 4}}", "ra", "true|true")
        shared.play([line(words, "", status=1, err=wait)])
    shared.done("rm", "-f", "ra")


def test_a_probe_that_cannot_be_started_and_one_that_says_much(shared: SharedMachine) -> None:
    much = "head -c 9000 /dev/zero | tr '\\0' x"
    checks = {"Test": ["CMD", "nosuch"], "Interval": 100_000_000, "Retries": 1}
    shared.load([(busybox(config={"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"], "Healthcheck": checks}), ["ill"])])
    shared.done("run", "-d", "--name", "ill", "ill")
    shared.done(
        "run", "-d", "--name", "loud", "--health-cmd", much, "--health-interval", "100ms", "busybox", "sleep", "1000"
    )
    for name in ("ill", "loud"):
        until(shared, "{{len .State.Health.Log}}", name, "5")
    first = "{{json (index .State.Health.Log 0)}}"
    ill, loud = (json.loads(shared.done("inspect", "-f", first, name)) for name in ("ill", "loud"))
    assert (ill["ExitCode"], ill["Output"]) == (-1, ill["Output"].strip())
    assert ill["Output"].startswith("OCI runtime exec failed: ")
    assert loud["Output"] == f"{'x' * 4096}..."
    shared.done("rm", "-f", "ill", "loud")
    shared.done("rmi", "ill")


def test_what_was_not_asked_for_is_not_shown(shared: SharedMachine) -> None:
    shared.done("create", "--name", "plain", "busybox")
    host = json.loads(shared.done("inspect", "-f", "{{json .HostConfig}}", "plain"))
    config = json.loads(shared.done("inspect", "-f", "{{json .Config}}", "plain"))
    assert (host["DeviceCgroupRules"], host["DeviceRequests"]) == (None, None)
    assert not {"ExposedPorts", "StopSignal", "StopTimeout"} & config.keys()
    shared.done("create", "--name", "hosts", "--network", "host", "busybox")
    assert shared.done("inspect", "-f", "{{.Config.Hostname}}", "hosts") == shared.run("hostname").out
    shared.done("rm", "plain", "hosts")


def test_what_docker_puts_into_every_root_is_nothing_that_a_container_wrote(shared: SharedMachine) -> None:
    shared.done("run", "--name", "sz", "busybox", "true")
    assert shared.done("inspect", "--size", "-f", "{{.SizeRw}}", "sz") == "0"
    assert shared.done("ps", "-as", "--filter", "name=sz", "--format", "{{.Size}}").startswith("0B (virtual ")
    shared.done("rm", "sz")


def test_what_has_ended_is_not_healthy_until_it_is_looked_at_again(shared: SharedMachine) -> None:
    check = ("--health-cmd", "true", "--health-interval", "100ms")
    shared.done("run", "-d", "--name", "hl", *check, "busybox", "sleep", "1000")
    until(shared, "{{.State.Health.Status}}", "hl", "healthy")
    shared.done("stop", "-t", "0", "hl")
    assert shared.done("inspect", "-f", "{{.State.Health.Status}}", "hl") == "unhealthy"
    shared.done("start", "hl")
    until(shared, "{{.State.Health.Status}}", "hl", "healthy")
    shared.done("rm", "-f", "hl")
