"""Calls of the API: JSON in and out; a refusal is an error in the daemon's words."""

import json
import socket
from collections.abc import Iterator, Mapping

from linkspan.cli.answers import Json, Record
from linkspan.cli.connection import Answer, Host, Upload, connect, exchange
from linkspan.model.errors import InvalidError, LinkspanError

VERSION = "/v1.51"
"""The shape of answers that the commands read."""

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
Query = Mapping[str, str | int | bool | None]


class RefusedError(LinkspanError):
    """The daemon said no; `status` is that of HTTP."""

    kind = "refused"

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Hijacked:
    """A connection that has become a stream; `first` has come with the head of the answer."""

    def __init__(self, answer: Answer, *, secured: bool) -> None:
        self.socket, self.first = answer.hijack()
        self.secured = secured
        self.multiplexed = "multiplexed" in answer.headers.get("content-type", "")

    def close(self) -> None:
        """End it."""
        self.socket.close()


class Client:
    """A daemon, as the commands see it."""

    def __init__(self, host: Host, certificates: str = "") -> None:
        self._host = host
        self._certificates = certificates

    def get(self, path: str, query: Query | None = None) -> Json:
        """What is there."""
        return self._decoded(self.open("GET", path, query))

    def post(self, path: str, body: Json = None, query: Query | None = None) -> Json:
        """Do something; what it answers, None if that is nothing."""
        return self._decoded(self.open("POST", path, query, body))

    def put(self, path: str, body: Json) -> Json:
        """Replace something; what it is then."""
        return self._decoded(self.open("PUT", path, None, body))

    def delete(self, path: str, query: Query | None = None) -> Json:
        """Remove something."""
        return self._decoded(self.open("DELETE", path, query))

    def open(self, method: str, path: str, query: Query | None = None, body: Json = None) -> Answer:
        """The head of an answer, whose body comes later, or never ends. Raises `RefusedError`."""
        return self._exchange(method, path, query, body, upgrade=False)

    def hijack(self, path: str, query: Query | None = None, body: Json = None) -> Hijacked:
        """A raw stream."""
        answer = self._exchange("POST", path, query, body, upgrade=True)
        return Hijacked(answer, secured=self._host.scheme == "tcp")

    def lines(self, path: str, query: Query | None = None) -> Iterator[Json]:
        """The objects of a stream of them, each in a line, until it ends."""
        return self._objects(self.open("GET", path, query))

    def transfer(
        self,
        path: str,
        query: Query | None = None,
        upload: Upload | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Json]:
        """Post something, and what is said while it is done."""
        connection, place = self._connection(), target(path, query or {})
        answer = exchange(connection, "POST", place, upload, headers=headers)
        if answer.status >= 400:
            raise _refusal(answer)
        return self._objects(answer)

    def upload(self, method: str, place: str, upload: Upload) -> Json:
        """Send something to a place (see `target`); what it answers. Raises `RefusedError`."""
        answer = exchange(self._connection(), method, place, upload)
        if answer.status >= 400:
            raise _refusal(answer)
        return self._decoded(answer)

    @staticmethod
    def _objects(answer: Answer) -> Iterator[Json]:
        rest = b""
        for part in answer.parts():
            *whole, rest = (rest + part).split(b"\n")
            for line in whole:
                if line.strip():
                    yield json.loads(line)

    def _exchange(self, method: str, path: str, query: Query | None, body: Json, *, upgrade: bool) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        answer = exchange(self._connection(), method, target(path, query or {}), data, upgrade=upgrade)
        if answer.status >= 400:
            raise _refusal(answer)
        return answer

    def _connection(self) -> socket.socket:
        return connect(self._host, self._certificates)

    @staticmethod
    def _decoded(answer: Answer) -> Json:
        body = answer.read()
        if not body or not answer.headers.get("content-type", "").startswith("application/json"):
            return None
        found: Json = json.loads(body)
        return found


def _refusal(answer: Answer) -> RefusedError:
    body = answer.read()
    try:
        found = Record(json.loads(body))
    except ValueError:
        found = Record({"message": body.decode(errors="replace")})
    return RefusedError(
        found.text("message").strip() or f"the daemon answered {answer.status}",
        status=answer.status,
        hint=found.text("hint") or None,
    )


def target(path: str, query: Query) -> str:
    """Path and query of a request. Our own paths have their version inside."""
    given = {key: value for key, value in query.items() if value is not None and value != "" and value is not False}
    text = "&".join(f"{key}={quoted('1' if value is True else str(value))}" for key, value in given.items())
    return ("" if path.startswith("/linkspan/") else VERSION) + path + ("?" if text else "") + text


def quoted(text: str) -> str:
    """A text as a part of a path or a query (`urllib.parse` takes 10 ms to import)."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in text.encode())


def filters(values: tuple[str, ...]) -> str:
    """`-f key=value`, repeated, as the `filters` parameter."""
    found: dict[str, dict[str, bool]] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals:
            raise InvalidError(f"invalid filter {text!r}: expected KEY=VALUE", field="filter", value=text)
        found.setdefault(key.strip().lower(), {})[value.strip()] = True
    return json.dumps(found) if found else ""
