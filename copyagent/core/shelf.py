"""All tapes' records, most of them put away: of a tape at rest only a few bytes are in memory.

A tape is *at rest* when nothing waits for it: no session is open or unjudged, and each of its copies
is in a state that neither time nor a restart changes. Of 100,000 tapes all but some hundreds are.
What has to be known of them without looking at each record is in a `Resting`: the file's identity,
since when it is unprotected, and its `Shape`, which it shares with thousands of others. Anything else
is read from the agent's state when somebody asks for the record, which is then *awake*.

Nobody has to know: the shelf is a mapping of all records. Whoever wants to look at all of them asks
`active` and `resting` instead, for each record that is asked for is read. A record is put away only
when what is saved of it is the record as it is, so that nothing can be lost by it.
"""

import heapq
import struct
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Final, Protocol

from copyagent.core import tape as states
from copyagent.core.records import TapeRecord
from copyagent.core.witness import Evidence
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import Identity

#: How many records at rest are kept awake, those last used: hosts speak of the same tapes for a while.
ROOM = 500

#: States that only a witness, an operator or new settings end.
AT_REST = (states.Clean, states.Unsynced, states.Copied, states.Kept, states.Unmonitored)

_NO_EVIDENCE: Final = Evidence()
_CLEAN: Final = states.Clean().kind
_UNSYNCED: Final = states.Unsynced().kind
_UNMONITORED: Final = states.Unmonitored().kind

# Number of the shape, whether there is an identity, since when unprotected; the identity, of which
# what makes the same bytes comes last; and for what is unprotected, since when each copy is owed.
_HEAD: Final = struct.Struct("<IBq")
_IDENTITY: Final = struct.Struct("<QqQqq")
_BYTES_OF: Final = struct.Struct("<Qqq")
_SINCE: Final = struct.Struct("<q")
_BYTES_AT: Final = slice(_HEAD.size + _IDENTITY.size - _BYTES_OF.size, _HEAD.size + _IDENTITY.size)


@dataclass(frozen=True, slots=True)
class CopyAtRest:
    """How one copy of a tape at rest stands; *based*: a publication is on record.

    *how* is whether a kept one was erased or deleted at the source; *place* as in `CopyRecord`.
    """

    target: str
    kind: str
    how: str = ""
    place: str = ""
    based: bool = False

    @property
    def protected(self) -> bool:
        """Whether the target has all there is."""
        return self.kind != _UNSYNCED

    @property
    def adoptable(self) -> bool:
        """Whether nothing is known to have been copied, so that what lies there may be adopted."""
        return self.kind in (_CLEAN, _UNSYNCED)

    @property
    def words(self) -> str:
        """Name the state as operators read it."""
        return f"{self.kind} ({self.how} at source)" if self.how else self.kind

    @property
    def monitored(self) -> bool:
        """Whether the settings ask for this copy."""
        return self.kind != _UNMONITORED


@dataclass(frozen=True, slots=True)
class Shape:
    """What very many tapes at rest have in common. *late*: a host may still speak of a session."""

    copies: tuple[CopyAtRest, ...]
    late: bool = False

    @property
    def protected(self) -> bool:
        """Whether every target has all there is; what is not, and at rest, was never synced."""
        return all(copy.protected for copy in self.copies)


@dataclass(frozen=True, slots=True)
class Resting:
    """What is known of a tape at rest; *owed_ns* goes with the copies of its shape, empty for zeros."""

    shape: Shape
    identity: Identity | None
    behind_ns: int = 0
    owed_ns: tuple[int, ...] = ()

    def pack(self, number: int = 0) -> bytes:
        """Return it as bytes, but for the shape, which *number* stands for."""
        file = self.identity
        packed = _HEAD.pack(number, file is not None, self.behind_ns)
        if file is not None:
            packed += _IDENTITY.pack(file.dev, file.ctime_ns, file.ino, file.size, file.mtime_ns)
        return packed + b"".join(_SINCE.pack(since) for since in self.owed_ns)


def unpack(packed: bytes, shape: Shape) -> Resting:
    """Read what `Resting.pack` wrote."""
    _, there, behind_ns = _HEAD.unpack_from(packed)
    at, identity = _HEAD.size, None
    if there:
        dev, ctime_ns, ino, size, mtime_ns = _IDENTITY.unpack_from(packed, at)
        identity, at = Identity(dev, ino, size, mtime_ns, ctime_ns), at + _IDENTITY.size
    owed_ns = tuple(since for (since,) in _SINCE.iter_unpack(packed[at:]))
    return Resting(shape, identity, behind_ns, owed_ns)


