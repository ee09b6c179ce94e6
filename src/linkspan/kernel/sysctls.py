"""Kernel settings under /proc/sys, which shows the network namespace of the thread that opens it."""

from collections.abc import Iterable, Mapping, Sequence

from linkspan.kernel import files
from linkspan.kernel.namespaces import Namespaces
from linkspan.kernel.outcome import Outcome
from linkspan.kernel.thread import enter, visit
from linkspan.plan.objects import HOST, Sysctl
from linkspan.plan.operations import Operation


def path(setting: Sysctl) -> str:
    """The file of a setting. Dots part the name, except those within the name of an interface."""
    before, link, after = setting.name.partition(f".{setting.link}.") if setting.link else (setting.name, "", "")
    parts = before.split(".")
    if link:
        parts += [setting.link, *after.split(".")]
    return "/".join(("/proc/sys", *parts))


def write_all(namespaces: Namespaces, where: str, operations: Sequence[Operation]) -> list[Outcome]:
    """Perform additions and replacements of settings in one namespace. Called on the kernel thread."""
    settings = [(op, op.object) for op in operations if isinstance(op.object, Sysctl)]

    def write() -> list[Outcome]:
        if where != HOST:
            enter(namespaces.path(where))
        return [Outcome(operation, _write(setting)) for operation, setting in settings]

    try:
        return write() if where == HOST else visit(write)
    except OSError as error:
        return [Outcome(operation, error) for operation, _ in settings]


def _write(setting: Sysctl) -> OSError | None:
    file = path(setting)
    try:
        # Inside a container /proc/sys may be read-only with the right values in it.
        if files.read(file).split() != setting.value.split():
            files.write(file, setting.value)
    except OSError as error:
        return error
    return None


def read_all(namespaces: Namespaces, wanted: Mapping[str, Iterable[Sysctl]]) -> list[Sysctl]:
    """The settings as they are; those whose file, interface or namespace is missing are left out.

    `wanted` groups them by `where`. Called on the kernel thread; all sandboxes are visited by one other thread.
    """
    found = [setting for wish in wanted.get(HOST, ()) for setting in _read(wish)]

    def read() -> list[Sysctl]:
        seen: list[Sysctl] = []
        for where, wishes in wanted.items():
            if where != HOST:
                try:
                    enter(namespaces.path(where))
                except OSError:
                    continue  # no namespace, or a plain file left by a crash: nothing is set there
                seen += [setting for wish in wishes for setting in _read(wish)]
        return seen

    return found + (visit(read) if wanted.keys() - {HOST} else [])


def _read(wish: Sysctl) -> Iterable[Sysctl]:
    try:
        value = files.read(path(wish)).strip()
    except OSError:
        return ()
    # The kernel parts numbers with tabs where people type spaces: not a difference.
    same = value.split() == wish.value.split()
    return (Sysctl(wish.where, wish.name, wish.value if same else value, wish.link),)
