"""The C library calls that Python 3.11 lacks, and libnftables. The only module with ctypes.

`setns` and `unshare` act on the calling thread, not on the process: see `thread.py` for who may call them.
"""

import ctypes
import errno
import os
import platform
import re
import socket
import struct
from collections.abc import Callable, Mapping
from enum import IntFlag
from functools import cache

from linkspan.model.errors import UnavailableError

CLONE_NEWNET = 0x40000000
MS_BIND = 4096
MNT_DETACH = 2
IN_MODIFY, IN_MOVED_TO, IN_CREATE, IN_ONESHOT = 0x2, 0x80, 0x100, 0x80000000
NETLINK_NETFILTER = 12

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_libc.inotify_init1.argtypes = (ctypes.c_int,)
_libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_libc.setns.argtypes = (ctypes.c_int, ctypes.c_int)
_libc.unshare.argtypes = (ctypes.c_int,)


def _check(result: int, path: str | os.PathLike[str] | None = None) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), None if path is None else os.fspath(path))


def setns(fd: int, kind: int = CLONE_NEWNET) -> None:
    """Move the calling thread into the namespace behind `fd`."""
    _check(_libc.setns(fd, kind))


def unshare(kind: int = CLONE_NEWNET) -> None:
    """Move the calling thread into a new namespace."""
    _check(_libc.unshare(kind))


def bind_mount(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """`mount --bind source target`."""
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, MS_BIND, None), target)


def mount_overlay(target: str | os.PathLike[str], options: str, source: str) -> None:
    """`mount -t overlay -o options source target`; the source is only shown, it names no device."""
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), b"overlay", 0, os.fsencode(options)), target)


MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8


def mount_tmpfs(target: str | os.PathLike[str], options: str) -> None:
    """`mount -t tmpfs -o nosuid,nodev,noexec,options shm target`."""
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    _check(_libc.mount(b"shm", os.fsencode(target), b"tmpfs", flags, os.fsencode(options)), target)


MS_RDONLY, MS_REMOUNT = 1, 32


def make_read_only(target: str | os.PathLike[str]) -> None:
    """`mount -o remount,bind,ro target`."""
    _check(_libc.mount(None, os.fsencode(target), None, MS_BIND | MS_REMOUNT | MS_RDONLY, None), target)


_SYS_OPENAT2 = 437
"""On every architecture."""
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
_ATTEMPTS = 16


def open_inside(root: int, path: str, flags: int) -> int:
    """openat2(2) with RESOLVE_IN_ROOT: the directory `root` is `/`, and its own `..`, to every part of the path.

    The kernel gives up (EAGAIN) when something was renamed on the way: it is tried again.
    """
    how = struct.pack("=QQQ", flags, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    name = os.fsencode(path)
    if b"\0" in name:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    for _ in range(_ATTEMPTS):
        fd = int(_libc.syscall(_SYS_OPENAT2, root, name, how, len(how)))
        if fd >= 0:
            return fd
        if ctypes.get_errno() != errno.EAGAIN:
            break
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), path)


