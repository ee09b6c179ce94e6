"""The README's example is run as it stands, on a machine made of namespaces."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from linkspan.lab.hosts import lab
from linkspan.wiring import open_kernel
from tests.imports import ROOT


@pytest.mark.slow
def test_the_example_prints_a_plan_and_an_address(tmp_path: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len(examples) == 1
    program = tmp_path / "example.py"
    program.write_text(examples[0].replace("/var/lib/", f"{tmp_path}/lib/").replace("/run/", f"{tmp_path}/run/"))

    async def scenario() -> str:
        async with lab(open_kernel) as hosts:
            # The pins it leaves go with a mount namespace of their own.
            return await hosts.machine.run("unshare", "--mount", sys.executable, str(program))

    printed = asyncio.run(scenario())
    assert "ip link add" in printed
    assert "8080" in printed
    assert "inet 172.18.0.2/16" in printed
