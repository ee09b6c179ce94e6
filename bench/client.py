"""A client of the Engine API over a Unix socket, one connection per request: the same for every daemon."""

import http.client
import json
import socket
import time
from pathlib import Path
from typing import Any

_PATIENCE = 60.0


class Client:
    """Asks one daemon. `refusal` is what it raises when the daemon refuses."""

    refusal: type[Exception] = RuntimeError

    def __init__(self, path: Path) -> None:
        self.path = path

    def call(self, method: str, target: str, body: object = None, *, data: bytes | None = None) -> Any:
        """The decoded answer to one request."""
        connection = http.client.HTTPConnection("localhost", timeout=_PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self.path))
            kind = "application/json" if data is None else "application/x-tar"
            payload = data if data is not None else json.dumps(body).encode() if body is not None else None
            connection.request(method, target, payload, {"Content-Type": kind} if payload else {})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise self.refusal(f"{method} {target}: {answer.status} {content.decode()}")
        return json.loads(content) if content.startswith(b"{") and data is None else None

    def timed(self, method: str, target: str, body: object = None) -> float:
        """Seconds for one request."""
        start = time.perf_counter()
        self.call(method, target, body)
        return time.perf_counter() - start
