"""How this machine's own resolver is told of the name server that knows containers.

That server refuses every other name, so it can stand first in resolv.conf: resolvers ask the next one then. With
systemd-resolved a routing domain sends it the names below `linkspan` (resolved.conf(5)).
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from linkspan.model.errors import InvalidError, UnavailableError

RESOLV_CONF = Path("/etc/resolv.conf")
RESOLVED = Path("/run/systemd/resolve")
"""There while systemd-resolved runs."""
DROP_IN = Path("/etc/systemd/resolved.conf.d/linkspan.conf")
_NOTE = "# Containers by name: linkspan dns hook"


class Hook(Protocol):
    """One way to do it. `then` is the program that makes it count, none if it counts at once."""

    then: tuple[str, ...]

    def described(self) -> Sequence[str]:
        """What a person would do."""
        ...

    def apply(self) -> Sequence[str]:
        """Do it; returns what was done."""
        ...

    def undo(self) -> Sequence[str]:
        """Take it back; returns what was done."""
        ...


def hook_of(address: str, domain: str) -> Hook:
    """The way that fits this machine."""
    return ResolvedHook(address, domain) if RESOLVED.is_dir() else ResolvConfHook(address)


def become(argv: tuple[str, ...]) -> None:
    """Go on as another program: a command line that ends has no need of a child. Raises `UnavailableError`."""
    sys.stdout.flush()
    try:
        os.execvp(argv[0], argv)  # noqa: S606
    except OSError as error:
        raise UnavailableError(f"cannot run {' '.join(argv)}: {error.strerror}") from error


class ResolvedHook:
    """A drop-in for systemd-resolved."""

    then: tuple[str, ...] = ("systemctl", "restart", "systemd-resolved")

    def __init__(self, address: str, domain: str) -> None:
        self._text = f"{_NOTE}\n[Resolve]\nDNS={address}\nDomains=~{domain}\n"

    def described(self) -> Sequence[str]:
        """The file and the restart."""
        return [
            f"This machine uses systemd-resolved: write {DROP_IN}",
            "",
            *(f"    {line}" for line in self._text.splitlines()),
            "",
            f"and run: {' '.join(self.then)}",
        ]

    def apply(self) -> Sequence[str]:
        """Write the file."""
        try:
            DROP_IN.parent.mkdir(parents=True, exist_ok=True)
            DROP_IN.write_text(self._text)
        except OSError as error:
            raise _unwritable(DROP_IN, error) from error
        return [f"wrote {DROP_IN}; running {' '.join(self.then)}"]

    def undo(self) -> Sequence[str]:
        """Remove the file."""
        try:
            DROP_IN.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(DROP_IN, error) from error
        return [f"removed {DROP_IN}; running {' '.join(self.then)}"]


class ResolvConfHook:
    """Two lines in front of resolv.conf."""

    then: tuple[str, ...] = ()

    def __init__(self, address: str) -> None:
        self._lines = [_NOTE, f"nameserver {address}"]

    def described(self) -> Sequence[str]:
        """The lines."""
        return [
            f"Put these lines in front of the others in {RESOLV_CONF}",
            "",
            *(f"    {line}" for line in self._lines),
            "",
            "The name server refuses every other name, and the next one is asked for it.",
        ]

    def apply(self) -> Sequence[str]:
        """Write them."""
        _check_plain()
        text = _content()
        kept = self._without(text)
        if len([line for line in kept if line.split()[:1] == ["nameserver"]]) > 2:
            raise InvalidError(
                f"{RESOLV_CONF} names three servers already, and the C library asks no more",
                hint="remove one of them first",
            )
        _write("\n".join((*self._lines, *kept)) + "\n")
        return [f"added {self._lines[1]!r} to {RESOLV_CONF}"]

    def undo(self) -> Sequence[str]:
        """Take them away."""
        _check_plain()
        _write("".join(f"{line}\n" for line in self._without(_content())))
        return [f"removed {self._lines[1]!r} from {RESOLV_CONF}"]

    def _without(self, text: str) -> list[str]:
        return [line for line in text.splitlines() if line not in self._lines]


def _check_plain() -> None:
    """A link belongs to a program that would write over what we change."""
    if RESOLV_CONF.is_symlink():
        target = os.readlink(RESOLV_CONF)  # noqa: PTH115 - its text is shown
        raise InvalidError(
            f"{RESOLV_CONF} is a link to {target}, which another program writes",
            hint="tell that program of the name server: `linkspan dns hook` shows its address",
        )


def _content() -> str:
    try:
        return RESOLV_CONF.read_text()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UnavailableError(f"cannot read {RESOLV_CONF}: {error.strerror}") from error


def _write(text: str) -> None:
    """In place: it may be mounted, and then it cannot be replaced."""
    try:
        RESOLV_CONF.write_text(text)
    except OSError as error:
        raise _unwritable(RESOLV_CONF, error) from error


def _unwritable(path: Path, error: OSError) -> UnavailableError:
    hint = "run it as root" if isinstance(error, PermissionError) else None
    return UnavailableError(f"cannot write {path}: {error.strerror}", hint=hint)
