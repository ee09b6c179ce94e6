"""Every command of `docker` about containers, images, volumes and the system: what it prints and how it ends.

Each test is a table. In a command a blank separates words and a bar stands for a blank inside of one.
"""

import io
import re
import tarfile

import pytest

from tests.clients.shared import SharedMachine, line
from tests.support.images import Entry, layer

pytestmark = pytest.mark.slow
ID = "[0-9a-f]{64}"
SHORT = "[0-9a-f]{12}"


def test_a_life_from_creation_to_removal(shared: SharedMachine) -> None:
    shared.play(
        [
            line("create --name life -i --label k=v busybox cat", ID),
            line("ps -a --filter name=life --format {{.Names}}|{{.Status}}", "life Created"),
            line("start life", "life"),
            line("ps --filter label=k=v", rf"CONTAINER ID .*NAMES\n{SHORT} +busybox +\"cat\" +.* Up .* life"),
            line("stop -t 0 life", "life"),
            line("inspect -f {{.State.Status}}|{{.State.ExitCode}} life", "exited 137"),
            line("start -ai life", "typed", stdin=b"typed\n"),
            line("start life", "life"),
            line("restart -t 0 life", "life"),
            line("pause life", "life"),
            line("ps --filter status=paused --format {{.Names}}|{{.Status}}", r"life Up .* \(Paused\)"),
            line("exec life true", status=1, err="is paused, unpause the container before exec"),
            line("unpause life", "life"),
            line("rename life second", ""),
            line("rm second", status=1, err="container is running: stop the container before removing or force remove"),
            line("kill -s KILL second", "second"),
            line("wait second", "137"),
            line("kill second", status=1, err="is not running"),
            line("rm second", "second"),
            line("inspect second", r"\[\]", status=1, err="No such object: second"),
            line("rm -f second", "", err="No such container: second"),
        ]
    )


def test_exit_statuses_of_run(shared: SharedMachine) -> None:
    shared.play(
        [
            line("run --rm busybox true", ""),
            line("run --rm busybox sh -c exit|42", "", status=42),
            line("run --rm busybox nosuch", "", status=127, err='exec: "nosuch": executable file not found in \\$PATH'),
            line("run --rm busybox /etc/passwd", "", status=126, err="permission denied"),
            line("run --rm --nosuch busybox", "", status=125, err="unknown flag: --nosuch"),
            line("run --rm --network nosuch busybox true", "", status=125, err="network nosuch not found"),
            line("run --rm --name -x busybox", "", status=125, err="Invalid container name|invalid reference|name"),
            line("run --rm -m 1k busybox true", "", status=125, err="Minimum memory limit allowed is 6MB"),
            line("exec nosuch true", "", status=1, err="No such container: nosuch"),
            line("ps -aq", ""),
        ]
    )


