"""docker-py 7, as it is."""

import io
import json
import re
import tarfile
import time
from collections.abc import Iterator
from typing import Any

import docker  # type: ignore[import-untyped]
import pytest
from docker.errors import APIError, BuildError, ContainerError, ImageNotFound, NotFound  # type: ignore[import-untyped]
from docker.types import Healthcheck, IPAMConfig, IPAMPool, LogConfig, Mount  # type: ignore[import-untyped]

from tests.clients.shared import SharedMachine
from tests.support.images import archive, busybox

pytestmark = [
    pytest.mark.slow,
    # docker-py leaves sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def client(shared: SharedMachine) -> Iterator[Any]:
    """A client that has asked for the version, and sees what the daemon's machine sees."""
    found = docker.DockerClient(base_url=f"unix://{shared.machine.socket}", version="auto", timeout=30)
    yield found
    found.close()


@pytest.fixture
def sleeper(client: Any) -> Iterator[Any]:
    """A container that runs."""
    container = client.containers.run("busybox", ["sleep", "1000"], detach=True, name="sleeper", labels={"k": "v"})
    yield container
    container.remove(force=True, v=True)


def packed(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_the_engine_answers_and_describes_itself(client: Any) -> None:
    assert client.ping() is True
    assert client.version()["Platform"]["Name"] == "Linkspan" and client.api.api_version == "1.51"
    info = client.info()
    assert info["OSType"] == "linux" and info["Images"] >= 2 and info["Swarm"]["LocalNodeState"] == "inactive"
    usage = client.df()
    assert {item["RepoTags"][0] for item in usage["Images"]} >= {"busybox:latest", "nginx:latest"}


def test_run_gives_output_and_raises_with_the_exit_status(client: Any) -> None:
    assert client.containers.run("busybox", "echo said", remove=True) == b"said\n"
    assert client.containers.run("busybox", ["sh", "-c", "echo err >&2"], remove=True, stderr=True) == b"err\n"
    with pytest.raises(ContainerError) as failed:
        client.containers.run("busybox", ["sh", "-c", "echo why >&2; exit 3"], remove=True)
    assert failed.value.exit_status == 3 and failed.value.stderr == b"why\n"
    assert not client.containers.list(all=True)


def test_what_is_not_there_is_not_found(client: Any) -> None:
    with pytest.raises(NotFound, match="No such container: nosuch"):
        client.containers.get("nosuch")
    with pytest.raises(ImageNotFound, match="No such image: nosuch:latest"):
        client.images.get("nosuch")
    with pytest.raises(NotFound, match="network nosuch not found"):
        client.networks.get("nosuch")
    with pytest.raises(NotFound, match="no such volume"):
        client.volumes.get("nosuch")


def test_a_name_is_taken_once(client: Any, sleeper: Any) -> None:
    with pytest.raises(APIError, match="Conflict") as refused:
        client.containers.create("busybox", name=sleeper.name)
    assert refused.value.status_code == 409


def test_every_setting_of_create_is_taken(client: Any, shared: SharedMachine) -> None:
    (shared.root / "shared").mkdir()
    volume = Mount("/v", "pyvolume", type="volume")
    container = client.containers.create(
        "busybox",
        ["sh", "-c", "sleep 1000"],
        cap_drop=["ALL"],
        detach=True,
        dns=["192.0.2.53"],
        environment={"A": "b"},
        extra_hosts={"db": "10.1.2.3"},
        healthcheck=Healthcheck(test=["CMD", "true"], interval=10**9, retries=2),
        hostname="here",
        init=True,
        log_config=LogConfig(type=LogConfig.types.JSON),
        mem_limit="64m",
        mounts=[volume],
        ports={"80/tcp": 18091, "81/udp": ("127.0.0.1", 18092)},
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 3},
        stop_signal="SIGKILL",
        tmpfs={"/t": "size=1m"},
        ulimits=[docker.types.Ulimit(name="nofile", soft=64, hard=64)],
        user="1000",
        volumes={str(shared.root / "shared"): {"bind": "/s", "mode": "ro"}},
        working_dir="/tmp",
    )
    container.start()
    container.reload()
    host = container.attrs["HostConfig"]
    assert container.status == "running" and host["Memory"] == 64 << 20
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert container.ports["80/tcp"][0] == {"HostIp": "0.0.0.0", "HostPort": "18091"}
    assert container.ports["81/udp"] == [{"HostIp": "127.0.0.1", "HostPort": "18092"}]
    assert {mount["Destination"]: mount["RW"] for mount in container.attrs["Mounts"]} == {"/v": True, "/s": False}
    said = container.exec_run(["sh", "-c", "hostname; pwd; id -u; echo $A; ulimit -n"]).output
    assert said == b"here\n/tmp\n1000\nb\n64\n"
    container.remove(force=True)
    client.volumes.get("pyvolume").remove()


def test_exec_has_streams_status_and_sockets(sleeper: Any) -> None:
    assert sleeper.exec_run("echo inside") == (0, b"inside\n")
    assert sleeper.exec_run(["sh", "-c", "exit 5"]).exit_code == 5
    both = sleeper.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    assert both.output == (b"out\n", b"err\n")
    assert b"".join(sleeper.exec_run(["sh", "-c", "echo 1; echo 2"], stream=True).output) == b"1\n2\n"
    assert sleeper.exec_run("id -u", user="ann", environment={"A": "b"}, workdir="/tmp").output == b"1000\n"
    _, socket = sleeper.exec_run("cat", stdin=True, socket=True)
    raw = getattr(socket, "_sock", socket)
    raw.sendall(b"typed\n")
    assert raw.recv(8)[:4] == b"\x01\0\0\0" and raw.recv(64) == b"typed\n"
    socket.close()


def test_logs_are_read_whole_by_lines_and_followed(client: Any) -> None:
    script = ["sh", "-c", "for i in 1 2 3; do echo line $i; done; echo err >&2"]
    container = client.containers.run("busybox", script, detach=True)
    assert container.wait(timeout=30)["StatusCode"] == 0
    assert sorted(container.logs().splitlines()) == [b"err", b"line 1", b"line 2", b"line 3"]
    assert container.logs(stderr=False, tail=1) == b"line 3\n"
    assert list(container.logs(stream=True, follow=True, stderr=False)) == [b"line 1\n", b"line 2\n", b"line 3\n"]
    assert re.match(rb"\d{4}-\d\d-\d\dT\S+Z line 1\n", container.logs(stderr=False, timestamps=True))
    container.remove()


def test_attach_gives_what_is_written_from_then_on(client: Any) -> None:
    container = client.containers.create("busybox", ["sh", "-c", "read x; echo got $x"], stdin_open=True)
    socket = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    raw = getattr(socket, "_sock", socket)
    container.start()
    raw.sendall(b"it\n")
    assert container.wait(timeout=30)["StatusCode"] == 0
    assert raw.recv(8)[7] == 7 and raw.recv(64) == b"got it\n"
    assert container.attach(logs=True) == b"got it\n"
    socket.close()
    container.remove()


def test_stats_and_processes(sleeper: Any) -> None:
    once = sleeper.stats(stream=False)
    assert once["pids_stats"]["current"] >= 1 and once["memory_stats"]["usage"] > 0 and "eth0" in once["networks"]
    streamed = sleeper.stats(decode=True)
    assert next(streamed)["cpu_stats"]["cpu_usage"]["total_usage"] >= 0
    streamed.close()
    assert sleeper.top()["Processes"][0][-1] == "sleep 1000"


def test_files_go_in_and_out(sleeper: Any) -> None:
    assert sleeper.put_archive("/tmp", packed(sent=b"data"))
    pieces, stat = sleeper.get_archive("/tmp/sent")
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        found = tar.extractfile("sent")
        assert found is not None and found.read() == b"data" and stat["size"] == 4
    assert {"Path": "/tmp/sent", "Kind": 1} in sleeper.diff()
    with tarfile.open(fileobj=io.BytesIO(b"".join(sleeper.export()))) as tar:
        assert any(name.endswith("tmp/sent") for name in tar.getnames())
    with pytest.raises(NotFound):
        sleeper.get_archive("/nosuch")


def test_a_life_by_calls(client: Any, sleeper: Any) -> None:
    for call, status in ((sleeper.pause, "paused"), (sleeper.unpause, "running"), (sleeper.stop, "exited")):
        call(**({"timeout": 0} if status == "exited" else {}))
        sleeper.reload()
        assert sleeper.status == status
    sleeper.start()
    sleeper.restart(timeout=0)
    sleeper.rename("renamed")
    sleeper.update(mem_limit="32m", memswap_limit="32m")
    assert [each.name for each in client.containers.list(filters={"label": "k=v", "status": "running"})] == ["renamed"]
    sleeper.kill("KILL")
    assert sleeper.wait(condition="not-running", timeout=30)["StatusCode"] == 137
    image = sleeper.commit("committed", "1", message="why", changes=["CMD echo again"])
    assert client.containers.run("committed:1", remove=True) == b"again\n"
    client.images.remove(image.id, force=True)
    assert client.containers.prune(filters={"label": "k=nothing"})["ContainersDeleted"] is None


def test_networks(client: Any, sleeper: Any) -> None:
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet="10.91.0.0/24", gateway="10.91.0.1")])
    network = client.networks.create("pynet", driver="bridge", ipam=pool, labels={"k": "v"}, check_duplicate=True)
    network.connect(sleeper, aliases=["also"], ipv4_address="10.91.0.9")
    network.reload()
    assert [each.name for each in network.containers] == ["sleeper"]
    assert network.attrs["Containers"][sleeper.id]["IPv4Address"] == "10.91.0.9/24"
    assert (
        client.containers.run("busybox", "busybox nslookup also", network="pynet", remove=True).count(b"10.91.0.9") == 1
    )
    assert [each.id for each in client.networks.list(names=["pynet"], filters={"label": "k=v"})] == [network.id]
    with pytest.raises(APIError, match="has active endpoints"):
        network.remove()
    network.disconnect(sleeper)
    assert client.networks.prune(filters={"label": "k=v"}) == {"NetworksDeleted": ["pynet"]}


