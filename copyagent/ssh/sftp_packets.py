"""SFTP version 3 in bytes: requests composed, answers read. Pure; nothing of a server is believed.

The protocol is draft-ietf-secsh-filexfer-02; what OpenSSH adds to it is in its file PROTOCOL.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

_T = TypeVar("_T")

VERSION = 3

OPEN_READ = 0x1
OPEN_WRITE = 0x2
OPEN_NEW = 0x28

_STATUS, _HANDLE, _DATA, _NAME, _ATTRS, _EXTENDED_REPLY = 101, 102, 103, 104, 105, 201
_HELLO, _EXTENDED = 2, 200

_OK, _END, _NO_SUCH_FILE, _PERMISSION_DENIED, _FAILURE, _UNSUPPORTED = 0, 1, 2, 3, 4, 8
#: Of later versions of the protocol, but some servers say them.
_NO_SPACE, _QUOTA = 14, 15

_HAS_SIZE, _HAS_OWNER, _HAS_MODE, _HAS_TIMES, _HAS_MORE = 0x1, 0x2, 0x4, 0x8, 0x80000000

_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_PAIR = struct.Struct(">II")
_HEAD = struct.Struct(">IBI")


class BadAnswer(Exception):
    """The server sent what is no SFTP, or no answer to this request."""


class Refusal(Exception):
    """The server answered a request with a status that is not OK."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code

    @property
    def missing(self) -> bool:
        """Whether there is no such file or directory."""
        return self.code == _NO_SUCH_FILE

    @property
    def denied(self) -> bool:
        """Whether the permission is missing."""
        return self.code == _PERMISSION_DENIED

    @property
    def full(self) -> bool:
        """Whether the disk or a quota is full."""
        return self.code in {_NO_SPACE, _QUOTA}

    @property
    def unsupported(self) -> bool:
        """Whether the server does not know the request."""
        return self.code == _UNSUPPORTED

    @property
    def at_end(self) -> bool:
        """Whether there is nothing more: of a file, or of a directory."""
        return self.code == _END

    @property
    def silent(self) -> bool:
        """Whether the server told no reason, as it does for most of what can go wrong."""
        return self.code == _FAILURE


class Request(NamedTuple):
    """One request: its type, what follows its number, and bytes of a file at the end.

    *needs* names the extension of the protocol that the server must offer for it.
    """

    kind: int
    body: bytes
    data: bytes | memoryview = b""
    needs: bytes = b""

    def pieces(self, number: int) -> Sequence[bytes | memoryview]:
        """Compose the bytes on the line, in parts; those of the file are not copied."""
        size = 5 + len(self.body) + len(self.data)
        head = _HEAD.pack(size, self.kind, number) + self.body
        return (head, self.data) if self.data else (head,)


class Answer(NamedTuple):
    """What came back for one request: its type, and what follows the request's number."""

    kind: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Attributes:
    """What the server says of a file; None for what it does not tell."""

    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    atime: int | None = None
    mtime: int | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """One line of a directory's listing; *long* is that line as ls(1) would print it."""

    name: bytes
    long: bytes
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class FileSystem:
    """What statvfs(3) says: *unit* is the size of a block in bytes."""

    unit: int
    blocks: int
    blocks_available: int
    files: int
    files_available: int
    read_only: bool


def _text(raw: bytes) -> bytes:
    return _U32.pack(len(raw)) + raw


# ------------------------------------------------------------------------------------ requests


def hello() -> bytes:
    """Compose the first packet, which is no request."""
    return _HEAD.pack(5, 1, VERSION)


def open_file(path: bytes, flags: int, mode: int) -> Request:
    """Open a file; *flags* are of `OPEN_READ`, `OPEN_WRITE` and `OPEN_NEW`."""
    return Request(3, _text(path) + struct.pack(">III", flags, _HAS_MODE, mode))


