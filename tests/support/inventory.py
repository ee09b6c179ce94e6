"""What the machine holds of containers and networks, against what the daemon answers: a word for each difference.

Looked at from outside: links, ports and rules as `ip`, `ss` and `nft` list them, mounts and processes by /proc, control
groups and directories by their names, and the database as any program reads it.
"""

import json
import sqlite3
import subprocess
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

from tests.support.container_hosts import CGROUPS, names, users_of

Json: TypeAlias = dict[str, Any]
Pairs: TypeAlias = Mapping[str, tuple[set[str], set[str]]]
"""By what is compared: what was found, and what is wanted."""
_LISTS = "ip -j -d link; echo; echo ---; ss -Hlntu; echo ---; nft -j list table inet linkspan"
_SHORT = 12


@dataclass(frozen=True)
class Answers:
    """What the daemon says: inspected containers and networks."""

    containers: list[Json]
    networks: list[Json]

    @property
    def running(self) -> dict[str, Json]:
        """The containers that run, by id."""
        return {each["Id"]: each for each in self.containers if each["State"]["Running"]}

    def sandboxes(self) -> set[str]:
        """The ids of the sandboxes there have to be: of what runs, and of what lends its network to what runs."""
        lenders = {mode.partition(":")[2] for mode in map(mode_of, self.running.values()) if is_shared(mode)}
        return {*self.running, *lenders}

    def published(self) -> set[str]:
        """Protocol and host port of everything that is published."""
        found = [each["NetworkSettings"]["Ports"] for each in self.running.values()]
        return {
            f"{port.partition('/')[2]} {binding['HostPort']}"
            for ports in found
            for port, bindings in ports.items()
            for binding in bindings or ()
        }

    def endpoints(self) -> set[str]:
        """The ids of the endpoints of what runs."""
        found = [each["NetworkSettings"]["Networks"].values() for each in self.running.values()]
        return {endpoint["EndpointID"] for endpoints in found for endpoint in endpoints if endpoint["EndpointID"]}

    def bridges(self) -> set[str]:
        """The names of the bridges of the networks."""
        return {
            each["Options"].get("com.docker.network.bridge.name", f"br-{each['Id'][:_SHORT]}")
            for each in self.networks
            if each["Driver"] == "bridge"
        }


def mode_of(container: Json) -> str:
    mode: str = container["HostConfig"]["NetworkMode"]
    return mode


def is_shared(mode: str) -> bool:
    return mode.startswith("container:")


@dataclass(frozen=True)
class Memory:
    """The documents of the database by id."""

    containers: Mapping[str, Json]
    networks: Mapping[str, Json]
    sandboxes: Mapping[str, Json]

    @classmethod
    def read(cls, path: Path) -> "Memory":
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            rows = [database.execute(f"SELECT id, document FROM {each.name}").fetchall() for each in fields(cls)]
        finally:
            database.close()
        return cls(*({id: json.loads(document) for id, document in table} for table in rows))

    def endpoints(self, of: Set[str] | None = None) -> set[str]:
        """The ids of endpoints, of some sandboxes or of all."""
        return {each["id"] for sandbox in self._chosen(of) for each in sandbox["endpoints"]}

    def published(self, of: Set[str] | None = None) -> set[str]:
        """Protocol and host port of what is published, of some sandboxes or of all."""
        return {
            f"{each['protocol']} {each['host']['first']}" for sandbox in self._chosen(of) for each in sandbox["ports"]
        }

    def _chosen(self, of: Set[str] | None) -> list[Json]:
        return [sandbox for id, sandbox in self.sandboxes.items() if of is None or id in of]