def test_volumes(client: Any) -> None:
    volume = client.volumes.create("pyvol", labels={"k": "v"})
    write = ["sh", "-c", "echo kept > /v/file"]
    client.containers.run("busybox", write, volumes={"pyvol": {"bind": "/v"}}, remove=True)
    assert client.containers.run("busybox", "cat /v/file", volumes=["pyvol:/v:ro"], remove=True) == b"kept\n"
    assert [each.name for each in client.volumes.list(filters={"label": "k=v"})] == ["pyvol"]
    volume.remove()
    assert client.volumes.prune(filters={"all": "true"})["SpaceReclaimed"] == 0


def test_images(client: Any) -> None:
    (loaded,) = client.images.load(archive([(busybox(config={"Cmd": ["echo", "loaded"]}), ["loaded:1"])]))
    assert loaded.tags == ["loaded:1"] and client.containers.run(loaded, remove=True) == b"loaded\n"
    assert loaded.tag("other", "2") is True
    assert [image.id for image in client.images.list("other")] == [loaded.id]
    assert client.images.get("other:2").history()[0]["Id"] == loaded.id
    saved = b"".join(loaded.save(named=True))
    assert json.loads(_member(saved, "manifest.json"))[0]["RepoTags"]
    client.images.remove("other:2")
    client.images.remove("loaded:1")
    imported = client.api.import_image_from_data(packed(file=b"1"), repository="imported", tag="1")
    assert "sha256:" in imported
    client.images.remove("imported:1")
    assert client.images.prune(filters={"dangling": True})["SpaceReclaimed"] == 0


