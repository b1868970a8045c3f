"""What the overlay reports about tapes, and how it is written down (JSON, version 1).

A signal is one line of JSON on the feed and one row of the outbox. Every field is always present,
but for those that version 1 was added to (`_ADDED`), which are left out when they say nothing. The
sentinel values are these:

``label == ""``
    the signal is about a whole pool (a pool directory was renamed): every tape below it may have
    come or gone, and the receiver must sweep.
``identity is None``
    the tape was not there, or could not be looked at, at that moment.
``extents is None``
    which bytes changed is not known: any may have. An empty list means that none did.
``session == ""``
    no session is involved (*changed*, *moved*, *removed*, *received*).
``seq == 0``
    not yet committed to an outbox.
``companions == ("*",)``
    more companions changed than are listed: any may have.
``cause`` beginning with `LATER`
    a later release reports what this one has no word for: the tape may have changed in any way.

`golden` files under ``tests/golden`` pin the encoding; version 1 is only ever added to.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Self

from vtsfs.contract.errors import FeedError
from vtsfs.contract.extents import ExtentSet
from vtsfs.contract.naming import PoolId, TapeId

#: Version of the signal encoding and of the feed that carries it.
PROTOCOL = 1

#: What decoding hostile or damaged JSON can raise: also an infinite number, also endless nesting.
MALFORMED = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


#: Fields that the first readers of version 1 do not know; left out when they have their default.
_ADDED = ("quiet_ns", "companions")

#: How the cause begins of a signal of a kind that is not known here.
LATER = "told by a later release: "
#: What such a signal need not have for us, and what it is taken for. It has its place in the feed.
_LEAST: Mapping[str, Any] = {"identity": None, "merged": 0, "origin": ""}
_TAKEN_FOR: Mapping[str, Any] = {
    "kind": "changed",
    "access": "write",
    "session": "",
    "opened": None,
    "wrote": True,
    "bytes_written": 0,
    "extents": None,
    "synced": False,
}

#: Most companions that a signal names.
MOST_COMPANIONS = 64
#: Stands for all companions of a tape, where they are too many to be named.
ALL_COMPANIONS = ("*",)

#: Ranges that are encoded in one go.
_PIECE = 4096


class Kind(StrEnum):
    """What happened. The first three belong to a session, the others do not."""

    MOUNTED = "mounted"
    DISMOUNTED = "dismounted"
    INTERRUPTED = "interrupted"
    CHANGED = "changed"
    MOVED = "moved"
    REMOVED = "removed"
    RECEIVED = "received"


class Access(StrEnum):
    """How a session had the tape open. Readers and writers of one tape are separate sessions."""

    READ = "read"
    WRITE = "write"


_KINDS = frozenset(map(str, Kind))
_ACCESSES = frozenset(map(str, Access))


@dataclass(frozen=True, slots=True)
class Identity:
    """What ``stat`` says of the file behind a tape; equal identities mean unchanged bytes.

    *size* is in bytes, *mtime_ns* and *ctime_ns* in nanoseconds since the epoch.
    """

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int

    def same_bytes(self, other: "Identity | None") -> bool:
        """Tell whether *other* is the same file with the same content, as far as stat can tell.

        ctime is left out: chmod, rename and a new hard link touch it and change no byte, and what
        changes bytes touches mtime too, unless somebody sets it back on purpose. The device is left
        out: it can have another number after a reboot, and a vault is one file system.
        """
        return other is not None and (self.ino, self.size, self.mtime_ns) == (
            other.ino,
            other.size,
            other.mtime_ns,
        )


@dataclass(frozen=True, slots=True)
class Signal:
    """One report of the overlay.

    *seq* counts up from 1 within one outbox. *boot_id* is the kernel's random boot identifier;
    *wall_ns* is time since the epoch, *mono_ns* the monotonic clock of that boot, both in
    nanoseconds. *session* names the session within the outbox.

    *identity* is the tape as it is after the event; *opened* the tape as it was before the first
    open, or before what changed it without a session, where the extents of that are known. Extents
    tell what changed between the two, and nothing about what came before. *wrote* says whether a byte was written or cut off; *bytes_written*
    counts them. *synced* says whether the tape was made durable before this was reported. *merged*
    is the number of further sessions folded into this one while nobody listened. *origin* is the
    tape's or pool's former name (*moved*), empty if it was no tape. *cause* says in a word what did
    it (``truncate``, ``rename-over``, ``crash``...).

    *quiet_ns* (*dismounted* only) is how long before the report the last handle was released, in
    nanoseconds: the overlay has waited for so long already whether somebody comes back. *companions*
    are the names of the tape's companions that changed with it.
    """

    kind: Kind
    vault: str
    pool: str
    label: str
    boot_id: str
    wall_ns: int
    mono_ns: int
    identity: Identity | None = None
    seq: int = 0
    session: str = ""
    access: Access = Access.WRITE
    opened: Identity | None = None
    wrote: bool = False
    bytes_written: int = 0
    extents: tuple[tuple[int, int], ...] | None = ()
    synced: bool = False
    merged: int = 0
    origin: str = ""
    cause: str = ""
    quiet_ns: int = 0
    companions: tuple[str, ...] = ()

    @property
    def tape(self) -> TapeId | None:
        """The tape, or None for a signal about a whole pool."""
        return TapeId(self.vault, self.pool, self.label) if self.label else None

    @property
    def pool_id(self) -> PoolId:
        """The pool the signal is about."""
        return PoolId(self.vault, self.pool)

    def with_seq(self, seq: int) -> "Signal":
        """Return the same signal under its sequence number."""
        return replace(self, seq=seq)

    def to_json(self) -> str:
        """Write the signal as one line of JSON, without the line's end.

        Extents are written in pieces: 64 Ki ranges take 20 ms, and the thread that does it must
        let others run meanwhile, which the encoder itself does not.
        """
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in _ADDED:
            if not known[name]:
                del known[name]
        for name in ("identity", "opened"):
            if known[name] is not None:
                known[name] = asdict(known[name])
        extents = known["extents"]
        if extents is None or len(extents) <= _PIECE:
            return _compact(known)
        known["extents"] = []
        before, after = _compact(known).split('"extents":[]', 1)
        pieces = (
            _compact(extents[at : at + _PIECE])[1:-1] for at in range(0, len(extents), _PIECE)
        )
        return f'{before}"extents":[{",".join(pieces)}]{after}'

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote; raise `FeedError` for anything else.

        Unknown fields are ignored: a newer overlay may say more than an older agent understands.
        """
        try:
            return cls.from_mapping(json.loads(text))
        except MALFORMED as error:
            raise FeedError(f"not a signal of version {PROTOCOL}: {error!r}") from error

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Self:
        """Build a signal from decoded JSON; raises one of `MALFORMED`.

        A kind, or a way of having a tape open, that only a later release knows is taken for a change
        of any of the tape's bytes: nobody may miss one.
        """
        kind, access = str(data["kind"]), str(data.get("access", "?"))
        if kind not in _KINDS or access not in _ACCESSES:
            data = {**_LEAST, **data, **_TAKEN_FOR, "cause": f"{LATER}{kind[:40]} {access[:40]}"}
        extents = data["extents"]
        return cls(
            kind=Kind(data["kind"]),
            vault=str(data["vault"]),
            pool=str(data["pool"]),
            label=str(data["label"]),
            boot_id=str(data["boot_id"]),
            wall_ns=int(data["wall_ns"]),
            mono_ns=int(data["mono_ns"]),
            identity=_identity(data["identity"]),
            seq=int(data["seq"]),
            session=str(data["session"]),
            access=Access(data["access"]),
            opened=_identity(data["opened"]),
            wrote=bool(data["wrote"]),
            bytes_written=int(data["bytes_written"]),
            extents=None if extents is None else tuple(_extent(*pair) for pair in extents),
            synced=bool(data["synced"]),
            merged=int(data["merged"]),
            origin=str(data["origin"]),
            cause=str(data["cause"]),
            quiet_ns=int(data.get("quiet_ns", 0)),
            companions=tuple(map(str, data.get("companions", ()))),
        )


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _identity(data: Mapping[str, Any] | None) -> Identity | None:
    if data is None:
        return None
    return Identity(**{field.name: int(data[field.name]) for field in fields(Identity)})