def close(handle: bytes) -> Request:
    """Give a handle back."""
    return Request(4, _text(handle))


def read(handle: bytes, offset: int, size: int) -> Request:
    """Read up to *size* bytes."""
    return Request(5, _text(handle) + struct.pack(">QI", offset, size))


def write(handle: bytes, offset: int, data: bytes | memoryview) -> Request:
    """Write all of *data*."""
    return Request(6, _text(handle) + struct.pack(">QI", offset, len(data)), data)


def lstat(path: bytes) -> Request:
    """Ask for the attributes of a name, not of what it may link to."""
    return Request(7, _text(path))


def fstat(handle: bytes) -> Request:
    """Ask for the attributes of an open file."""
    return Request(8, _text(handle))


def set_mode(path: bytes, mode: int) -> Request:
    """Set a file's permissions."""
    return Request(9, _text(path) + _PAIR.pack(_HAS_MODE, mode))


def set_size(handle: bytes, size: int) -> Request:
    """Cut or lengthen an open file."""
    return Request(10, _text(handle) + struct.pack(">IQ", _HAS_SIZE, size))


def set_mode_and_times(handle: bytes, mode: int, atime: int, mtime: int) -> Request:
    """Set permissions and times, in seconds, of an open file."""
    values = struct.pack(">IIII", _HAS_MODE | _HAS_TIMES, mode, atime, mtime)
    return Request(10, _text(handle) + values)


def open_directory(path: bytes) -> Request:
    """Begin to list a directory."""
    return Request(11, _text(path))


def read_directory(handle: bytes) -> Request:
    """Ask for some more names."""
    return Request(12, _text(handle))


def remove(path: bytes) -> Request:
    """Remove a name that is no directory's."""
    return Request(13, _text(path))


def make_directory(path: bytes, mode: int) -> Request:
    """Make a directory; the server takes from its permissions what its umask does."""
    return Request(14, _text(path) + _PAIR.pack(_HAS_MODE, mode))


def remove_directory(path: bytes) -> Request:
    """Remove an empty directory."""
    return Request(15, _text(path))


def _extended(name: bytes, arguments: bytes) -> Request:
    return Request(_EXTENDED, _text(name) + arguments, needs=name)


POSIX_RENAME = b"posix-rename@openssh.com"
FSYNC = b"fsync@openssh.com"
HARD_LINK = b"hardlink@openssh.com"
STATVFS = b"statvfs@openssh.com"
LIMITS = b"limits@openssh.com"
COPY_DATA = b"copy-data"


def posix_rename(old: bytes, new: bytes) -> Request:
    """Rename as rename(2) does."""
    return _extended(POSIX_RENAME, _text(old) + _text(new))


def fsync(handle: bytes) -> Request:
    """Make an open file, or a directory's entries, durable."""
    return _extended(FSYNC, _text(handle))


def link(existing: bytes, new: bytes) -> Request:
    """Give a file one more name."""
    return _extended(HARD_LINK, _text(existing) + _text(new))


def statvfs(path: bytes) -> Request:
    """Measure a file system."""
    return _extended(STATVFS, _text(path))


def limits() -> Request:
    """Ask for the largest requests that the server takes."""
    return _extended(LIMITS, b"")


def copy_data(source: bytes, start: int, length: int, into: bytes, at: int) -> Request:
    """Copy from one open file to another at the server (draft-ietf-secsh-filexfer-extensions-00)."""
    first = _text(source) + struct.pack(">QQ", start, length)
    return _extended(COPY_DATA, first + _text(into) + _U64.pack(at))


# ------------------------------------------------------------------------------------- answers


