"""umoci: makes the files of an image out of its layers, with owners, modes, extended attributes and whiteouts."""

from pathlib import Path

from linkspan.images import programs
from linkspan.images.ports import TAG, Host
from linkspan.images.programs import ProgramError
from linkspan.model.errors import InvalidError


class Umoci:
    """The program."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def unpack(self, layout: Path, into: Path) -> None:
        """See `Unpacker.unpack`. Both have one parent, so that no path can hold a colon."""
        argv = ["umoci", "raw", "unpack", "--image", f"{layout.name}:{TAG}", into.name]
        try:
            await programs.output(self._host, argv, package="umoci", cwd=layout.parent)
        except ProgramError as error:
            raise InvalidError(f"invalid image: its layers cannot be unpacked: {error}") from error
