"""What Compose v2 (2.40) asks of an engine, in the order and the shape in which it does; its program is not here."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.clients.shared import SharedMachine

pytestmark = pytest.mark.slow

PROJECT = {"com.docker.compose.project": "p"}
FILTER = quote(json.dumps({"label": {"com.docker.compose.project=p": True}}))


class Api:
    """The newest version, as Compose speaks it."""

    def __init__(self, shared: SharedMachine) -> None:
        self._shared = shared

    def ask(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        """The answer, decoded; its status has to be as expected."""
        curl = [
            "curl",
            "-s",
            "-g",
            "-X",
            method,
            "--unix-socket",
            str(self._shared.machine.socket),
            "-w",
            "\n%{http_code}",
        ]
        sent = ["-H", "Content-Type: application/json", "-d", json.dumps(body)] if body is not None else []
        text, _, code = self._shared.run(*curl, *sent, f"http://api/v1.51{path}").out.rpartition("\n")
        assert code == str(status), (method, path, code, text)
        return json.loads(text) if text.strip() else None


def endpoint(*aliases: str, **fields: object) -> dict[str, object]:
    """An endpoint as Compose fills it in: what nobody set is an empty text."""
    empty = dict.fromkeys(("NetworkID", "EndpointID", "Gateway", "IPAddress", "MacAddress", "IPv6Gateway"), "")
    return {
        "IPAMConfig": {},
        "Links": None,
        "Aliases": list(aliases),
        "DriverOpts": None,
        "GwPriority": 0,
        **empty,
        "GlobalIPv6Address": "",
        "IPPrefixLen": 0,
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
        **fields,
    }


def service(name: str, *networks: str, **host: object) -> dict[str, object]:
    """The body that creates a service's container, on all its networks at once."""
    return {
        "Image": "busybox",
        "Cmd": ["sleep", "1000"],
        "Labels": {**PROJECT, "com.docker.compose.service": name, "com.docker.compose.oneoff": "False"},
        "StopSignal": "SIGKILL",
        "HostConfig": {
            "NetworkMode": networks[0],
            "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
            "Mounts": [],
            "Binds": None,
            **host,
        },
        "NetworkingConfig": {
            "EndpointsConfig": {
                each: endpoint(f"p-{name}-1", name, GwPriority=int(each == "p_back")) for each in networks
            }
        },
    }


def test_up_and_down_by_the_calls_of_compose(shared: SharedMachine) -> None:
    api = Api(shared)
    assert api.ask("GET", "/info")["Swarm"]["LocalNodeState"] == "inactive"
    for network in ("p_front", "p_back"):
        api.ask("GET", f"/networks/{network}", status=404)
        labels = {**PROJECT, "com.docker.compose.network": network[2:], "com.docker.compose.config-hash": "x"}
        body = {"Name": network, "Driver": "", "EnableIPv4": None, "EnableIPv6": None, "IPAM": None, "Labels": labels}
        api.ask("POST", "/networks/create", body, 201)
        assert api.ask("GET", f"/networks/{network}")["Labels"] == labels
    api.ask("GET", "/volumes/p_data", status=404)
    api.ask("POST", "/volumes/create", {"Name": "p_data", "Labels": PROJECT, "Driver": "", "DriverOpts": None}, 201)
    api.ask("GET", "/images/busybox/json")
    mount = {"Type": "volume", "Source": "p_data", "Target": "/data", "VolumeOptions": {}}
    api.ask("POST", "/containers/create?name=p-db-1", service("db", "p_back", Mounts=[mount]), 201)
    web = api.ask("POST", "/containers/create?name=p-web-1", service("web", "p_front", "p_back"), 201)
    assert web["Warnings"] == []
    for name in ("db", "web"):
        api.ask("POST", f"/containers/p-{name}-1/start", status=204)
    found = api.ask("GET", "/containers/p-web-1/json")["NetworkSettings"]["Networks"]
    assert set(found) == {"p_front", "p_back"} and found["p_back"]["GwPriority"] == 1
    assert set(found["p_back"]["Aliases"]) >= {"web", "p-web-1"} and found["p_front"]["IPAddress"]
    route = shared.done("exec", "p-web-1", "sh", "-c", "ip route | grep default")
    assert found["p_back"]["Gateway"] in route, "the network with the highest priority has the default route"
    assert shared.done("exec", "p-web-1", "busybox", "nslookup", "db").count("Address") == 2
    listed = api.ask("GET", f"/containers/json?all=1&filters={FILTER}")
    assert {item["Names"][0] for item in listed} == {"/p-db-1", "/p-web-1"}
    _recreate(api)
    for name in ("web", "db"):
        api.ask("POST", f"/containers/p-{name}-1/stop?t=0", status=204)
        api.ask("DELETE", f"/containers/p-{name}-1?v=1&force=1", status=204)
    for network in ("p_front", "p_back"):
        assert api.ask("GET", f"/networks/{network}")["Containers"] == {}
        api.ask("DELETE", f"/networks/{network}", status=204)
    api.ask("DELETE", "/volumes/p_data?force=1", status=204)


def _recreate(api: Api) -> None:
    """A container is made anew beside the old one, which then goes, and takes its name."""
    body = service("db", "p_back")
    new = api.ask("POST", "/containers/create?name=tmp_p-db-1", body, 201)["Id"]
    api.ask("POST", "/containers/p-db-1/stop", status=204)
    api.ask("DELETE", "/containers/p-db-1", status=204)
    api.ask("POST", f"/containers/{new}/rename?name=p-db-1", status=204)
    api.ask("POST", f"/containers/{new}/start", status=204)
    assert api.ask("GET", f"/containers/{new}/json")["Name"] == "/p-db-1"
    assert api.ask("GET", f"/containers/{new}/top")["Processes"][0][-1] == "sleep 1000"