class Inventory:
    """The machine of a daemon, and the directories it works in."""

    def __init__(self, namespace: Path, data_root: Path, exec_root: Path) -> None:
        self._namespace = namespace
        self._data_root = data_root
        self._exec_root = exec_root

    def differences(self, answers: Answers, known: Set[str]) -> list[str]:
        """Everything that is left over or missing. Control groups are looked for by the `known` ids."""
        memory = Memory.read(self._data_root / "state.db")
        pairs = {
            **self._files(answers, memory, known),
            **_remembered(answers, memory),
            **self._network(answers, memory),
        }
        return [
            f"{what}: {kind} {item}"
            for what, (found, wanted) in pairs.items()
            for kind, items in (("left over", found - wanted), ("missing", wanted - found))
            for item in sorted(items)
        ]

    def _files(self, answers: Answers, memory: Memory, known: Set[str]) -> Pairs:
        running, bundles, netns = set(answers.running), self._exec_root / "containers", self._exec_root / "netns"
        mounted = [Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        groups = {name for root in (CGROUPS, *CGROUPS.iterdir()) for name in names(root / "linkspan")}
        data = set(names(self._data_root / "containers"))
        pins = {id[:_SHORT] for id, sandbox in memory.sandboxes.items() if sandbox["mode"] == "bridge"}
        return {
            "bundle": (set(names(bundles)), running),
            "directory of the runtime": (set(names(self._exec_root / "runtime")), running),
            "process": (set(users_of(bundles)), running),
            "mount": ({path.parent.name for path in mounted if path.is_relative_to(bundles)}, running),
            "control group": (groups & known, running),
            "data": (data, data & {each["Id"] for each in answers.containers}),
            "pin": (set(names(netns)), pins),
            "namespace": ({path.name for path in mounted if path.parent == netns}, pins),
        }

    def _network(self, answers: Answers, memory: Memory) -> Pairs:
        command = ["nsenter", f"--net={self._namespace}", "sh", "-c", _LISTS]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        listed, ports, rules = said.split("---\n")
        links, elements = json.loads(listed), dict(_elements(json.loads(rules)["nftables"]))
        bridges = {link["ifname"] for link in links if link.get("linkinfo", {}).get("info_kind") == "bridge"}
        bound = [line.split() for line in ports.splitlines()]
        return {
            "bridge": (bridges, answers.bridges()),
            "bridge in the rules": (set(elements["bridges"]), answers.bridges()),
            "port of a bridge": (
                {link["ifname"] for link in links if link.get("master") in bridges},
                {f"veth{id[:7]}" for id in memory.endpoints()},
            ),
            "bound port": ({f"{words[0]} {words[4].rpartition(':')[2]}" for words in bound}, memory.published()),
            "port in the rules": (
                {" ".join(map(str, key["concat"])) for key in elements["anyports4"]},
                memory.published(),
            ),
        }


def _remembered(answers: Answers, memory: Memory) -> Pairs:
    """What is answered and what is in the database."""
    names = {each["Id"]: each["Name"] for each in answers.networks}
    is_on = {
        f"{id} {names[endpoint['network']]}"
        for id, sandbox in memory.sandboxes.items()
        if id in memory.containers  # a sandbox that is lent outlives the removal of its container
        for endpoint in sandbox["endpoints"]
    }
    joins = {
        f"{id} {endpoint['network']}"
        for id, container in memory.containers.items()
        if id in memory.sandboxes
        for endpoint in container["wanted"]["endpoints"]
    }
    return {
        "remembered container": (
            {f"{id} {document['state']['status']}" for id, document in memory.containers.items()},
            {f"{each['Id']} {each['State']['Status']}" for each in answers.containers},
        ),
        "remembered network": (set(memory.networks), set(names)),
        "remembered sandbox": (set(memory.sandboxes), answers.sandboxes()),
        "endpoint": (memory.endpoints(set(answers.running)), answers.endpoints()),
        "answered port": (memory.published(set(answers.running)), answers.published()),
        "membership after the next start": (joins, is_on),
    }


def _elements(objects: Iterable[Json]) -> Iterable[tuple[str, list[Any]]]:
    """The elements of each set and map; of a map, the keys."""
    for item in objects:
        for kind, what in item.items():
            if kind in ("set", "map"):
                yield what["name"], [_key(element) for element in what.get("elem", ())]


def _key(element: Any) -> Any:
    key = element[0] if isinstance(element, list) else element
    return key["elem"]["val"] if isinstance(key, dict) and "elem" in key else key
