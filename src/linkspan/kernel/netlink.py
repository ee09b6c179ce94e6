"""Netlink: the message codec, and a socket that sends many requests at once.

Theory of operation. A request is a type, flags and a body; `Socket.exchange` numbers a whole batch, sends it with one
system call and sorts what comes back by number. The kernel answers failures always and successes only when asked, so
only the last request of a batch asks: when its acknowledgement arrives everything before it has been decided, and the
silent ones succeeded. The kernel goes on after a failure inside a batch.

The codec is total: bytes that are not netlink raise `NetlinkFormatError` and nothing else.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

NETLINK_ROUTE = 0

NLMSG_ERROR = 2
NLMSG_DONE = 3

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLM_F_ROOT = NLM_F_REPLACE = 0x100
NLM_F_EXCL = NLM_F_MATCH = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = NLM_F_ROOT | NLM_F_MATCH

NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF

SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NETLINK_GET_STRICT_CHK = 12
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_NLMSGERR_ATTR_MSG = 1

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")

_BUFFER = 4 << 20
"""Room for the answers to a batch: the kernel charges about 1 KiB per error message, and drops what does not fit."""
_BATCH_MESSAGES = 512
_BATCH_BYTES = 64 << 10
_RECEIVE = 64 << 10
"""The kernel builds dump messages of at most 32 KiB."""
_DUMP_ATTEMPTS = 20


class NetlinkFormatError(ValueError):
    """Bytes that are not a netlink message or attribute."""


class NetlinkError(OSError):
    """The kernel refused a request; `strerror` is its own explanation where it gave one."""


class Message(NamedTuple):
    """One message as received, without its header."""

    type: int
    flags: int
    sequence: int
    body: bytes


class Request(NamedTuple):
    """One message to send. `flags` are added to NLM_F_REQUEST."""

    type: int
    flags: int
    body: bytes


@dataclass(slots=True)
class Answer:
    """What came back for one request."""

    error: NetlinkError | None = None
    replies: list[bytes] = field(default_factory=list)


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(payload), kind) + payload + _PADDING[len(payload) & 3]


def text(kind: int, value: str) -> bytes:
    """An attribute holding a zero-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def u8(kind: int, value: int) -> bytes:
    """An attribute holding one byte."""
    return attribute(kind, bytes((value,)))


def u32(kind: int, value: int) -> bytes:
    """An attribute holding a 32-bit number in host order."""
    return attribute(kind, value.to_bytes(4, sys.byteorder))


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute holding attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def number(payload: bytes) -> int:
    """The value of an 8-, 16- or 32-bit attribute in host order."""
    return int.from_bytes(payload, sys.byteorder)


