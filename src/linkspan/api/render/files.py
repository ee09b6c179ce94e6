"""Files as Docker shows them."""

import stat
from datetime import UTC, datetime

from linkspan.api.bodies.archives import PathStatBody
from linkspan.api.render.times import timestamp
from linkspan.model.files import PathStat

_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


def go_mode(mode: int) -> int:
    """The mode of stat(2) as Go's os.FileMode."""
    bits = sum(go for unix, go in _BITS.items() if mode & unix)
    return (mode & 0o777) | bits | _KINDS.get(stat.S_IFMT(mode), 0)


def path_stat_body(found: PathStat) -> PathStatBody:
    """What is at a path."""
    modified = datetime.fromtimestamp(found.modified // 1_000_000_000, UTC)
    return PathStatBody(
        name=found.name,
        size=found.size,
        mode=go_mode(found.mode),
        mtime=timestamp(modified),
        link_target=found.link_target,
    )
