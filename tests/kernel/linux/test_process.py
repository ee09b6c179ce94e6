"""Programs in namespaces."""

from pathlib import Path
from subprocess import PIPE

import pytest

from linkspan.kernel.process import ToolError, run_tool
from linkspan.model.errors import NotFoundError, UnavailableError
from linkspan.plan.objects import Namespace
from tests.support.machines import LinuxMachine, sandbox_id

ONE = sandbox_id(1)


def output(machine: LinuxMachine, *argv: str, sandbox: str | None = None, env: dict[str, str] | None = None) -> str:
    async def run() -> str:
        process = await machine.kernel.spawn(argv, sandbox=sandbox, stdout=PIPE, env=env)
        out, _ = await process.communicate()
        assert process.returncode == 0
        return out.decode().strip()

    return machine.runner.run(run())


def identity(path: Path) -> str:
    return f"net:[{path.stat().st_ino}]"


def test_a_program_runs_in_the_engines_namespace_or_a_sandboxs(machine: LinuxMachine) -> None:
    machine.add(Namespace(ONE))
    argv = ("readlink", "/proc/self/ns/net")
    assert output(machine, *argv) == identity(machine.namespace)
    assert output(machine, *argv, sandbox=ONE) == identity(machine.kernel.namespace_path(ONE))


def test_the_process_id_is_the_programs(machine: LinuxMachine) -> None:
    async def run() -> bool:
        process = await machine.kernel.spawn(["sh", "-c", "echo $$"], sandbox=None, stdout=PIPE)
        out, _ = await process.communicate()
        return int(out) == process.pid

    assert machine.runner.run(run())


def test_arguments_reach_the_program_untouched(machine: LinuxMachine) -> None:
    assert output(machine, "printf", "%s|", "a b", "--net=x", "$HOME") == "a b|--net=x|$HOME|"


def test_a_given_environment_replaces_ours(machine: LinuxMachine) -> None:
    assert output(machine, "/usr/bin/env", env={"A": "1"}) == "A=1"


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program", "/etc/passwd"])
def test_a_missing_program_is_not_found(machine: LinuxMachine, program: str) -> None:
    with pytest.raises(NotFoundError, match=program):
        output(machine, program)


def test_a_missing_sandbox_is_not_found(machine: LinuxMachine) -> None:
    with pytest.raises(NotFoundError, match="namespace"):
        output(machine, "true", sandbox=ONE)


def test_tools_run_in_the_namespace_of_their_thread(machine: LinuxMachine) -> None:
    assert machine.inside(lambda: run_tool(["readlink", "/proc/self/ns/net"]).strip()) == identity(machine.namespace)
    assert run_tool(["readlink", "/proc/self/ns/net"]).strip() == str(Path("/proc/self/ns/net").readlink())


def test_a_failing_tool_says_why() -> None:
    with pytest.raises(ToolError, match="status 3: broken") as failure:
        run_tool(["sh", "-c", "cat >&2; exit 3"], "broken\n")
    assert failure.value.stderr == "broken\n"
    assert failure.value.status == 3


def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkspan.kernel.process._SYSTEM_PATH", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UnavailableError) as missing:
        run_tool(["iptables-restore"])
    assert missing.value.hint == "install the package iptables"
