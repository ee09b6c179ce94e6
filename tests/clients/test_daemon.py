"""The daemon as a program: what it refuses, what signals do, and how it is reached."""

import json
import signal

import pytest

from tests.clients.harbour import Harbour


async def test_another_daemon_on_the_same_roots_is_refused_in_one_line(harbour: Harbour) -> None:
    await harbour.serve()
    other = harbour.command("--pidfile", str(harbour.root / "pid2"))
    other[other.index(f"unix://{harbour.socket}")] = f"unix://{harbour.root}/other.sock"
    refused = await harbour.run(*other)
    assert refused.status == 1 and "Traceback" not in refused.err and len(refused.err.splitlines()) == 1
    assert f"data root {harbour.root / 'data'} is in use by another engine" in refused.err


async def test_another_daemon_on_the_same_bridge_is_told_whose_it_is_and_what_to_do(harbour: Harbour) -> None:
    await harbour.serve()
    roots = ["--data-root", str(harbour.root / "data2"), "--exec-root", str(harbour.root / "exec2")]
    files = ["--pidfile", str(harbour.root / "pid2"), "-H", f"unix://{harbour.root}/other.sock"]
    base = harbour.command()[:3]
    refused = await harbour.run(*base, *roots, *files)
    assert refused.status == 1 and len(refused.err.splitlines()) == 1
    assert "docker0 exists and belongs to someone else" in refused.err and "another bridge name" in refused.err
    assert not (harbour.root / "other.sock").exists() and not (harbour.root / "pid2").exists()


@pytest.mark.parametrize(
    "flags", [["--mtu=9"], ["--bip=10.0.0.0"], ["-H", "tcp://127.0.0.1:1"], ["--config-file", "/nosuch"]]
)
async def test_settings_that_cannot_be_end_it_with_one_sentence(flags: list[str], harbour: Harbour) -> None:
    refused = await harbour.run(*harbour.command(*flags))
    assert refused.status == 1 and refused.err.startswith("linkspan daemon: ") and len(refused.err.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_and_leaves_the_network(number: signal.Signals, harbour: Harbour) -> None:
    daemon = await harbour.serve()
    daemon.signal(number)
    assert await daemon.told() == "STOPPING=1"
    assert await daemon.process.wait() == 0
    assert await harbour.machine.succeeds("ip", "link", "show", "docker0")


async def test_sighup_takes_over_what_can_change(harbour: Harbour) -> None:
    file = harbour.root / "daemon.json"
    file.write_text(json.dumps({"debug": False}))
    daemon = await harbour.serve("--config-file", str(file))
    assert (await harbour.docker("info", "-f", "{{.Debug}}")).out == "false"
    options = {"bridge": {"com.docker.network.driver.mtu": "1400"}}
    file.write_text(json.dumps({"debug": True, "mtu": 1300, "default-network-opts": options}))
    daemon.signal(signal.SIGHUP)
    assert (await daemon.told()).startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert await daemon.told() == "READY=1"
    assert (await harbour.docker("info", "-f", "{{.Debug}}")).out == "true"
    await harbour.docker("network", "create", "n1")
    assert (await harbour.docker("network", "inspect", "n1")).json[0]["Options"] == options["bridge"]
    assert "mtu has changed: it takes effect when the daemon is started again" in harbour.log()


async def test_a_bad_file_changes_nothing_at_sighup(harbour: Harbour) -> None:
    file = harbour.root / "daemon.json"
    file.write_text("{}")
    daemon = await harbour.serve("--config-file", str(file))
    file.write_text("{")
    daemon.signal(signal.SIGHUP)
    assert (await daemon.told()).startswith("RELOADING=1")
    assert await daemon.told() == "READY=1"
    assert (await harbour.docker("version")).status == 0 and "configuration not reloaded" in harbour.log()


async def test_a_socket_is_inherited_from_the_supervisor(harbour: Harbour) -> None:
    script = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
        "os.dup2(s.fileno(), 3); os.set_inheritable(3, True);"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[2], sys.argv[2:])"
    )
    python = harbour.command()[0]
    given = harbour.root / "given.sock"
    daemon = await harbour.serve("-H", "fd://", prefix=(python, "-c", script, str(given)))
    reply = await harbour.run("curl", "-s", "--unix-socket", str(given), "http://api/_ping")
    assert reply.out == "OK" and daemon.process.returncode is None


@pytest.mark.slow
async def test_tcp_is_for_clients_with_a_certificate(harbour: Harbour) -> None:
    for argv in certificates():
        made = await harbour.run("sh", "-c", f"cd {harbour.root} && {argv}")
        assert made.status == 0, made.err
    files = [f"--tls{name}={harbour.root}/{name}.pem" for name in ("cacert", "cert", "key")]
    await harbour.serve("-H", "tcp://127.0.0.1:2376", "--tlsverify", *files)
    address = ("-H", "tcp://127.0.0.1:2376")
    trusted = [
        f"--tls{name}={harbour.root}/{file}.pem" for name, file in (("cacert", "cacert"), ("cert", "c"), ("key", "ck"))
    ]
    allowed = await harbour.run("docker", *address, "--tlsverify", *trusted, "network", "ls", "-q")
    assert allowed.status == 0 and len(allowed.out.split()) == 3
    unknown = await harbour.run("curl", "-sk", "https://127.0.0.1:2376/version")
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
async def test_it_ends_in_time_although_a_request_takes_long(harbour: Harbour) -> None:
    daemon = await harbour.serve()
    await harbour.create("c1", "sh", "-c", "trap '' TERM; echo ready; while true; do sleep 1; done")
    await harbour.docker("start", "c1")
    following = await harbour.start_docker("logs", "-f", "c1")
    assert following.stdout is not None and await following.stdout.readline() == b"ready\n"
    stopping = await harbour.start_docker("stop", "-t", "1000", "c1")
    kills = await harbour.start_docker("events", "--since", "1m", "--filter", "event=kill", "--format", "{{.Action}}")
    assert kills.stdout is not None and await kills.stdout.readline() == b"kill\n"
    assert await daemon.end() == 0
    assert await following.wait() is not None and await stopping.wait() == 1
    await harbour.serve()
    assert (await harbour.docker("ps", "-q")).out != ""
