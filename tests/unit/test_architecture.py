"""The rules of docs/architecture.md, each with its reason, checked against the real source."""

import ast
import re
import statistics
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.imports import PACKAGE, ROOT, Module, module_graph, modules

MODULES = modules()
EXISTING = {module.room for module in MODULES.values()}


@dataclass(frozen=True)
class Room:
    """Which rooms a room may import, which foreign packages, and why no more."""

    may_import: frozenset[str]
    packages: frozenset[str]
    reason: str


def room(may_import: str, reason: str, packages: str = "") -> Room:
    return Room(frozenset(may_import.split()), frozenset(packages.split()), reason)


FRONT_DOOR = PACKAGE
ROOMS = {
    "model": room("", "the nouns are shared by everyone, so they may depend on nobody"),
    "plan": room("model", "a plan is a function of values: what it cannot reach cannot change its answer"),
    "kernel": room("model plan", "it executes plans and knows nothing of why they are wanted"),
    "store": room("model plan", "it keeps values and decides nothing", packages="msgspec cattrs"),
    "engine": room(
        "model plan",
        "it sees the world through its own protocols, so that a fake world can stand in",
        packages="msgspec",
    ),
    "tasks": room("", "how work outlives its caller is the same whatever the work: it knows nobody's"),
    "containers": room(
        "model plan engine tasks",
        "it builds on the engine's facade; what it needs of the machine and the store it says in its own protocols",
    ),
    "images": room(
        "model tasks",
        "an image is the same whoever uses it: it knows nothing of containers and networks",
        packages="msgspec",
    ),
    "api": room(
        "model engine containers images linkspan",
        "a front door asks the facades, and never reaches behind them",
        packages="aiohttp msgspec",
    ),
    "dataplane": room(
        "model", "its programs outlive the daemon, must start fast and stay small", packages="dns msgspec"
    ),
    "lab": room("model plan engine wiring linkspan", "tests and demos use what every library user has"),
    "wiring": room(
        "model plan kernel store engine dataplane containers images tasks",
        "the composition root: the one place where real parts are chosen",
    ),
    "daemon": room(
        "model engine containers api wiring linkspan", "the daemon's composition root: it chooses what the API serves"
    ),
    "cli": room(
        "model linkspan",
        "a client of the API like any other, that has to start at once: typer and rich only where people wait anyway",
        packages="typer rich",
    ),
    "__main__": room("cli daemon", "the program chooses between the daemon and the command, and imports only that one"),
    FRONT_DOOR: room("model engine wiring", "what `import linkspan` offers is a selection, not an implementation"),
}

ROOTS = {
    "linkspan.daemon.dataplane": room(
        "dataplane kernel", "the composition root of the data plane's process, which loads nothing of the daemon's"
    )
}
"""Single modules that may import more than their room."""

