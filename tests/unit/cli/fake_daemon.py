"""A daemon that says what a test has written for it, and remembers what it was asked."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """One request."""

    method: str
    target: str
    body: Any
    headers: dict[str, str]


def reply(status: int, body: Any = None, *, kind: str = "application/json") -> bytes:
    """An answer of a known length."""
    data = b"" if body is None else json.dumps(body).encode() if kind == "application/json" else body
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def chunked(*parts: bytes, kind: str = "application/json") -> bytes:
    """An answer in chunks."""
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunks


def upgraded(data: bytes, *, kind: str = "application/vnd.docker.multiplexed-stream") -> bytes:
    """A stream that says something and ends."""
    return f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {kind}\r\nConnection: Upgrade\r\n\r\n".encode() + data


class FakeDaemon:
    """Answers by the beginning of a request (`GET /v1.51/networks`), the longest that fits."""

    def __init__(self, path: Path) -> None:
        self.host = f"unix://{path}"
        self.answers: dict[str, bytes] = {}
        self.asked: list[Asked] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()

    def serve(self) -> None:
        """Until the listener is closed."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            method, target, _ = stream.readline().decode().split()
            lines = [line.decode().partition(":") for line in iter(stream.readline, b"\r\n")]
            headers = {name.lower(): value.strip() for name, _, value in lines}
            body = stream.read(int(headers.get("content-length", "0")))
        self.asked.append(Asked(method, target, json.loads(body) if body else None, headers))
        fitting = [start for start in self.answers if f"{method} {target}".startswith(start)]
        known = self.answers[max(fitting, key=len)] if fitting else reply(404, {"message": "page not found"})
        connection.sendall(known)

    def close(self) -> None:
        """No more requests."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def fake_daemon(path: Path) -> Iterator[FakeDaemon]:
    """Served by a thread while the block runs."""
    made = FakeDaemon(path)
    thread = threading.Thread(target=made.serve)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()