def test_what_run_sets_up(shared: SharedMachine) -> None:
    (shared.root / "bound").mkdir()
    (shared.root / "env").write_text("FROM_FILE=1\n# no\n")
    bound = f"{shared.root}/bound"
    shared.play(
        [
            line("run --rm -h here --domainname a.test busybox hostname", "here"),
            line("run --rm -h here busybox cat /etc/hostname", "here"),
            line("run --rm --add-host db:10.1.2.3 busybox grep -w db /etc/hosts", r"10\.1\.2\.3\s+db"),
            line("run --rm --dns 192.0.2.53 --dns-search a.test busybox cat /etc/resolv.conf", ".*192.0.2.53.*"),
            line(
                f"run --rm -e A=b --env-file {shared.root}/env busybox env", ".*A=b.*FROM_FILE=1.*|.*FROM_FILE=1.*A=b.*"
            ),
            line("run --rm -w /made/here busybox pwd", "/made/here"),
            line("run --rm -u ann busybox id -u", "1000"),
            line("run --rm -u 7:8 --group-add 9 busybox id", r"uid=7 gid=8 groups=8,9.*|uid=7 gid=8 groups=.*9.*"),
            line("run --rm --entrypoint echo busybox said", "said"),
            line(f"run --rm -v {bound}:/b busybox touch /b/made", ""),
            line(f"run --rm -v {bound}:/b:ro busybox touch /b/x", "", status=1, err="Read-only file system"),
            line(f"run --rm --mount type=bind,src={bound},dst=/b busybox ls /b", "made"),
            line("run --rm --mount type=bind,src=/nosuch,dst=/b busybox true", "", status=125, err="/nosuch"),
            line("run --rm --tmpfs /t:size=1m busybox busybox df -k /t", ".*1024.*/t"),
            line("run --rm --read-only busybox touch /x", "", status=1, err="Read-only file system"),
            line("run --rm --ulimit nofile=64:64 busybox sh -c ulimit|-n", "64"),
            line("run --rm --sysctl net.ipv4.ip_default_ttl=9 busybox cat /proc/sys/net/ipv4/ip_default_ttl", "9"),
            line("run --rm --cap-drop ALL busybox grep CapEff /proc/self/status", "CapEff:\\s+0{16}"),
            line("run --rm --cap-drop ALL --cap-add chown busybox grep CapEff /proc/self/status", "CapEff:\\s+0{15}1"),
            line("run --rm --privileged busybox sh -c grep|Seccomp:|/proc/self/status", "Seccomp:\\s+0"),
            line("run --rm busybox sh -c grep|Seccomp:|/proc/self/status", "Seccomp:\\s+2"),
            line("run --rm --device /dev/null:/dev/mine busybox test -c /dev/mine", ""),
            line("run --rm --shm-size 2m busybox busybox df -k /dev/shm", ".*2048.*"),
            line("run --rm --network none busybox sh -c ls|/sys/class/net", "lo"),
            line("run --rm -i busybox cat", "through", stdin=b"through"),
            line("run --rm --init busybox cat /proc/1/comm", "docker-init|tini.*|catatonit"),
        ]
    )


def test_what_runs_is_looked_at_and_changed(shared: SharedMachine) -> None:
    shared.done(
        "run", "-d", "--name", "looked", "-p", "18090:80", "busybox", "sh", "-c", "echo out; echo err >&2; sleep 99"
    )
    shared.wait(shared.machine.until_said("looked", "out", "err"))
    shared.play(
        [
            line("logs looked", "out", err="err"),
            line("logs -t --tail 1 looked", r"(?:\d{4}-\S+Z out)?"),
            line("logs --since 1h --until 1h looked", ""),
            line("port looked", r"80/tcp -> 0\.0\.0\.0:18090\n80/tcp -> \[::\]:18090"),
            line("port looked 80/tcp", r"0\.0\.0\.0:18090\n\[::\]:18090"),
            line("port looked 81", "", status=1, err="No public port '81"),
            line("top looked", r"UID +PID .*CMD\n.*sleep 99"),
            line("top looked -o pid,comm", r"PID +COMMAND\n.*"),
            line("stats --no-stream looked", rf"CONTAINER ID .*\n{SHORT} +looked +[0-9.]+% .*"),
            line("exec looked echo inside", "inside"),
            line("exec -e A=b -w /tmp -u ann looked sh -c echo|$A;pwd;id|-un", "b\n/tmp\nann"),
            line("exec -i looked cat", "typed", stdin=b"typed"),
            line("exec looked sh -c exit|3", "", status=3),
            line("exec looked nosuch", "OCI runtime exec failed: .*executable file not found.*", status=127),
            line("exec -d looked touch /detached", ""),
            line("update --memory 64m --memory-swap 64m looked", "looked"),
            line("inspect -f {{.HostConfig.Memory}} looked", str(64 << 20)),
            line("inspect -s -f {{.SizeRw}} looked", "[0-9]+"),
            line("ps -s --filter name=looked --format {{.Size}}", r".*\(virtual .*\)"),
            line("diff looked", "(?:[ACD] .*)?"),
            line("rm -f looked", "looked"),
        ]
    )