PURE_ROOMS = ("model", "plan")
IMPURE = frozenset(
    {"asyncio", "builtins", "concurrent", "ctypes", "fcntl", "glob", "http", "io", "logging", "multiprocessing", "os"}
    | {"pathlib", "random", "sched", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl"}
    | {"subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid", "warnings"}
)
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval", "breakpoint", "__import__"})

NATIVE, PROCESS, WORKER = "linkspan.kernel.native", "linkspan.kernel.process", "linkspan.engine.worker"
FENCES = {
    "ctypes": (NATIVE, "a wrong foreign call corrupts memory: keep them where they can be reviewed at once"),
    "os.setns": (NATIVE, "it moves the calling thread, which must never go back to a pool"),
    "os.unshare": (NATIVE, "it moves the calling thread, which must never go back to a pool"),
    "subprocess": (PROCESS, "programs are started, reaped and reported in one way"),
    "asyncio.create_subprocess_exec": (PROCESS, "programs are started, reaped and reported in one way"),
    "asyncio.create_subprocess_shell": (None, "no shell ever sees our arguments"),
    "asyncio.create_task": (
        WORKER,
        "a task belongs to a TaskGroup, or its failure is lost; the worker is awaited by hand",
    ),
    "asyncio.ensure_future": (None, "a task belongs to a TaskGroup, or its failure is lost"),
    "os.fork": (None, "a fork of a threaded process inherits its locks"),
    "os.system": (None, "no shell ever sees our arguments"),
}


def test_every_room_has_a_rule() -> None:
    unknown = EXISTING - set(ROOMS)
    assert not unknown, f"{sorted(unknown)}: say in ROOMS what it may import, and why"


@pytest.mark.parametrize("name", [room for room in ROOMS if room in EXISTING])
def test_a_room_imports_only_what_it_may(name: str) -> None:
    rule = ROOMS[name]
    graph = module_graph(MODULES)
    wrong = [
        f"{module} imports {other}"
        for module, imported in graph.items()
        for other in sorted(imported)
        if MODULES[module].room == name and MODULES[other].room not in (_may_import(module) | {name})
    ]
    assert not wrong, f"{wrong}; {name} may import {sorted(rule.may_import)}, because {rule.reason}"


def _may_import(module: str) -> frozenset[str]:
    more = ROOTS[module].may_import if module in ROOTS else frozenset()
    return ROOMS[MODULES[module].room].may_import | more


@pytest.mark.parametrize("name", [room for room in ROOMS if room in EXISTING])
def test_a_room_uses_only_the_foreign_packages_it_may(name: str) -> None:
    rule = ROOMS[name]
    wrong = [
        f"{module.name} imports {full}"
        for module in MODULES.values()
        for full in sorted(module.imported)
        if module.room == name and full.split(".")[0] not in (sys.stdlib_module_names | rule.packages | {PACKAGE})
    ]
    assert not wrong, f"{wrong}; {name} may use {sorted(rule.packages)}, because {rule.reason}"


@pytest.mark.parametrize("name", PURE_ROOMS)
def test_model_and_plan_do_no_input_or_output(name: str) -> None:
    wrong = [
        f"{module.name} uses {full}"
        for module in MODULES.values()
        if module.room == name
        for full in sorted(module.imported) + sorted(_impure_calls(module))
        if full.split(".")[0] in IMPURE | IMPURE_CALLS
    ]
    assert not wrong, f"{wrong}; time, randomness and the world are arguments, so that the same question has one answer"


def _impure_calls(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def test_model_and_plan_do_not_look_at_the_clock() -> None:
    clocks = ("now", "utcnow", "today")
    wrong = [
        f"{module.name}:{node.lineno}"
        for module in MODULES.values()
        if module.room in PURE_ROOMS
        for node in module.nodes
        if isinstance(node, ast.Attribute) and node.attr in clocks
    ]
    assert not wrong, f"{wrong}; the time is an argument"


@pytest.mark.parametrize("fenced", FENCES)
def test_dangerous_calls_stay_in_their_module(fenced: str) -> None:
    home, reason = FENCES[fenced]
    wrong = [
        module.name
        for module in MODULES.values()
        if module.name != home and any(full == fenced or full.startswith(fenced + ".") for full in module.used)
    ]
    assert not wrong, f"{wrong} use {fenced}; only {home or 'nobody'} may, because {reason}"


def test_import_linter_is_told_the_same_rules() -> None:
    existing = EXISTING - {FRONT_DOOR}
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    told = {contract["source_modules"][0]: set(contract["forbidden_modules"]) for contract in contracts}
    table = {
        f"{PACKAGE}.{name}": {f"{PACKAGE}.{other}" for other in existing - ROOMS[name].may_import - {name}}
        for name in existing
    }
    assert told == {name: forbidden for name, forbidden in table.items() if forbidden}


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(module_graph(MODULES)).prepare()
    except CycleError as error:
        pytest.fail(f"{' → '.join(error.args[1])}; a circle is one module cut in the wrong place")


def test_no_room_is_empty() -> None:
    for name in EXISTING - {FRONT_DOOR}:
        content = [m for m in MODULES.values() if m.room == name and any(map(_is_definition, m.tree.body))]
        assert content, f"{name} has no content; a room is created with its first real content"


def _is_definition(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def test_files_can_be_read_in_one_sitting() -> None:
    paths = [path for folder in ("src", "tests", "bench", "docs", "examples") for path in (ROOT / folder).rglob("*.py")]
    sizes = {path: path.read_text().count("\n") for path in paths}
    long = {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 600}
    assert not long, f"{long}: above 600 lines a file holds more than one thing"
    assert statistics.median(sizes.values()) <= 180


def test_functions_are_short() -> None:
    sizes = sorted(size for module in MODULES.values() for size, _ in _functions(module))
    longest = sorted(entry for module in MODULES.values() for entry in _functions(module))[-5:]
    assert statistics.median(sizes) <= 10, longest
    assert sizes[int(len(sizes) * 0.9)] <= 40, longest


def _functions(module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{module.name}.{node.name}"


def test_nothing_is_left_to_do() -> None:
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError|[Pp]laceholder)\b")
    wrong = [
        f"{module.name}:{number}: {line.strip()}"
        for module in MODULES.values()
        for number, line in enumerate(module.path.read_text().splitlines(), 1)
        if words.search(line)
    ]
    assert not wrong


def test_every_function_does_something() -> None:
    wrong = [f"{m.name}.{function.name}" for m in MODULES.values() for function in _hollow_functions(m.tree, m.names)]
    assert not wrong, f"{wrong}: an empty body belongs only to a protocol"


def _hollow_functions(
    node: ast.AST, names: Mapping[str, str], in_protocol: bool = False
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            bases = {names.get(ast.unparse(base).split("[")[0]) for base in child.bases}
            yield from _hollow_functions(child, names, in_protocol="typing.Protocol" in bases)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            overload = any(ast.unparse(decorator) == "overload" for decorator in child.decorator_list)
            if not in_protocol and not overload and all(map(_says_nothing, child.body)):
                yield child
            yield from _hollow_functions(child, names)


def _says_nothing(statement: ast.stmt) -> bool:
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_constant or isinstance(statement, ast.Pass)