@dataclass(frozen=True, slots=True)
class Lacking:
    """Unprotected *tapes* at rest of one pool and shape: since when (ns since the epoch), and label."""

    path: str
    shape: Shape
    tapes: list[tuple[int, str]]

    @property
    def targets(self) -> list[str]:
        """The targets that lack them."""
        return [copy.target for copy in self.shape.copies if not copy.protected]


@dataclass(frozen=True, slots=True)
class Unprotected:
    """The tapes at rest in *pool* that the same targets lack: a copy, to be gone through anywhere."""

    pool: PoolId
    targets: tuple[str, ...]
    number: int
    labels: dict[str, bytes]

    def tapes(self) -> Iterator[tuple[int, int]]:
        """Go through them: since when each is unprotected (ns since the epoch), and its size."""
        for packed in self.labels.values():
            number, there, behind_ns = _HEAD.unpack_from(packed)
            if number == self.number:
                yield behind_ns, _BYTES_OF.unpack(packed[_BYTES_AT])[1] if there else 0


def has_file(packed: bytes) -> bool:
    """Tell whether a tape at rest, as `Shelf.files` has it, is there, as far as is known."""
    return bool(packed[4])


def is_file(packed: bytes, ino: int, size: int, mtime_ns: int) -> bool:
    """Tell whether a tape at rest has these bytes, by what `Identity.same_bytes` compares."""
    return packed[_BYTES_AT] == _BYTES_OF.pack(ino, size, mtime_ns) and has_file(packed)


def at_rest(record: TapeRecord) -> Resting | None:
    """Return what has to be known of *record* while it is put away; None if it is not at rest."""
    if record.open or record.warned_open or record.evidence != _NO_EVIDENCE:
        return None
    copies = []
    for target, copy in record.copies.items():
        state = copy.state
        if not isinstance(state, AT_REST) or copy.intent or copy.override or copy.wish:
            return None
        if copy.hold is not None:
            return None
        protected = isinstance(state, states.PROTECTED)
        if protected != (copy.owed_ns == 0):
            return None  # not settled yet, see `Book.settle_age`
        how = state.how if isinstance(state, states.Kept) else ""
        copies.append(CopyAtRest(target, state.kind, how, copy.place, copy.base is not None))
    if record.protected != (record.behind_ns == 0):
        return None
    shape = Shape(tuple(copies), late=bool(record.unconfirmed))
    owed = () if record.protected else tuple(c.owed_ns for c in record.copies.values())
    found = Resting(shape, record.identity, record.behind_ns, owed)
    try:
        found.pack()
    except struct.error:
        return None  # times and numbers that no file system has
    return found


class Drawer(Protocol):
    """Where the records of tapes at rest lie."""

    def fetch(self, tape: TapeId) -> TapeRecord:
        """Return the record of *tape* as it was saved."""

    def holds(self, record: TapeRecord) -> bool:
        """Tell whether what is saved of the tape is *record* as it is now."""