def test_files_go_in_and_out_and_become_images(shared: SharedMachine) -> None:
    (shared.root / "sent").write_text("sent\n")
    shared.done("create", "--name", "files", "busybox", "true")
    shared.play(
        [
            line(f"cp {shared.root}/sent files:/tmp/", ""),
            line(f"cp files:/tmp/sent {shared.root}/back", ""),
            line(
                "cp files:/nosuch -",
                "",
                status=1,
                err="Could not find the file|No such container:path",
            ),
            line("diff files", ".*A /tmp/sent"),
            line("commit -m why -c CMD|cat|/tmp/sent files made:1", f"sha256:{ID}"),
            line("run --rm made:1", "sent"),
            line("history --format {{.Comment}} made:1", "why.*"),
            line("rmi made:1", "Untagged: made:1\nDeleted: sha256:.*"),
        ]
    )
    assert (shared.root / "back").read_text() == "sent\n"
    assert shared.done("export", "-o", str(shared.root / "whole.tar"), "files") == ""
    with tarfile.open(shared.root / "whole.tar") as archive:
        names = {name.removeprefix("./") for name in archive.getnames()}
    assert {"bin/busybox", "tmp/sent"} <= names
    shared.done("rm", "files")


def test_images_are_listed_named_moved_and_removed(shared: SharedMachine) -> None:
    saved = shared.root / "saved.tar"
    shared.play(
        [
            line("images busybox", rf"REPOSITORY +TAG +IMAGE ID .*\nbusybox +latest +{SHORT} .*"),
            line("tag busybox registry.test/mine:1", ""),
            line("tag busybox Mine", "", status=1, err="repository name must be lowercase|invalid reference"),
            line("images -q --no-trunc registry.test/mine", f"sha256:{ID}"),
            line("images --filter reference=registry.test/* --format {{.Repository}}", "registry.test/mine"),
            line("image inspect -f {{.Os}}/{{.Architecture}}|{{.Config.Cmd}} busybox", r"linux/amd64 \[sh\]"),
            line("history -q busybox", f"{SHORT}.*"),
            line(f"save -o {saved} busybox registry.test/mine:1", ""),
            line("rmi registry.test/mine:1", "Untagged: registry.test/mine:1"),
            line(f"load -i {saved}", "Loaded image: busybox:latest\nLoaded image: registry.test/mine:1"),
            line("rmi registry.test/mine:1", "Untagged: registry.test/mine:1"),
            line("rmi nosuch", "", status=1, err="No such image: nosuch:latest"),
            line("pull 127.0.0.1:1/nosuch", ".*", status=1, err="connection refused"),
            line("push 127.0.0.1:1/nosuch", ".*", status=1, err="An image does not exist locally with the tag"),
            line("search nosuch", "", status=1, err="searching for images is not supported"),
            line("load", "", status=1, err="invalid archive", stdin=b"no archive at all" * 99),
            line("import -m why - imported:1", f"sha256:{ID}", stdin=layer(Entry("file", b"x"))),
            line("run --rm imported:1 /file", "", status=126, err="permission denied"),
            line("rmi imported:1", "Untagged: imported:1\nDeleted: .*"),
            line("image prune -f", "Total reclaimed space: 0B"),
        ]
    )


def test_volumes_are_made_listed_used_and_removed(shared: SharedMachine) -> None:
    shared.play(
        [
            line("volume create --label k=v vol1", "vol1"),
            line("volume create", ID),
            line("volume ls --filter label=k=v", "DRIVER +VOLUME NAME\nlocal +vol1"),
            line("volume inspect -f {{.Driver}}|{{.Labels}} vol1", r"local map\[k:v\]"),
            line("run --rm -v vol1:/v busybox sh -c echo|kept|>/v/file", ""),
            line("run --name user -v vol1:/v:ro -v /anonymous busybox cat /v/file", "kept"),
            line("volume rm vol1", "", status=1, err="volume is in use"),
            line("volume ls -q --filter dangling=true", ID),
            line("rm -v user", "user"),
            line("volume prune -f", f"Deleted Volumes:\n{ID}\n\nTotal reclaimed space: .*"),
            line("volume rm vol1", "vol1"),
            line("volume inspect vol1", r"\[\]", status=1, err="no such volume"),
            line("volume ls -q", ""),
        ]
    )


