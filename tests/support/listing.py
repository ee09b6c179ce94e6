"""A machine as its own programs list it, without a word of ours: what `ip`, `nft`, `iptables-save` and `ss` say.

Left out is what differs between two makings of the same thing: numbers of links and rules, counters, the order of
elements in a set, link-local addresses and what the kernel derives from others.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Listing = dict[str, list[str]]

_LINKS = "printf 'link\\naddress\\nroute\\n' | ip -j -d -b -; ip -j -6 route"
_RULES = {False: "nft -s -j list ruleset", True: "iptables-save; ip6tables-save"}


def listing(namespace: Path, exec_root: Path, *, iptables: bool = False) -> Listing:
    """Links, addresses, routes, rules and bound ports of the machine; pins, mounts and what is in the sandboxes."""
    network, ports, saved = _run(namespace, f"{_LINKS}; echo ---; ss -Hlntu; echo ---; {_RULES[iptables]}").split("---")
    found = _network("machine", network)
    found["ports"] = sorted(" ".join((line.split()[0], line.split()[4])) for line in ports.splitlines() if line)
    if iptables:
        found["iptables"] = list(_saved(saved))
    else:
        found["nftables"] = sorted(_rules(json.loads(saved)["nftables"]))
    directory = exec_root / "netns"
    pins = sorted(directory.iterdir()) if directory.is_dir() else []
    found["pins"] = [pin.name for pin in pins]
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    found["mounts"] = sorted(mount for mount in mounts if mount.startswith(f"{exec_root}/"))
    for pin in pins:
        if str(pin) in mounts:
            found |= _network(pin.name, _run(pin, _LINKS))
    return found


def _run(namespace: Path, script: str) -> str:
    command = ["nsenter", f"--net={namespace}", "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _network(where: str, text: str) -> Listing:
    links, addresses, *routes = (json.loads(line) for line in text.splitlines() if line.strip())
    return {
        f"links of {where}": sorted(map(_link, links)),
        f"addresses of {where}": sorted(line for link in addresses for line in _addresses(link)),
        f"routes of {where}": sorted(line for listed in routes for line in _routes(listed)),
    }


def _link(link: dict[str, Any]) -> str:
    info = link.get("linkinfo", {})
    port = info.get("info_slave_data", {})
    told = {
        "name": link["ifname"],
        "up": "UP" in link["flags"],
        "mtu": link["mtu"],
        "mac": link["address"],
        "alias": link.get("ifalias"),
        "master": link.get("master"),
        "group": link.get("group"),
        "kind": info.get("info_kind"),
        "stp": info.get("info_data", {}).get("stp_state"),
        "hairpin": port.get("hairpin"),
        "isolated": port.get("isolated"),
        "elsewhere": "link_netnsid" in link,
    }
    if info.get("info_kind") == "veth" and link.get("master"):
        del told["mac"]  # the host's end has a random one
    return json.dumps(told)


def _addresses(link: dict[str, Any]) -> Iterator[str]:
    for address in link["addr_info"]:
        if address["scope"] != "link":
            flags = [flag for flag in ("nodad", "dynamic", "tentative", "deprecated") if address.get(flag)]
            shown = f"{address['local']}/{address['prefixlen']} {address.get('broadcast', '')} {flags}"
            yield f"{link.get('ifname')}: {shown} protocol {address.get('protocol')}"


def _routes(routes: list[dict[str, Any]]) -> Iterator[str]:
    for route in routes:
        if not route["dst"].startswith(("fe80", "ff00", "multicast")):
            yield " ".join(str(route.get(key)) for key in ("dst", "gateway", "dev", "protocol", "metric"))


def _saved(text: str) -> Iterator[str]:
    """Chains and rules in their order, each with its table; a table that is there and empty is no difference."""
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line
        elif line.startswith(("-A", ":")) and not re.match(r":[A-Z]+ ACCEPT", line):
            yield f"{table} {line.split(' [')[0]}"


def _rules(objects: list[dict[str, Any]]) -> Iterator[str]:
    for item in objects:
        (kind, what), *_ = item.items()
        if kind == "metainfo":
            continue
        what.pop("handle", None)
        if "elem" in what:
            what["elem"] = sorted(json.dumps(element) for element in what["elem"])
        yield f"{kind} {json.dumps(what)}"