def inotify() -> int:
    """An inotify descriptor, non-blocking."""
    fd = int(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    _check(min(fd, 0))
    return fd


def add_watch(fd: int, path: str | os.PathLike[str], mask: int) -> int:
    """The number under which an inotify descriptor tells what happens at a path."""
    number = int(_libc.inotify_add_watch(fd, os.fsencode(path), mask))
    _check(min(number, 0), path)
    return number


def detach_mount(target: str | os.PathLike[str]) -> None:
    """`umount --lazy target`."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), target)


_BPF_PROG_LOAD = 5
_BPF_PROG_TYPE_SOCKET_FILTER = 1
_SYS_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
_DROP_EVERYTHING = struct.pack("=BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0)  # r0 = 0; exit


def load_drop_filter() -> int:
    """A descriptor of a socket filter (for SO_ATTACH_BPF) that accepts no packet. Raises OSError without bpf(2)."""
    number = _SYS_BPF.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    program = ctypes.create_string_buffer(_DROP_EVERYTHING, len(_DROP_EVERYTHING))
    license = ctypes.create_string_buffer(b"GPL")
    instructions = len(_DROP_EVERYTHING) // 8
    addresses = (ctypes.addressof(program), ctypes.addressof(license))
    request = struct.pack("=IIQQ96x", _BPF_PROG_TYPE_SOCKET_FILTER, instructions, *addresses)
    fd = int(_libc.syscall(number, _BPF_PROG_LOAD, request, len(request)))
    _check(min(fd, 0))
    return fd


class NftablesError(OSError):
    """nft refused a script. `errno` is the kernel's when it was the kernel, else EINVAL; `strerror` is nft's text."""


class Output(IntFlag):
    """What nft prints (`NFT_CTX_OUTPUT_*` of libnftables.h)."""

    DEFAULT = 0
    STATELESS = 1 << 2
    NUMERIC_PRIO = 1 << 8


_REASON = re.compile(r"Error: (?:Could not process rule: )?(.+)$", re.MULTILINE)


@cache
def _errnos_by_text() -> Mapping[str, int]:
    return {os.strerror(number): number for number in errno.errorcode}


def _nft_errno(text: str) -> int:
    """The library prints errno as text only; translate it back. A script it cannot parse is EINVAL."""
    known = _errnos_by_text()
    reasons = (match[1].strip() for match in _REASON.finditer(text))
    return next((known[reason] for reason in reasons if reason in known), errno.EINVAL)


@cache
def _libnftables() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError as error:
        raise UnavailableError(
            "the nftables library is missing: libnftables.so.1 cannot be loaded",
            hint="install the package libnftables1 (Debian, Ubuntu) or nftables (others)",
        ) from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = (ctypes.c_uint32,)
    library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    for name in ("buffer_output", "buffer_error", "get_output_buffer", "get_error_buffer", "free"):
        getattr(library, f"nft_ctx_{name}").argtypes = (ctypes.c_void_p,)
    library.nft_ctx_output_set_flags.argtypes = (ctypes.c_void_p, ctypes.c_uint)
    library.nft_ctx_output_set_flags.restype = None
    library.nft_ctx_free.restype = None
    library.nft_run_cmd_from_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    return library


class Nftables:
    """One libnftables context: scripts in, text out. Not thread-safe.

    Its netlink socket belongs to the network namespace of the thread that makes the object.
    """

    def __init__(self) -> None:
        self._library = _libnftables()
        _require_netfilter()
        context = self._library.nft_ctx_new(0)
        if not context:
            raise MemoryError("nft_ctx_new")
        self._context: int | None = context
        for buffer in (self._library.nft_ctx_buffer_output, self._library.nft_ctx_buffer_error):
            if buffer(context) != 0:
                self.close()
                raise MemoryError("nft_ctx_buffer")

    def run(self, script: str, output: Output = Output.DEFAULT) -> str:
        """Run `script` as one transaction and return what nft prints. Raises `NftablesError`."""
        if self._context is None:
            raise ValueError("the nftables context is closed")
        self._library.nft_ctx_output_set_flags(self._context, output)
        failed = self._library.nft_run_cmd_from_buffer(self._context, script.encode())
        # Reading a buffer empties it, so both are read whatever happened.
        printed = self._take(self._library.nft_ctx_get_output_buffer)
        complaint = self._take(self._library.nft_ctx_get_error_buffer)
        if failed:
            raise NftablesError(_nft_errno(complaint), complaint.strip() or "nft failed without a word")
        return printed

    def _take(self, getter: Callable[[int | None], bytes | None]) -> str:
        return (getter(self._context) or b"").decode(errors="replace")

    def close(self) -> None:
        """Free the context and its socket; harmless when repeated."""
        if self._context is not None:
            self._library.nft_ctx_free(self._context)
            self._context = None


def _require_netfilter() -> None:
    """The library calls exit(3) when it cannot open its socket: ask first."""
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER).close()
    except OSError as error:
        raise UnavailableError(
            f"the kernel has no netfilter netlink: {error.strerror}",
            hint="load the module nf_tables, or use a kernel with CONFIG_NF_TABLES",
        ) from error
