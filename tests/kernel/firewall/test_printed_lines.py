"""The printed lines are what the engine does: a shell that runs them makes the same links and rules."""

import asyncio
import json
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from linkspan.kernel.firewall import Firewall as KernelFirewall
from linkspan.kernel.iptables import IptablesFirewall
from linkspan.kernel.linux import LinuxKernel
from linkspan.kernel.namespaces import Namespaces
from linkspan.kernel.nftables import NftablesFirewall
from linkspan.plan.firewall import Firewall
from linkspan.plan.iptables import Iptables
from linkspan.plan.nftables import Nftables
from linkspan.plan.objects import HostPort, KernelObject, Namespace
from linkspan.plan.operations import diff
from linkspan.plan.render import render
from tests.golden.scenarios import ENGINE, SCENARIOS, Scenario, objects

BACKENDS: dict[str, tuple[Firewall, Callable[[str], KernelFirewall]]] = {
    "nftables": (Nftables(), NftablesFirewall),
    "iptables": (Iptables(userland_proxy=True), IptablesFirewall),
    "iptables without the userland proxy": (Iptables(userland_proxy=False), IptablesFirewall),
}
RULES = ("nft list ruleset", "iptables-save", "ip6tables-save")


@contextmanager
def machine(tmp_path: Path) -> Iterator[Path]:
    """A namespace."""
    namespaces = Namespaces(tmp_path)
    name = uuid.uuid4().hex[:12]
    namespaces.create(name).close()
    try:
        yield namespaces.path(name)
    finally:
        namespaces.remove(name)


def shell(namespace: Path, script: str) -> str:
    argv = ["nsenter", f"--net={namespace}", "sh", "-e"]
    done = subprocess.run(argv, input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def links(namespace: Path) -> list[dict[str, Any]]:
    """Links and addresses, without what is chosen by chance or counts up."""
    found = []
    for link in json.loads(shell(namespace, "ip -details -json address show")):
        info = link.get("linkinfo", {})
        is_port = info.get("info_slave_kind") == "bridge"
        port = info.get("info_slave_data", {})
        found.append(
            {
                "name": link["ifname"],
                "up": "UP" in link["flags"],
                "mtu": link["mtu"],
                "mac": None if is_port else link["address"],
                "alias": link.get("ifalias"),
                "master": link.get("master"),
                "kind": info.get("info_kind"),
                "port": [port.get(name) for name in ("hairpin", "isolated")],
                "automatic": link.get("inet6_addr_gen_mode"),
                "stp": info.get("info_data", {}).get("stp_state"),
                "delay": info.get("info_data", {}).get("forward_delay"),
                "addresses": [
                    [address.get(name) for name in ("local", "prefixlen", "broadcast", "scope", "nodad")]
                    for address in link["addr_info"]
                ],
            }
        )
    return sorted(found, key=lambda link: str(link["name"]))


def routes(namespace: Path) -> list[str]:
    listed = shell(namespace, "ip route show; ip -6 route show")
    return sorted(line.strip().removesuffix(" linkdown") for line in listed.splitlines())


def rules(namespace: Path) -> list[str]:
    """All rules; what has passed them meanwhile, the kernel's own multicast for one, does not count."""
    listed = re.sub(r"packets \d+ bytes \d+|\[\d+:\d+\]", "", "".join(shell(namespace, command) for command in RULES))
    return [line for line in listed.splitlines() if not line.startswith("#")]


def settings(namespace: Path) -> str:
    names = "net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv6.conf.default.disable_ipv6"
    return shell(namespace, f"sysctl {names}; sysctl -a -r 'route_localnet|conf.eth.*disable_ipv6'")


def everything(host: Path, sandboxes: dict[str, Path]) -> dict[str, object]:
    seen: dict[str, object] = {"rules": rules(host)}
    for name, namespace in {"host": host, **sandboxes}.items():
        seen[name] = (links(namespace), routes(namespace), settings(namespace))
    return seen


def made_by_kernel(
    root: Path, wanted: Sequence[KernelObject], firewall: Callable[[str], KernelFirewall]
) -> dict[str, object]:
    """Apply, look, take back."""

    async def work(host: Path) -> dict[str, object]:
        kernel = await LinuxKernel.open(namespace=host, exec_root=root, engine_id=ENGINE, firewall=firewall)
        try:
            await kernel.apply(diff((), wanted))
            ids = [item.id for item in wanted if isinstance(item, Namespace)]
            seen = everything(host, {id: kernel.namespace_path(id) for id in ids})
            await kernel.apply(diff(wanted, ()))
            return seen | {"left": (links(host), rules(host))}
        finally:
            await kernel.close()

    with machine(root / "kernel") as host:
        return asyncio.run(work(host))


def made_by_shell(root: Path, wanted: Sequence[KernelObject]) -> dict[str, object]:
    """Run the lines, look, run the lines of the removal."""
    names = {item.id: f"printed-{uuid.uuid4().hex[:8]}" for item in wanted if isinstance(item, Namespace)}
    with machine(root / "shell") as host:
        try:
            shell(host, "\n".join(render(diff((), wanted), names)))
            seen = everything(host, {id: Path("/run/netns", name) for id, name in names.items()})
            shell(host, "\n".join(render(diff(wanted, ()), names)))
            return seen | {"left": (links(host), rules(host))}
        finally:
            for name in names.values():
                subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.slug)
def test_a_shell_makes_and_removes_what_the_engine_does(tmp_path: Path, scenario: Scenario, backend: str) -> None:
    planned, firewall = BACKENDS[backend]
    wanted = [item for item in objects(scenario, planned) if not isinstance(item, HostPort)]
    assert made_by_shell(tmp_path, wanted) == made_by_kernel(tmp_path, wanted, firewall)
