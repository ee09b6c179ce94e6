"""Who a process runs as: `--user` looked up in the root file system's own passwd and group files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from linkspan.model.errors import InvalidError

_MAX = 2**31 - 1
_INTEGER = re.compile(r"[+-]?[0-9]+")
_LINKS = 40
"""How many symbolic links a path may lead through (the kernel's number)."""


@dataclass(frozen=True, slots=True)
class User:
    """Numbers, as the kernel wants them. The supplementary groups hold the primary one too.

    A process that gives up its primary group would otherwise gain what the group is denied (CVE-2022-36109).
    """

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = (0,)


def find_user(text: str, root: Path, more: Sequence[str] = ()) -> User:
    """The user `name|uid[:group|gid]` of the root file system at `root`, in the groups `more` too."""
    return user(text, _read(root, "etc/passwd"), _read(root, "etc/group"), more)


def user(text: str, passwd: str, group: str, more: Sequence[str] = ()) -> User:
    """The user `name|uid[:group|gid]` by the texts of passwd(5) and group(5); empty is root.

    Supplementary groups are those that list the user, unless a group was asked for, and `more`, by name or number.
    Raises `InvalidError`.
    """
    found = _user(text, passwd, group)
    members = _fields(group, 3)
    return replace(found, groups=tuple(sorted({*found.groups, *(_group(name, members) for name in more)})))


def _user(text: str, passwd: str, group: str) -> User:
    wanted, colon, wanted_group = text.partition(":")
    wanted = wanted or "0"
    lines = _fields(passwd, 4)
    entry = next((line for line in lines if wanted in (line[0], line[2])), None)
    if entry is None and not _INTEGER.fullmatch(wanted):
        raise _missing("user", wanted, "passwd")
    name, uid, gid = (entry[0], int(entry[2]), int(entry[3])) if entry else ("", _number(wanted), 0)
    members = _fields(group, 3)
    if colon and wanted_group:
        chosen = _group(wanted_group, members)
        return User(uid, chosen, (chosen,))
    listed = (int(line[2]) for line in members if name and name in (line[3:] or [""])[0].split(","))
    return User(uid, gid, tuple(sorted({gid, *listed})))


def _group(wanted: str, members: list[list[str]]) -> int:
    found = next((int(line[2]) for line in members if wanted in (line[0], line[2])), None)
    if found is None and not _INTEGER.fullmatch(wanted):
        raise _missing("group", wanted, "group")
    return _number(wanted) if found is None else found


def _number(text: str) -> int:
    """A user or group that no file names; Docker's range and words. Very long texts are not even read."""
    if len(text) > len(str(_MAX)) or not 0 <= int(text) <= _MAX:
        raise InvalidError(f"uids and gids must be in range 0-{_MAX}", field="user", value=text)
    return int(text)


def _fields(text: str, least: int) -> list[list[str]]:
    """The lines of a colon-separated file that have enough fields, and numbers where numbers belong."""
    lines = (line.split(":") for line in text.splitlines() if not line.startswith("#"))
    return [line for line in lines if len(line) >= least and all(map(_is_number, line[2:least]))]


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= len(str(_MAX)) and int(text) <= _MAX


def _missing(kind: str, name: str, file: str) -> InvalidError:
    return InvalidError(f"unable to find {kind} {name}: no matching entries in {file} file", field="user", value=name)


def _read(root: Path, path: str) -> str:
    try:
        return inside(root, path).read_text(errors="replace")
    except OSError:
        return ""


def inside(root: Path, path: str) -> Path:
    """The file of the host that `path` means to a process whose root directory is `root`.

    Symbolic links are followed as that process would see them: none leads out. Raises OSError when there are too many.
    """
    done: list[str] = []
    todo = path.split("/")[::-1]
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            done = done[:-1]
        elif part not in ("", "."):
            here = root.joinpath(*done, part)
            if not here.is_symlink():
                done.append(part)
                continue
            links += 1
            if links > _LINKS:
                raise OSError(f"too many symbolic links in {path}")
            target = str(here.readlink())
            if target.startswith("/"):
                done = []
            todo += target.split("/")[::-1]
    return root.joinpath(*done)
