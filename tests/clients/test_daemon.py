"""The daemon as a program: what it refuses, what signals do, and how it is reached."""

import json
import signal

import pytest

from tests.clients.machine import DockerMachine


async def test_another_daemon_on_the_same_roots_is_refused_in_one_line(machine: DockerMachine) -> None:
    await machine.serve()
    other = machine.command("--pidfile", str(machine.root / "pid2"))
    other[other.index(f"unix://{machine.socket}")] = f"unix://{machine.root}/other.sock"
    refused = await machine.run(*other)
    assert refused.status == 1 and "Traceback" not in refused.err and len(refused.err.splitlines()) == 1
    assert f"data root {machine.root / 'data'} is in use by another engine" in refused.err


async def test_another_daemon_on_the_same_bridge_is_told_whose_it_is_and_what_to_do(machine: DockerMachine) -> None:
    await machine.serve()
    roots = ["--data-root", str(machine.root / "data2"), "--exec-root", str(machine.root / "exec2")]
    files = ["--pidfile", str(machine.root / "pid2"), "-H", f"unix://{machine.root}/other.sock"]
    base = machine.command()[:3]
    refused = await machine.run(*base, *roots, *files)
    assert refused.status == 1 and len(refused.err.splitlines()) == 1
    assert "docker0 exists and belongs to someone else" in refused.err and "another bridge name" in refused.err
    assert not (machine.root / "other.sock").exists() and not (machine.root / "pid2").exists()


@pytest.mark.parametrize(
    "flags", [["--mtu=9"], ["--bip=10.0.0.0"], ["-H", "tcp://127.0.0.1:1"], ["--config-file", "/nosuch"]]
)
async def test_settings_that_cannot_be_end_it_with_one_sentence(flags: list[str], machine: DockerMachine) -> None:
    refused = await machine.run(*machine.command(*flags))
    assert refused.status == 1 and refused.err.startswith("linkspan daemon: ") and len(refused.err.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_and_leaves_the_network(number: signal.Signals, machine: DockerMachine) -> None:
    daemon = await machine.serve()
    daemon.signal(number)
    assert await daemon.told() == "STOPPING=1"
    assert await daemon.process.wait() == 0
    assert await machine.site.succeeds("ip", "link", "show", "docker0")


async def test_sighup_takes_over_what_can_change(machine: DockerMachine) -> None:
    file = machine.root / "daemon.json"
    file.write_text(json.dumps({"debug": False}))
    daemon = await machine.serve("--config-file", str(file))
    assert (await machine.docker("info", "-f", "{{.Debug}}")).out == "false"
    options = {"bridge": {"com.docker.network.driver.mtu": "1400"}}
    file.write_text(json.dumps({"debug": True, "mtu": 1300, "default-network-opts": options}))
    daemon.signal(signal.SIGHUP)
    assert (await daemon.told()).startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert await daemon.told() == "READY=1"
    assert (await machine.docker("info", "-f", "{{.Debug}}")).out == "true"
    await machine.docker("network", "create", "n1")
    assert (await machine.docker("network", "inspect", "n1")).json[0]["Options"] == options["bridge"]
    assert "mtu has changed: it takes effect when the daemon is started again" in machine.log()


async def test_a_bad_file_changes_nothing_at_sighup(machine: DockerMachine) -> None:
    file = machine.root / "daemon.json"
    file.write_text("{}")
    daemon = await machine.serve("--config-file", str(file))
    file.write_text("{")
    daemon.signal(signal.SIGHUP)
    assert (await daemon.told()).startswith("RELOADING=1")
    assert await daemon.told() == "READY=1"
    assert (await machine.docker("version")).status == 0 and "configuration not reloaded" in machine.log()


async def test_a_socket_is_inherited_from_the_supervisor(machine: DockerMachine) -> None:
    script = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
        "os.dup2(s.fileno(), 3); os.set_inheritable(3, True);"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[2], sys.argv[2:])"
    )
    python = machine.command()[0]
    given = machine.root / "given.sock"
    daemon = await machine.serve("-H", "fd://", prefix=(python, "-c", script, str(given)))
    reply = await machine.run("curl", "-s", "--unix-socket", str(given), "http://api/_ping")
    assert reply.out == "OK" and daemon.process.returncode is None


@pytest.mark.slow
async def test_tcp_is_for_clients_with_a_certificate(machine: DockerMachine) -> None:
    for argv in certificates():
        made = await machine.run("sh", "-c", f"cd {machine.root} && {argv}")
        assert made.status == 0, made.err
    files = [f"--tls{name}={machine.root}/{name}.pem" for name in ("cacert", "cert", "key")]
    await machine.serve("-H", "tcp://127.0.0.1:2376", "--tlsverify", *files)
    address = ("-H", "tcp://127.0.0.1:2376")
    trusted = [
        f"--tls{name}={machine.root}/{file}.pem" for name, file in (("cacert", "cacert"), ("cert", "c"), ("key", "ck"))
    ]
    allowed = await machine.run("docker", *address, "--tlsverify", *trusted, "network", "ls", "-q")
    assert allowed.status == 0 and len(allowed.out.split()) == 3
    unknown = await machine.run("curl", "-sk", "https://127.0.0.1:2376/version")
    assert unknown.status != 0 and not unknown.out


def certificates() -> list[str]:
    """An authority, a server's certificate and a client's."""
    new = "openssl req -newkey rsa:2048 -nodes -subj /CN"
    sign = "openssl x509 -req -days 1 -CA cacert.pem -CAkey cakey.pem -CAcreateserial"
    names = "printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth\\n' > names"
    return [
        f"{new}=ca -x509 -days 1 -keyout cakey.pem -out cacert.pem",
        names,
        f"{new}=127.0.0.1 -keyout key.pem -out s.csr && {sign} -extfile names -in s.csr -out cert.pem",
        f"{new}=client -keyout ck.pem -out c.csr && {sign} -extfile names -in c.csr -out c.pem",
    ]


@pytest.mark.slow
async def test_it_ends_in_time_although_a_request_takes_long(machine: DockerMachine) -> None:
    daemon = await machine.serve()
    await machine.create("c1", "sh", "-c", "trap '' TERM; echo ready; while true; do sleep 1; done")
    await machine.docker("start", "c1")
    following = await machine.start_docker("logs", "-f", "c1")
    assert following.stdout is not None and await following.stdout.readline() == b"ready\n"
    stopping = await machine.start_docker("stop", "-t", "1000", "c1")
    kills = await machine.start_docker("events", "--since", "1m", "--filter", "event=kill", "--format", "{{.Action}}")
    assert kills.stdout is not None and await kills.stdout.readline() == b"kill\n"
    assert await daemon.end() == 0
    assert await following.wait() is not None and await stopping.wait() == 1
    await machine.serve()
    assert (await machine.docker("ps", "-q")).out != ""