class Shelf(MutableMapping[TapeId, TapeRecord]):
    """The records of all tapes. Without a *drawer* none is ever put away."""

    def __init__(
        self,
        awake: Mapping[TapeId, TapeRecord] | None = None,
        drawer: Drawer | None = None,
        room: int = ROOM,
    ) -> None:
        self._awake: dict[TapeId, TapeRecord] = {}
        self._called: dict[str, set[TapeId]] = {}
        self._drawer = drawer
        self._room = room
        # Awake though at rest, the one used longest ago first.
        self._at_hand: dict[TapeId, None] = {}
        self._pools: dict[str, dict[str, bytes]] = {}
        self._odd: dict[str, set[TapeId]] = {}
        self._shapes: list[Shape] = []
        self._numbers: dict[Shape, int] = {}
        self._counts: Counter[tuple[str, Shape]] = Counter()
        for tape, record in (awake or {}).items():
            self[tape] = record

    # ---- a mapping of all records ----------------------------------------------------------------

    def __getitem__(self, tape: TapeId) -> TapeRecord:
        record = self._awake.get(tape)
        if record is not None:
            return record
        if self._drawer is None or not self._lies_here(tape):
            raise KeyError(tape)
        record = self._drawer.fetch(tape)
        self._take_out(tape)
        self._wake(tape, record)
        self._at_hand[tape] = None
        return record

    def __setitem__(self, tape: TapeId, record: TapeRecord) -> None:
        if self._lies_here(tape):
            self._take_out(tape)
        self._wake(tape, record)

    def __delitem__(self, tape: TapeId) -> None:
        if self._awake.pop(tape, None) is not None:
            self._forget_call(tape)
            self._at_hand.pop(tape, None)
        elif self._lies_here(tape):
            self._take_out(tape)
        else:
            raise KeyError(tape)

    def __contains__(self, tape: object) -> bool:
        return tape in self._awake or (isinstance(tape, TapeId) and self._lies_here(tape))

    def __iter__(self) -> Iterator[TapeId]:
        yield from list(self._awake)
        for path, labels in list(self._pools.items()):
            pool = PoolId.parse(path)
            for label in list(labels):
                tape = TapeId(pool.vault, pool.pool, label)
                if tape not in self._awake:
                    yield tape

    def __len__(self) -> int:
        return len(self._awake) + sum(map(len, self._pools.values()))

    # ---- what needs no record --------------------------------------------------------------------

    def active(self) -> list[TapeRecord]:
        """Return the records that are awake; every one that is not at rest is."""
        return list(self._awake.values())

    def counts(self) -> Mapping[tuple[str, Shape], int]:
        """Return how many tapes at rest there are, by pool (``/VAULT00/BILL``) and shape."""
        return {key: count for key, count in self._counts.items() if count}

    def resting(self, wanted: Callable[[str, Shape], bool]) -> Iterator[tuple[TapeId, Resting]]:
        """Go through the tapes at rest whose pool and shape are *wanted*; nothing is read for it."""
        for path, labels in list(self._pools.items()):
            shapes = {n: s for n, s in enumerate(self._shapes)
                      if self._counts[path, s] and wanted(path, s)}  # fmt: skip
            if not shapes:
                continue
            pool = PoolId.parse(path)
            for label, packed in list(labels.items()):
                shape = shapes.get(_HEAD.unpack_from(packed)[0])
                if shape is not None:
                    yield TapeId(pool.vault, pool.pool, label), unpack(packed, shape)

    def lacking(self, paths: Container[str]) -> Iterator[Lacking]:
        """Return the tapes at rest in the pools *paths* that are not protected, by pool and shape."""
        for path, labels in self._pools.items():
            shapes = [n for n, s in enumerate(self._shapes)
                      if not s.protected and self._counts[path, s]]  # fmt: skip
            if not shapes or path not in paths:
                continue
            found: dict[int, list[tuple[int, str]]] = {number: [] for number in shapes}
            for label, packed in labels.items():
                number, _, behind_ns = _HEAD.unpack_from(packed)
                if number in found:
                    found[number].append((behind_ns, label))
            for number, tapes in found.items():
                yield Lacking(path, self._shapes[number], tapes)

    def unprotected(self, paths: Container[str]) -> Iterator[Unprotected]:
        """Return, to be counted elsewhere, what `lacking` tells of; nothing is looked at for it."""
        for path, labels in self._pools.items():
            lacking = [(n, s) for n, s in enumerate(self._shapes)
                       if not s.protected and self._counts[path, s]]  # fmt: skip
            if lacking and path in paths:
                copied = dict(labels)
                for number, shape in lacking:
                    targets = tuple(copy.target for copy in shape.copies if not copy.protected)
                    yield Unprotected(PoolId.parse(path), targets, number, copied)

    def of(self, tape: TapeId) -> Resting | None:
        """Return what is known of *tape* at rest; None if it is awake, or not known."""
        packed = self._pools.get(_path(tape), {}).get(tape.label)
        return (
            None if packed is None else unpack(packed, self._shapes[_HEAD.unpack_from(packed)[0]])
        )

    def look(self, tape: TapeId) -> TapeRecord:
        """Return the record of *tape* to be looked at and not changed: it stays where it is."""
        if self._drawer is not None and self._lies_here(tape):
            return self._drawer.fetch(tape)
        return self[tape]

    def published(self) -> list[tuple[TapeId, str]]:
        """Return the copies that a target has, or may get now: by tape and target."""
        awake = [(record.tape, target) for record in self.active() for target in record.copies]
        resting = self.resting(lambda _, shape: any(copy.based for copy in shape.copies))
        return awake + [
            (tape, copy.target)
            for tape, found in resting
            for copy in found.shape.copies
            if copy.based
        ]

    def count_published(self) -> int:
        """Return how many `published` would return; no tape at rest is looked at for it."""
        resting = sum(
            count * sum(copy.based for copy in shape.copies)
            for (_, shape), count in self._counts.items()
        )
        return sum(len(record.copies) for record in self.active()) + resting

    def called(self, label: str) -> list[TapeId]:
        """Return the tapes whose label is *label* when written in capitals."""
        found = {
            TapeId(pool.vault, pool.pool, label)
            for path, labels in self._pools.items()
            if label in labels
            for pool in (PoolId.parse(path),)
        }
        return sorted(found | self._odd.get(label, set()) | self._called.get(label, set()))

    def following(
        self, path: str, after: str, most: int, wanted: Callable[[Shape], bool]
    ) -> list[tuple[str, Shape]]:
        """Return the first *most* tapes at rest after *after* in the pool *path*, by label."""
        shapes = {n: s for n, s in enumerate(self._shapes) if self._counts[path, s] and wanted(s)}
        labels = self._pools.get(path, {}) if shapes else {}
        found = ((label, int.from_bytes(packed[:4], "little")) for label, packed in labels.items()
                 if label > after)  # fmt: skip
        fitting = (label for label, number in found if number in shapes)
        return [(label, shapes[int.from_bytes(labels[label][:4], "little")])
                for label in heapq.nsmallest(most, fitting)]  # fmt: skip

    def labels(self, path: str) -> list[str]:
        """Return the labels of all tapes in the pool *path*, in no order."""
        awake = [tape.label for tape in self._awake if _path(tape) == path]
        return [*awake, *self._pools.get(path, ())]

    def files(self, pool: PoolId) -> dict[str, bytes]:
        """Return, by label, the tapes at rest in *pool*, to be asked `has_file` and `is_file`.

        It is a copy, which a sweep may take to another thread and do with as it likes.
        """
        return dict(self._pools.get(str(pool), {}))

    # ---- putting away ----------------------------------------------------------------------------

    def lay(self, path: str, label: str, shape: Shape, packed: bytes) -> None:
        """Put a tape at rest here whose record is in the drawer; *path* is its pool."""
        labels = self._pools.get(path)
        if labels is None:
            labels = self._pools[path] = {}
        labels[label] = self._number(shape).to_bytes(4, "little") + packed[4:]
        self._counts[path, shape] += 1
        if label != label.upper():
            pool = PoolId.parse(path)
            self._odd.setdefault(label.upper(), set()).add(TapeId(pool.vault, pool.pool, label))

    def put_away(self, saved: Iterable[TapeId], busy: Callable[[TapeId], bool]) -> Iterable[TapeId]:
        """Put away what is at rest and was not used lately, now that *saved* are durable.

        What is *busy* stays. Return those that were changed and not saved: they have to be.
        """
        if self._drawer is None:
            return ()
        for tape in saved:
            record = self._awake.get(tape)
            if record is not None and at_rest(record) is not None:
                self._at_hand.pop(tape, None)
                self._at_hand[tape] = None
        unsaved = []
        for tape in list(self._at_hand)[: max(len(self._at_hand) - self._room, 0)]:
            del self._at_hand[tape]
            record = self._awake[tape]
            resting = None if busy(tape) else at_rest(record)
            if not self._drawer.holds(record):
                unsaved.append(tape)
            elif resting is not None:
                del self._awake[tape]
                self._forget_call(tape)
                self.lay(_path(tape), tape.label, resting.shape, resting.pack())
        return unsaved

    # ---- within ----------------------------------------------------------------------------------

    def _lies_here(self, tape: TapeId) -> bool:
        return tape.label in self._pools.get(_path(tape), ())

    def _wake(self, tape: TapeId, record: TapeRecord) -> None:
        self._awake[tape] = record
        self._called.setdefault(tape.label.upper(), set()).add(tape)

    def _forget_call(self, tape: TapeId) -> None:
        label = tape.label.upper()
        self._called[label].discard(tape)
        if not self._called[label]:
            del self._called[label]

    def _take_out(self, tape: TapeId) -> None:
        path, label = _path(tape), tape.label
        packed = self._pools[path].pop(label)
        self._counts[path, self._shapes[_HEAD.unpack_from(packed)[0]]] -= 1
        if label != label.upper():
            self._odd[label.upper()].discard(tape)

    def _number(self, shape: Shape) -> int:
        number = self._numbers.get(shape)
        if number is None:
            number = self._numbers[shape] = len(self._shapes)
            self._shapes.append(shape)
        return number


def _path(tape: TapeId) -> str:
    return f"/{tape.vault}/{tape.pool}"