class _Reader:
    """Takes fields off the front of a packet; raises `BadAnswer` where there are none."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._raw)

    def take(self, size: int) -> bytes:
        found = self._raw[self._at : self._at + size]
        if len(found) != size:
            raise BadAnswer("a packet of the server ends too early")
        self._at += size
        return found

    def u32(self) -> int:
        return int.from_bytes(self.take(4))

    def u64(self) -> int:
        return int.from_bytes(self.take(8))

    def text(self) -> bytes:
        return self.take(self.u32())

    def attributes(self) -> Attributes:
        flags = self.u32()
        size = self.u64() if flags & _HAS_SIZE else None
        uid, gid = (self.u32(), self.u32()) if flags & _HAS_OWNER else (None, None)
        mode = self.u32() if flags & _HAS_MODE else None
        atime, mtime = (self.u32(), self.u32()) if flags & _HAS_TIMES else (None, None)
        for _ in range(self.u32() if flags & _HAS_MORE else 0):
            self.text()
            self.text()
        return Attributes(size, uid, gid, mode, atime, mtime)


def extensions(packet: bytes) -> dict[bytes, bytes]:
    """Read the server's first packet: what it offers, by name, with the version of each."""
    if packet[:1] != bytes([_HELLO]):
        raise BadAnswer("what the server says is no SFTP")
    reader = _Reader(packet[1:])
    if (version := reader.u32()) != VERSION:
        raise BadAnswer(f"the server speaks version {version} of SFTP, not {VERSION}")
    found = {}
    while reader:
        name = reader.text()
        found[name] = reader.text()
    return found


def number_of(packet: bytes) -> int:
    """Read the number of the request that *packet* answers."""
    if len(packet) < 5:
        raise BadAnswer("a packet of the server is too short")
    return int.from_bytes(packet[1:5])


def answer(packet: bytes) -> Answer:
    """Read what a packet answers."""
    return Answer(packet[0], packet[5:])


def done(given: Answer) -> None:
    """Read the answer to a request that is simply done; raises `Refusal`."""
    _read(given, _STATUS, lambda _: None)


def handle(given: Answer) -> bytes:
    """Read the handle of what was opened; raises `Refusal`."""
    return _read(given, _HANDLE, _Reader.text)


def data(given: Answer) -> bytes:
    """Read bytes of a file: none at its end; raises `Refusal`."""
    try:
        return _read(given, _DATA, _Reader.text)
    except Refusal as refusal:
        if refusal.at_end:
            return b""
        raise


def attributes(given: Answer) -> Attributes:
    """Read what the server says of a file; raises `Refusal`."""
    return _read(given, _ATTRS, _Reader.attributes)


def names(given: Answer) -> list[Name]:
    """Read some lines of a listing: none at its end; raises `Refusal`."""
    try:
        return _read(given, _NAME, _names)
    except Refusal as refusal:
        if refusal.at_end:
            return []
        raise


def _names(reader: _Reader) -> list[Name]:
    return [Name(reader.text(), reader.text(), reader.attributes()) for _ in range(reader.u32())]


def file_system(given: Answer) -> FileSystem:
    """Read the measures of a file system; raises `Refusal`."""
    values = _read(given, _EXTENDED_REPLY, lambda reader: [reader.u64() for _ in range(11)])
    block, unit, blocks, _, available, files, _, files_available, _, flags, _ = values
    return FileSystem(unit or block, blocks, available, files, files_available, bool(flags & 0x1))


def largest(given: Answer) -> tuple[int, int]:
    """Read how much the server reads and writes in one request, 0 for unknown."""
    values = _read(given, _EXTENDED_REPLY, lambda reader: [reader.u64() for _ in range(4)])
    return values[1], values[2]


def _read(given: Answer, kind: int, field: Callable[[_Reader], _T]) -> _T:
    reader = _Reader(given.body)
    if given.kind == _STATUS:
        code = reader.u32()
        if code != _OK:
            text = reader.text() if reader else b""
            raise Refusal(code, text.decode("utf-8", "replace") or f"status {code}")
    if given.kind != kind:
        raise BadAnswer(f"the server's answer is of type {given.kind} instead of {kind}")
    return field(reader)