def test_the_system_as_a_whole(shared: SharedMachine) -> None:
    shared.done(
        "run", "--name", "ended", "-v", "data:/d", "busybox", "sh", "-c", "head -c 100000 /dev/zero > /d/x; echo > /y"
    )
    shared.done("network", "create", "unused")
    rows = (
        r"TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE\nImages +2 +1 .*\nContainers +1 +0 .*\nLocal Volumes +1 +1 +100kB .*"
    )
    shared.play(
        [
            line("system df", rows + r"\nBuild Cache +0 .*"),
            line("system df -v", r".*busybox +latest .* 1\n.*ended.*data +1 +100kB.*"),
            line(
                "info -f {{.Images}}|{{.ContainersStopped}}|{{.Driver}}|{{.DefaultRuntime}}",
                "2 1 overlay2 (?:runc|crun)",
            ),
            line("info", r".*Server:\n Containers: 1\n.*Runtimes: (?:runc|crun)\n.*"),
            line("version -f {{.Server.Version}}|{{.Server.APIVersion}}|{{.Server.MinAPIVersion}}", r"\S+ 1\.51 1\.24"),
            line("version", r"Client:.*Server: Linkspan\n.*API version: +1\.51 \(minimum version 1\.24\).*"),
            line("plugin ls", "ID +NAME +DESCRIPTION +ENABLED"),
            line("container prune -f", f"Deleted Containers:\n{ID}\n\nTotal reclaimed space: [0-9]+B"),
            line("network prune -f", "Deleted Networks:\nunused"),
            line("volume prune -f --filter all=1", "Deleted Volumes:\ndata\n\nTotal reclaimed space: 100kB"),
            line("system prune -f --volumes", "Total reclaimed space: 0B"),
        ]
    )
    shared.done("tag", "busybox", "kept:1")
    pruned = shared.done("system", "prune", "-af", "--volumes")
    assert re.search(r"untagged: kept:1.*deleted: sha256:.*Total reclaimed space: [0-9.]+MB", pruned, re.DOTALL)
    assert shared.done("images", "-q") == ""


def test_events_of_everything_since_until_and_filtered(shared: SharedMachine) -> None:
    shared.done("import", "-", "ev:1", stdin=_busybox(shared))
    began = shared.run("date", "+%s.%N").out
    shared.done("network", "create", "events")
    shared.done(
        "run", "-d", "--name", "ev", "--network", "events", "-v", "evdata:/d", "ev:1", "/bin/busybox", "sleep", "99"
    )
    shared.done("exec", "ev", "/bin/busybox", "true")
    shared.done("rename", "ev", "ev2")
    shared.done("rm", "-f", "ev2")
    shared.done("network", "rm", "events")
    shared.done("volume", "rm", "evdata")
    shared.done("rmi", "ev:1")
    window = ("events", "--since", began, "--until", "-1s")
    told = shared.done(*window, "--format", "{{.Type}} {{.Action}}").splitlines()
    assert told == [
        "network create",
        "volume create",
        "container create",
        "network connect",
        "volume mount",
        "container start",
        "container exec_create: /bin/busybox true",
        "container exec_start: /bin/busybox true",
        "container exec_die",
        "container rename",
        "container kill",
        "network disconnect",
        "volume unmount",
        "container die",
        "container destroy",
        "network destroy",
        "volume destroy",
        "image untag",
        "image delete",
    ]
    shown = ("--format", "{{.Action}}")
    assert shared.done(*window, *shown, "--filter", "type=volume").splitlines() == [
        "create",
        "mount",
        "unmount",
        "destroy",
    ]
    assert shared.done(*window, *shown, "--filter", "event=die") == "die"
    died = shared.done(*window, "--filter", "event=die", "--format", "{{json .Actor.Attributes}}")
    assert re.fullmatch(r'\{"execDuration":"\d+","exitCode":"137","image":"ev:1","name":"ev2"\}', died)
    assert shared.done(*window, *shown, "--filter", "container=ev2").splitlines()[-1] == "destroy"
    assert shared.done("events", "--since", began, "--until", began, *shown) == ""


def _busybox(shared: SharedMachine) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add("/bin/busybox", "bin/busybox")
    return buffer.getvalue()