def _member(data: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = tar.extractfile(name)
        assert found is not None
        return found.read()


def test_build(client: Any) -> None:
    text = b"FROM busybox\nARG WHO\nCOPY name /name\nRUN echo $WHO >> /name\nCMD cat /name\n"
    context = io.BytesIO(packed(Dockerfile=text, name=b"hello\n"))
    image, said = client.images.build(
        fileobj=context, custom_context=True, tag="pybuilt:1", buildargs={"WHO": "you"}, labels={"k": "v"}, rm=True
    )
    assert image.tags == ["pybuilt:1"] and image.labels == {"k": "v"}
    assert any("Step 1/" in message.get("stream", "") for message in said)
    assert client.containers.run("pybuilt:1", remove=True) == b"hello\nyou\n"
    with pytest.raises(BuildError, match="returned a non-zero code: 9"):
        client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 9\n"))
    client.images.remove("pybuilt:1")


def test_events_are_decoded_as_they_come_and_between_two_times(client: Any) -> None:
    began = time.time()
    stream = client.events(decode=True, filters={"type": "container"})
    client.containers.run("busybox", "true", name="seen", remove=True)
    seen = [next(stream) for _ in range(4)]
    stream.close()
    assert [event["Action"] for event in seen] == ["create", "start", "die", "destroy"]
    assert seen[2]["Actor"]["Attributes"]["exitCode"] == "0" and seen[0]["from"] == "busybox"
    past = list(client.events(decode=True, since=began, until=time.time(), filters={"event": "destroy"}))
    assert [event["Actor"]["Attributes"]["name"] for event in past] == ["seen"]