def _extent(start: int, end: int) -> tuple[int, int]:
    if not 0 <= int(start) <= int(end):
        raise ValueError(f"no byte range: {start} to {end}")
    return int(start), int(end)


def merge(earlier: Signal, later: Signal) -> Signal:
    """Fold two finished sessions of one tape, neither of them delivered, into one report.

    The merged report covers at least what either covered. Its extents are known only if nothing
    happened in between: the later session must have found the tape as the earlier one left it.
    """
    contiguous = earlier.identity is not None and earlier.identity == later.opened
    extents: tuple[tuple[int, int], ...] | None = None
    if contiguous and earlier.extents is not None and later.extents is not None:
        extents = tuple(ExtentSet.union(earlier.extents, later.extents))
    return replace(
        later,
        opened=earlier.opened,
        wrote=earlier.wrote or later.wrote,
        bytes_written=earlier.bytes_written + later.bytes_written,
        extents=extents,
        merged=earlier.merged + later.merged + 1,
        companions=all_companions(earlier.companions, later.companions),
    )


def all_companions(*groups: Iterable[str]) -> tuple[str, ...]:
    """Put the names of companions together, each once and in order, or say that they are too many."""
    names = sorted(set().union(*groups))
    if len(names) > MOST_COMPANIONS or ALL_COMPANIONS[0] in names:
        return ALL_COMPANIONS
    return tuple(names)
