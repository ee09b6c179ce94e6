"""The sockets to serve on: made from `--host`, or inherited from a supervisor."""

import grp
import os
import socket
import ssl
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from linkspan.api.server import Listener
from linkspan.daemon.options import Values
from linkspan.model.errors import ConflictError, InvalidError, NotFoundError, UnavailableError

BACKLOG = 1024
FIRST_INHERITED = 3
"""systemd's SD_LISTEN_FDS_START."""
_PEER = struct.Struct("=iII")
"""`struct ucred`: process, user and group."""


@contextmanager
def listeners(hosts: Sequence[str], values: Values) -> Iterator[list[Listener]]:
    """A listener for each host while the block runs; sockets made here leave no file behind."""
    with ExitStack() as stack:
        found: list[Listener] = []
        for host in sorted(hosts, key=_makes_descriptors):
            scheme, separator, place = host.partition("://")
            if not separator:
                scheme, place = "unix", host
            if scheme == "unix":
                found.append(Listener(stack.enter_context(_unix(Path(place), values["group"]))))
            elif scheme == "tcp":
                found.append(Listener(stack.enter_context(_tcp(place)), _tls(values)))
            elif scheme == "fd":
                found += [Listener(stack.enter_context(inherited)) for inherited in _inherited()]
            else:
                raise InvalidError(f"invalid bind address {host}: expected unix://, fd:// or tcp://", field="host")
        yield found


def _makes_descriptors(host: str) -> bool:
    """What is inherited is looked at first, before its numbers could be those of descriptors made here."""
    return not host.startswith("fd://")


@contextmanager
def _unix(path: Path, group: str) -> Iterator[socket.socket]:
    """Mode 0660 for root and the group, from the first moment on."""
    gid = _group(group)
    _remove_stale(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _bind_closed(made, path)
    except OSError as error:
        made.close()
        raise UnavailableError(f"cannot listen on {path}: {error.strerror}", field="host", value=str(path)) from error
    try:
        if gid is not None:
            os.chown(path, -1, gid)
        path.chmod(0o660)
        made.listen(BACKLOG)
        yield made
    finally:
        path.unlink(missing_ok=True)
        made.close()


def _bind_closed(made: socket.socket, path: Path) -> None:
    """Bind with no permission for anybody."""
    before = os.umask(0o777)
    try:
        made.bind(str(path))
    finally:
        os.umask(before)


def _group(name: str) -> int | None:
    """The group that may use the socket: the one named, which has to exist, or `docker` if it does."""
    try:
        return grp.getgrnam(name or "docker").gr_gid
    except KeyError as error:
        if not name:
            return None
        raise NotFoundError(f"there is no group {name}", field="group", value=name) from error


def _remove_stale(path: Path) -> None:
    """A socket that nobody listens on is removed; anything else is not ours to remove.

    A daemon that was killed while it started a program can have left a child that is not yet that program, and until
    then has all its sockets. So it is asked who began to listen (SO_PEERCRED of unix(7)), and whether that one lives.
    """
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise ConflictError(f"{path} exists and is not a socket", field="host", value=str(path))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise UnavailableError(f"cannot listen on {path}: {error}", field="host", value=str(path)) from error
        listener = _PEER.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[0]
    if listener and not Path(f"/proc/{listener}").exists():  # 0: it is in another namespace of process ids
        path.unlink(missing_ok=True)
        return
    raise ConflictError(
        f"another daemon listens on {path}", field="host", value=str(path), hint="stop it, or choose another --host"
    )


def _tcp(place: str) -> socket.socket:
    address, _, port = place.rpartition(":")
    bare = address.removeprefix("[").removesuffix("]")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InvalidError(
            f"invalid bind address tcp://{place}: expected tcp://ADDRESS:PORT", field="host", value=place
        )
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    try:
        return socket.create_server((bare, int(port)), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UnavailableError(
            f"cannot listen on tcp://{place}: {error.strerror}", field="host", value=place
        ) from error


def _tls(values: Values) -> ssl.SSLContext:
    """Clients have to show a certificate that the authority signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(values["tlscacert"])
        context.load_cert_chain(values["tlscert"], values["tlskey"])
    except OSError as error:  # ssl.SSLError is one
        raise InvalidError(f"cannot use the TLS certificates: {error}", field="tlscert") from error
    return context


def _inherited() -> list[socket.socket]:
    """The sockets of socket activation (sd_listen_fds(3)); not for our children."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise UnavailableError(
            "no socket was passed to the daemon",
            field="host",
            hint="fd:// is for socket activation: start linkspan.socket",
        )
    count = int(os.environ.get("LISTEN_FDS", "0"))
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    try:
        found = [socket.socket(fileno=number) for number in range(FIRST_INHERITED, FIRST_INHERITED + count)]
    except OSError as error:
        raise UnavailableError(
            f"what was passed to the daemon is not a socket: {error.strerror}", field="host"
        ) from error
    for each in found:
        each.set_inheritable(False)
    return found
