"""The system calls of the bench, its own netlink messages and nft context. Nothing of the product is used here."""

import ctypes
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 1 << 18, 2
OWN_NAMESPACE = "/proc/thread-self/ns/net"

Value = TypeVar("Value")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def unshare(kind: int) -> None:
    """Give the calling thread namespaces of its own."""
    _check(_libc.unshare(kind))


def enter(namespace: Path) -> None:
    """Move the calling thread into a network namespace."""
    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(fd, CLONE_NEWNET))
    finally:
        os.close(fd)


def mount(source: str, target: Path, *, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount a file system, or change how one is mounted."""
    _check(_libc.mount(source.encode(), os.fsencode(target), kind.encode() or None, flags, data.encode() or None))


def unmount(target: Path) -> None:
    """`umount --lazy`, with everything mounted below."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH))


def on_a_thread(function: Callable[[], Value]) -> Value:
    """Call `function`, which may change namespaces, on a thread that ends with it."""
    outcome: Future[Value] = Future()

    def call() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            outcome.set_exception(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return outcome.result()


RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_GETROUTE = 16, 17, 20, 24, 26
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE, NLM_F_DUMP = 0x1, 0x4, 0x200, 0x400, 0x300
NLMSG_DONE = 3
MAKE = NLM_F_CREATE | NLM_F_EXCL


def attribute(kind: int, payload: bytes) -> bytes:
    """One netlink attribute."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def text(kind: int, value: str) -> bytes:
    """A netlink attribute that holds a string."""
    return attribute(kind, value.encode() + b"\0")


def u32(kind: int, value: int) -> bytes:
    """A netlink attribute that holds a number."""
    return attribute(kind, struct.pack("=I", value))


def link(*, index: int = 0, up: bool = False) -> bytes:
    """`struct ifinfomsg`."""
    return struct.pack("=BxHiII", 0, 0, index, int(up), int(up))


def batch(*messages: tuple[int, int, bytes]) -> bytes:
    """Messages (type, flags, body) as one datagram; only the last asks for an answer."""
    parts = []
    for number, (kind, flags, body) in enumerate(messages, 1):
        flags |= NLM_F_REQUEST | (NLM_F_ACK if number == len(messages) else 0)
        parts.append(struct.pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body)
    return b"".join(parts)


def netlink(protocol: int = 0) -> socket.socket:
    """A netlink socket (rtnetlink's by default) in the namespace of the calling thread."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)


def exchange(connection: socket.socket, data: bytes, count: int) -> None:
    """Send a batch of `count` messages and wait until the last is done. Raises OSError for the first refusal."""
    connection.send(data)
    while True:
        answer = connection.recv(16384)
        _, _, _, number, _, code = struct.unpack_from("=IHHIIi", answer)
        if code:
            raise OSError(-code, f"message {number}: {os.strerror(-code)}")
        if number == count:
            return


def dump(connection: socket.socket, data: bytes) -> None:
    """Send a request for a listing, and read all of it."""
    connection.send(data)
    while True:
        answer, place = connection.recv(65536), 0
        while place < len(answer):
            length, kind = struct.unpack_from("=IH", answer, place)
            if kind == NLMSG_DONE:
                return
            place += (length + 3) & ~3


class Nft:
    """A libnftables context in the namespace of the thread that makes it."""

    def __init__(self) -> None:
        self._library = library = ctypes.CDLL("libnftables.so.1")
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        self._context = ctypes.c_void_p(library.nft_ctx_new(0))
        library.nft_ctx_buffer_error(self._context)

    def run(self, script: bytes) -> None:
        """One transaction."""
        if self._library.nft_run_cmd_from_buffer(self._context, script):
            raise OSError(errno.EINVAL, self._library.nft_ctx_get_error_buffer(self._context).decode())

    def close(self) -> None:
        """Free the context."""
        self._library.nft_ctx_free(self._context)


def buffer(data: bytes) -> "ctypes.Array[ctypes.c_char]":
    """Memory that the kernel can be pointed to."""
    return ctypes.create_string_buffer(data, len(data))


def address_of(memory: "ctypes.Array[ctypes.c_char]") -> int:
    """Where it is."""
    return ctypes.addressof(memory)
