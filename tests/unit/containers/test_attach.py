"""A client's hold on the streams of a process, at the end of conmon's socket."""

import asyncio
import socket
from pathlib import Path

import pytest

from linkspan.containers.attach import Attachment
from tests.support.patience import PATIENCE


@pytest.mark.parametrize("unread", [b"", b"input"])
async def test_what_was_said_is_read_though_conmon_left_input_unread(tmp_path: Path, unread: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "attach"))
        listener.listen()
        attachment = Attachment(resize=lambda *_: None)
        await attachment.connect(tmp_path)
        conmon, _ = listener.accept()
    await attachment.write(unread)
    conmon.send(b"\x02first")
    conmon.send(b"\x03last")
    conmon.close()
    attachment.conclude()
    async with asyncio.timeout(PATIENCE):
        assert [said async for said in attachment] == [(1, b"first"), (2, b"last")]
