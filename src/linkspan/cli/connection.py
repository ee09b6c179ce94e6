"""HTTP/1.1 over a Unix socket, as much of it as the daemon speaks: one request for each connection, answers of a known
length or in chunks, and the upgrade after which the connection is a raw stream.

`http.client` would do but for the upgrade, and takes 30 ms to import. Every buffer has a limit.
"""

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

from linkspan.model.errors import InvalidError, UnavailableError

DEFAULT_HOST = "unix:///run/linkspan.sock"
_HEAD_LIMIT = 64 * 1024
_BODY_LIMIT = 256 * 1024 * 1024
_CHUNK = 64 * 1024


class Host(NamedTuple):
    """Where a daemon listens: `unix` with a path, or `tcp` with a name and a port."""

    scheme: str
    place: str
    port: int = 0


def parse_host(text: str) -> Host:
    """`unix:///run/linkspan.sock`, a path, or `tcp://name:port`."""
    scheme, separator, place = text.partition("://")
    if not separator:
        scheme, place = "unix", text
    if scheme == "unix" and place:
        return Host("unix", place)
    name, _, port = place.rpartition(":")
    if scheme != "tcp" or not name or not port.isdecimal():
        raise InvalidError(f"invalid host {text!r}", hint="give unix://PATH or tcp://ADDRESS:PORT", field="host")
    return Host("tcp", name.strip("[]"), int(port))


def connect(host: Host, certificates: str) -> socket.socket:
    """A connection to the daemon; `certificates` is the directory with ca.pem, cert.pem and key.pem, for TCP."""
    try:
        if host.scheme == "unix":
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with _closed_on_failure(made):
                made.connect(host.place)
            return made
        return _secured(socket.create_connection((host.place, host.port)), host, certificates)
    except OSError as error:
        raise _unreachable(host, error) from error


@contextmanager
def _closed_on_failure(made: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        made.close()
        raise


def _secured(plain: socket.socket, host: Host, certificates: str) -> socket.socket:
    """TLS with the client's certificate: the daemon serves nobody else over TCP."""
    import ssl

    with _closed_on_failure(plain):
        context = ssl.create_default_context(cafile=f"{certificates}/ca.pem")
        context.load_cert_chain(f"{certificates}/cert.pem", f"{certificates}/key.pem")
        return context.wrap_socket(plain, server_hostname=host.place)


def _unreachable(host: Host, error: OSError) -> UnavailableError:
    """One sentence, and what to do about it."""
    if host.scheme == "tcp":
        hint = "the daemon serves TCP only to clients with certificates: see DOCKER_CERT_PATH"
        return UnavailableError(f"cannot reach the daemon at tcp://{host.place}:{host.port}: {error}", hint=hint)
    if isinstance(error, PermissionError):
        hint = "use sudo, or become a member of the group that owns the socket"
        return UnavailableError(f"you may not talk to the daemon at unix://{host.place}", hint=hint)
    option = "" if f"unix://{host.place}" == DEFAULT_HOST else f" --host unix://{host.place}"
    return UnavailableError(
        f"no daemon listens at unix://{host.place}", hint=f"start one with `sudo linkspan daemon{option}`"
    )


class Answer:
    """The head of an answer, and what follows it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = bytearray()
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, _, status = head[0].partition(" ")
        if not version.startswith("HTTP/1.") or not status[:3].isdecimal():
            raise UnavailableError("what answers there is not a daemon", hint="see --host")
        self.status = int(status[:3])
        fields = (line.partition(":") for line in head[1:])
        self.headers = {name.strip().lower(): value.strip() for name, _, value in fields}

    def read(self) -> bytes:
        """The whole body."""
        body = bytearray()
        for part in self.parts():
            body += part
            if len(body) > _BODY_LIMIT:
                raise UnavailableError(f"the daemon's answer is larger than {_BODY_LIMIT >> 20} MiB")
        return bytes(body)

    def parts(self) -> Iterator[bytes]:
        """The body as it comes; the connection is closed at its end."""
        try:
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                yield from self._chunks()
            elif (length := self.headers.get("content-length", "")).isdecimal():
                yield from self._counted(int(length))
            elif self.status not in (204, 304):
                yield from self._rest()
        finally:
            self.close()

    def hijack(self) -> tuple[socket.socket, bytes]:
        """The connection as a raw stream, and what has come of it already."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return self._socket, rest

    def close(self) -> None:
        """Give up the connection."""
        self._socket.close()

    def fileno(self) -> int:
        """To wait for it with others."""
        return self._socket.fileno()

    def _chunks(self) -> Iterator[bytes]:
        while True:
            size = self._until(b"\r\n").partition(b";")[0].strip()
            try:
                length = int(size, 16)
            except ValueError as error:
                raise UnavailableError("the daemon's answer is not HTTP") from error
            if length <= 0:
                return
            yield from self._counted(length)
            self._until(b"\r\n")

    def _counted(self, length: int) -> Iterator[bytes]:
        while length > 0:
            if not self._buffer:
                self._more()
            part = bytes(self._buffer[:length])
            del self._buffer[:length]
            length -= len(part)
            yield part

    def _rest(self) -> Iterator[bytes]:
        with suppress(UnavailableError):
            while True:
                if not self._buffer:
                    self._more()
                part = bytes(self._buffer)
                self._buffer.clear()
                yield part

    def _until(self, end: bytes) -> bytes:
        """What comes before `end`, which is dropped."""
        while (at := self._buffer.find(end)) < 0:
            if len(self._buffer) > _HEAD_LIMIT:
                raise UnavailableError("the daemon's answer is not HTTP")
            self._more()
        found = bytes(self._buffer[:at])
        del self._buffer[: at + len(end)]
        return found

    def _more(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except ConnectionError as error:
            raise UnavailableError(f"the daemon has gone: {error}") from error
        if not data:
            raise UnavailableError("the daemon has ended the connection", hint="its log says why")
        self._buffer += data


class Upload(NamedTuple):
    """A body that is sent as it is read, in chunks."""

    parts: Iterable[bytes]
    kind: str = "application/x-tar"


def exchange(
    connection: socket.socket,
    method: str,
    target: str,
    body: bytes | Upload | None,
    *,
    upgrade: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request and read the head of its answer."""
    lines = [f"{method} {target} HTTP/1.1", "Host: linkspan", "User-Agent: linkspan"]
    lines += ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else ["Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if isinstance(body, Upload):
        lines += [f"Content-Type: {body.kind}", "Transfer-Encoding: chunked"]
    elif body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    elif method == "POST":
        lines.append("Content-Length: 0")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    with _closed_on_failure(connection):
        try:
            if isinstance(body, Upload):
                _send_chunks(connection, head, body)
            else:
                connection.sendall(head + (body or b""))
        except ConnectionError as error:
            raise UnavailableError(f"the daemon has gone: {error}") from error
        return Answer(connection)


def _send_chunks(connection: socket.socket, head: bytes, body: Upload) -> None:
    """A daemon that has heard enough closes its ear, and its answer says why."""
    connection.sendall(head)
    with suppress(BrokenPipeError):
        for part in body.parts:
            if part:
                connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        connection.sendall(b"0\r\n\r\n")
