"""Each scenario's plan, as a page under docs/rules that people read."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from linkspan.model.requests import Request
from linkspan.plan.firewall import Firewall
from linkspan.plan.iptables import Iptables
from linkspan.plan.nftables import Nftables
from linkspan.plan.objects import KernelObject
from linkspan.plan.operations import diff, is_firewall
from linkspan.plan.render import render
from tests.golden.scenarios import SCENARIOS, Scenario, objects

BACKENDS: dict[str, Firewall] = {
    "nftables": Nftables(),
    "iptables": Iptables(userland_proxy=True),
    "iptables without the userland proxy": Iptables(userland_proxy=False),
}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.slug)
def test_the_page_shows_what_is_planned(scenario: Scenario, page: Callable[[str, str], None]) -> None:
    page(f"docs/rules/{scenario.slug}.md", write(scenario))


def test_the_index_lists_every_page(page: Callable[[str, str], None]) -> None:
    lines = [f"- [{scenario.title}]({scenario.slug}.md)" for scenario in SCENARIOS]
    page("docs/rules/README.md", "# What is in the kernel, scenario by scenario\n\n" + "\n".join(lines) + "\n")


def write(scenario: Scenario) -> str:
    parts = [
        f"# {scenario.title}\n",
        f"{scenario.look}\n",
        "Asked for:\n",
        fence("python", requests(scenario.requests)),
    ]
    held = objects(scenario, BACKENDS["nftables"])
    links = [item for item in held if not is_firewall(item)]
    parts += ["## Links, addresses, routes\n", fence("sh", lines(links))]
    for name, firewall in BACKENDS.items():
        rules = [item for item in objects(scenario, firewall) if is_firewall(item)]
        parts += [f"## Firewall: {name}\n", fence("sh", lines(rules))]
    return "\n".join(parts)


def requests(requests: Sequence[Request[Any]]) -> list[str]:
    return [show(request) for request in requests]


def show(request: Request[Any]) -> str:
    """A request as code, without the fields that have their default."""
    kept = {name: value for name, value in vars(request).items() if value not in ("", (), {}, 0, False, "bridge", True)}
    if not getattr(request, "ipv4", True):
        kept["ipv4"] = False
    for name in ("ipv6", "internal"):
        if getattr(request, name, False):
            kept[name] = True
    return f"{type(request).__name__}({', '.join(f'{name}={nested(value)}' for name, value in kept.items())})"


def nested(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(nested(item) for item in value)}]"
    return show(value) if type(value).__name__.endswith("Request") else repr(value)  # type: ignore[arg-type]


def lines(items: Sequence[KernelObject]) -> list[str]:
    return render(diff((), items))


def fence(language: str, text: Sequence[str]) -> str:
    return "\n".join([f"```{language}", *text, "```\n"])