def string(payload: bytes) -> str:
    """The value of a text attribute. Names are bytes to the kernel; what is not UTF-8 is shown, not refused."""
    return payload.rstrip(b"\0").decode(errors="backslashreplace")


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes in `data` from `offset` on, by type without flags; the last of a repeated type wins."""
    found: dict[int, bytes] = {}
    end = len(data)
    while end - offset >= 4:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > end:
            raise NetlinkFormatError(f"attribute of {length} bytes at {offset} of {end}")
        found[kind & NLA_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def encode(request: Request, sequence: int, flags: int = 0) -> bytes:
    """The bytes of a request."""
    flags |= request.flags | NLM_F_REQUEST
    return _HEADER.pack(16 + len(request.body), request.type, flags, sequence, 0) + request.body


def decode(data: bytes) -> Iterator[Message]:
    """The messages in a datagram."""
    offset, end = 0, len(data)
    while end - offset >= 16:
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < 16 or offset + length > end:
            raise NetlinkFormatError(f"message of {length} bytes at {offset} of {end}")
        yield Message(kind, flags, sequence, data[offset + 16 : offset + length])
        offset += (length + 3) & ~3


def refusal(message: Message) -> NetlinkError | None:
    """What an NLMSG_ERROR or NLMSG_DONE message says: None for success."""
    if len(message.body) < 4:
        raise NetlinkFormatError("error message without an error number")
    code = -_ERROR.unpack_from(message.body)[0]
    if code <= 0:
        return None
    explanation = os.strerror(code)
    if message.type == NLMSG_ERROR and message.flags & NLM_F_ACK_TLVS:
        # The request's header follows the number, and all of the request unless the kernel cut it off.
        offset = 20
        if not message.flags & NLM_F_CAPPED and len(message.body) >= 8:
            offset = 4 + ((_HEADER.unpack_from(message.body.ljust(20, b"\0"), 4)[0] + 3) & ~3)
        if said := attributes(message.body, offset).get(_NLMSGERR_ATTR_MSG):
            explanation = f"{string(said)} ({explanation})"
    return NetlinkError(code, explanation)


class Socket:
    """A netlink socket; it belongs to the network namespace of the thread that makes it, and may be used from any."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        for level, name, value in (
            (socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER),
            (socket.SOL_SOCKET, _SO_SNDBUFFORCE, _BUFFER),
            (SOL_NETLINK, _NETLINK_CAP_ACK, 1),
            (SOL_NETLINK, _NETLINK_EXT_ACK, 1),
            (SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1),
        ):
            try:
                self._socket.setsockopt(level, name, value)
            except OSError:
                continue  # all of them are improvements that an older kernel or a missing capability may refuse
        self._sequence = 0

    def exchange(self, requests: Sequence[Request]) -> list[Answer]:
        """Send `requests` in as few system calls as possible; one answer each, in order."""
        answers: list[Answer] = []
        for batch in _batches(requests):
            answers += self._exchange(batch)
        return answers

    def _exchange(self, requests: Sequence[Request]) -> list[Answer]:
        first = self._sequence + 1
        last = self._sequence = self._sequence + len(requests)
        data = [encode(request, first + place) for place, request in enumerate(requests)]
        data[-1] = encode(requests[-1], last, NLM_F_ACK)
        self._socket.sendall(b"".join(data))
        answers = [Answer() for _ in requests]
        while True:
            for message in self._receive():
                if not first <= message.sequence <= last:
                    continue  # the tail of an exchange that an exception ended
                answer = answers[message.sequence - first]
                if message.type != NLMSG_ERROR:
                    answer.replies.append(message.body)
                    continue
                answer.error = refusal(message)
                if message.sequence == last:
                    return answers

    def call(self, request: Request) -> list[bytes]:
        """Send one request and return its replies. Raises `NetlinkError`."""
        (answer,) = self.exchange([request])
        if answer.error is not None:
            raise answer.error
        return answer.replies

    def dump(self, request: Request) -> list[bytes]:
        """Everything of a kind. Starts over when the kernel says that the list changed under way."""
        for _ in range(_DUMP_ATTEMPTS):
            bodies = self._dump(request)
            if bodies is not None:
                return bodies
        raise NetlinkError(errno.EBUSY, "the kernel's tables change too fast to be listed")

    def _dump(self, request: Request) -> list[bytes] | None:
        self._sequence += 1
        self._socket.sendall(encode(request, self._sequence, NLM_F_DUMP))
        bodies: list[bytes] = []
        interrupted = False
        while True:
            for message in self._receive():
                if message.sequence != self._sequence:
                    continue
                interrupted = interrupted or bool(message.flags & NLM_F_DUMP_INTR)
                if message.type not in (NLMSG_DONE, NLMSG_ERROR):
                    bodies.append(message.body)
                    continue
                # A routing table that no route was ever put in does not exist: there is nothing to list.
                if (error := refusal(message)) is not None and error.errno != errno.ENOENT:
                    raise error
                return None if interrupted else bodies

    def _receive(self) -> Iterator[Message]:
        data = self._socket.recv(_RECEIVE, socket.MSG_TRUNC)
        if len(data) > _RECEIVE:
            raise NetlinkError(errno.EMSGSIZE, f"the kernel sent {len(data)} bytes in one message")
        return decode(data)

    def close(self) -> None:
        """Close; harmless when repeated."""
        self._socket.close()


def _batches(requests: Sequence[Request]) -> Iterable[Sequence[Request]]:
    """Cut so that neither the requests nor the answers to them overflow a socket buffer."""
    start = size = 0
    for place, request in enumerate(requests):
        length = 16 + len(request.body)
        if place > start and (place - start == _BATCH_MESSAGES or size + length > _BATCH_BYTES):
            yield requests[start:place]
            start, size = place, 0
        size += length
    if start < len(requests):
        yield requests[start:]
