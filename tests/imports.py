"""The real imports of the package, read from its syntax trees: what architecture tests and the picture rest on."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PACKAGE = "linkspan"


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(), str(self.path))

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the tree."""
        return tuple(ast.walk(self.tree))

    @property
    def room(self) -> str:
        """`kernel` for `linkspan.kernel.links`, `wiring` for `linkspan.wiring`, `linkspan` for the front door."""
        return self.name.split(".")[:2][-1]

    @cached_property
    def imported(self) -> frozenset[str]:
        """The full names of what is imported, as written: modules, and members of modules."""
        return frozenset(full for _, full in _imports(self.nodes))

    @cached_property
    def names(self) -> dict[str, str]:
        """The full name behind each imported local name."""
        return dict(_imports(self.nodes))

    @cached_property
    def used(self) -> frozenset[str]:
        """What is imported, and every attribute reached through it: `os.setns` for `import os as o; o.setns(fd)`."""
        return self.imported | {full for node in self.nodes if (full := _resolve(node, self.names))}


def _imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    """(local name, full name) of each import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _resolve(node: ast.AST, names: Mapping[str, str]) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not parts or not isinstance(node, ast.Name):
        return None
    return ".".join([names.get(node.id, ""), *reversed(parts)]) if node.id in names else None


@cache
def modules() -> Mapping[str, Module]:
    """Every module of the package by its name. Each is read once, whoever asks."""
    found = {}
    for path in sorted((SOURCE / PACKAGE).rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path)
    return found


def module_graph(found: Mapping[str, Module]) -> dict[str, set[str]]:
    """Which modules of the package each one imports."""
    return {name: set(filter(None, (_owner(full, found) for full in m.imported))) - {name} for name, m in found.items()}


def _owner(full: str, found: Mapping[str, Module]) -> str | None:
    """The module that `full` is, or is a member of."""
    if full in found:
        return full
    parent = full.rpartition(".")[0]
    return parent if parent in found else None


def room_graph(found: Mapping[str, Module]) -> dict[str, set[str]]:
    """Which rooms each room imports."""
    graph: dict[str, set[str]] = {module.room: set() for module in found.values()}
    for name, imported in module_graph(found).items():
        graph[found[name].room] |= {found[other].room for other in imported} - {found[name].room}
    return graph


def mermaid(found: Mapping[str, Module]) -> str:
    """The rooms and who imports whom, as a picture."""
    graph = room_graph(found)
    lines = ["flowchart TD"]
    lines += [f"    {room} --> {other}" for room in sorted(graph) for other in sorted(graph[room])]
    return "\n".join(lines) + "\n"
