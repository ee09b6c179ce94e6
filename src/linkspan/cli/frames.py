"""Streams that carry both outputs: eight bytes of head (1 or 2, three zeros, the length), then as many bytes."""

from collections.abc import Iterator

_HEAD = 8


class Frames:
    """Takes a stream apart as it comes, without keeping more of it than a head."""

    def __init__(self) -> None:
        self._head = b""
        self._stream = 1
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Pairs of stream and data."""
        view = memoryview(data)
        while view:
            if self._left:
                part = view[: self._left]
                self._left -= len(part)
                view = view[len(part) :]
                yield self._stream, bytes(part)
                continue
            wanted = _HEAD - len(self._head)
            self._head += bytes(view[:wanted])
            view = view[wanted:]
            if len(self._head) == _HEAD:
                self._stream, self._left = self._head[0], int.from_bytes(self._head[4:], "big")
                self._head = b""
