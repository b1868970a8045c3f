"""What is known of changes covers every byte that changed, whatever was lost or done unseen."""

from dataclasses import dataclass, field, replace
from random import Random

import pytest

from copyagent.core.book import Book
from copyagent.core.changes import (
    MOST_KEPT,
    MOST_RANGES,
    MOST_RANGES_KEPT,
    Change,
    changed_since,
    entered,
    later_than,
    untouched,
)
from copyagent.core.commands import StartCopy
from copyagent.core.copying import PublishedCopy, TargetStamp
from copyagent.core.records import TapeRecord
from copyagent.core.sightings import enter_signal, enter_sweep
from copyagent.core.time import Moment
from copyagent.state.encoding import RECORD, decode, encode
from tests.support.histories import (
    OTHER_TARGET,
    START_NS,
    TAPE,
    TARGET,
    Overlay,
    done,
    link_lost,
    make_engine,
    make_settings,
)
from tests.support.playbook import Playbook
from vtsfs.contract.extents import ExtentSet, Range
from vtsfs.contract.signals import Access, Identity, Kind, Signal


def at(tick: int, size: int = 100) -> Identity:
    return Identity(1, 2, size, tick, tick)


def change(generation: int, before: int, after: int, *extents: Range) -> Change:
    return Change(generation, at(before), at(after), extents)


def since(
    changes: tuple[Change, ...], generation: int, before: int, after: int
) -> ExtentSet | None:
    return changed_since(changes, generation, at(before), at(after))


# ---- the chain ---------------------------------------------------------------------------------


def test_the_union_of_all_later_generations_is_what_changed() -> None:
    chain = (change(2, 1, 2, (0, 5)), change(3, 2, 3, (3, 9)), change(4, 3, 4, (50, 60)))
    assert since(chain, 1, 1, 4) == ExtentSet([(0, 9), (50, 60)])
    assert since(chain, 3, 3, 4) == ExtentSet([(50, 60)])
    assert since(chain, 4, 4, 4) == ExtentSet()
    assert since((), 4, 4, 4) == ExtentSet()


@pytest.mark.parametrize(
    "chain",
    [
        (),
        (change(2, 1, 2),),
        (change(3, 1, 3),),
        (change(2, 1, 2), change(3, 9, 3)),
        (change(2, 9, 2), change(3, 2, 3)),
        (change(2, 1, 2), change(3, 2, 9)),
        (change(2, 1, 2), Change(3, at(2), at(3), None)),
        (change(2, 1, 2), Change(3, None, at(3), ())),
        (change(2, 1, 2), Change(3, at(2), None, ())),
        (change(2, 1, 2), change(4, 2, 3)),
    ],
)
def test_one_missing_link_and_nothing_is_known(chain: tuple[Change, ...]) -> None:
    assert since(chain, 1, 1, 3) is None


def test_a_file_that_was_touched_unseen_breaks_the_chain() -> None:
    touched = replace(at(2), ctime_ns=7)
    assert not untouched(at(2), touched)
    assert not untouched(None, at(2))
    assert not untouched(at(2), None)
    assert untouched(at(2), replace(at(2), dev=9))
    chain = (change(2, 1, 2), Change(3, touched, at(3), ()))
    assert since(chain, 1, 1, 3) is None
    assert changed_since(chain[:1], 1, at(1), touched) is None


def test_what_a_tape_was_shorter_than_has_changed() -> None:
    chain = (
        Change(2, at(1, 100), at(2, 40), ()),
        Change(3, at(2, 40), at(3, 80), ()),
    )
    assert changed_since(chain, 1, at(1, 100), at(3, 80)) == ExtentSet([(40, 80)])
    assert changed_since(chain[:1], 1, at(1, 100), at(2, 40)) == ExtentSet()


# ---- what is kept ------------------------------------------------------------------------------


def test_links_that_lead_to_nothing_are_not_kept() -> None:
    chain = entered(entered((), change(2, 1, 2)), change(3, 2, 3))
    assert chain == (change(2, 1, 2), change(3, 2, 3))
    assert entered(chain, change(4, 9, 4)) == (change(4, 9, 4),)
    assert entered(chain, change(5, 3, 5)) == (change(5, 3, 5),)
    assert entered(chain, Change(4)) == ()
    assert later_than(chain, 2) == (change(3, 2, 3),)


def test_changes_are_bounded_and_what_is_forgotten_is_not_known() -> None:
    chain: tuple[Change, ...] = ()
    for number in range(2, MOST_KEPT + 10):
        chain = entered(chain, change(number, number - 1, number, (number, number + 1)))
    newest = MOST_KEPT + 9
    assert len(chain) == MOST_KEPT
    assert since(chain, 1, 1, newest) is None
    assert since(chain, newest - MOST_KEPT, newest - MOST_KEPT, newest) is not None


def test_many_ranges_are_merged_and_never_dropped() -> None:
    many = tuple((n * 10, n * 10 + 1 + n % 7) for n in range(65_536))
    (kept,) = entered((), change(2, 1, 2, *many))
    assert kept.extents is not None
    assert len(kept.extents) <= MOST_RANGES
    covered = ExtentSet(kept.extents)
    assert all(covered.covers(start, end) for start, end in many)


def test_all_changes_together_are_bounded_too() -> None:
    many = tuple((n * 10, n * 10 + 1) for n in range(MOST_RANGES))
    chain: tuple[Change, ...] = ()
    for number in range(2, 12):
        chain = entered(chain, change(number, number - 1, number, *many))
        assert sum(len(c.extents or ()) for c in chain) <= MOST_RANGES_KEPT
    assert chain[-1].generation == 11
    assert since(chain, 10, 10, 11) is not None


# ---- what signals enter ------------------------------------------------------------------------


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine()) >> link_lost()


def held_back(play: Playbook, overlay: Overlay, *extents: Range) -> None:
    """Let a session write *extents*."""
    seen = overlay.mounted()
    play >> seen
    ended = overlay.dismounted()
    play >> replace(ended, signal=replace(ended.signal, extents=extents))


def first_copy(play: Playbook, overlay: Overlay) -> PublishedCopy:
    held_back(play, overlay, (0, 4096))
    play.wait(2.0) << StartCopy
    play >> done(play.job)
    base = play.record().copies[TARGET].base
    assert base is not None
    return base


def test_a_session_says_what_changed_since_the_last_copy(play: Playbook, overlay: Overlay) -> None:
    base = first_copy(play, overlay)
    held_back(play, overlay, (10, 20))
    held_back(play, overlay, (30, 40))
    play.wait(2.0) << StartCopy
    now = overlay.identities[TAPE]
    found = changed_since(play.job.changes, base.generation, base.source, now)
    assert found == ExtentSet([(10, 20), (30, 40)])
    assert play.job.generation == base.generation + 2


def test_after_a_copy_older_changes_are_forgotten(play: Playbook, overlay: Overlay) -> None:
    first_copy(play, overlay)
    assert play.record().changes == ()
    held_back(play, overlay, (10, 20))
    assert len(play.record().changes) == 1
    play.wait(2.0) << StartCopy
    play >> done(play.job)
    assert play.record().changes == ()


def test_an_interrupted_session_leaves_nothing_known(play: Playbook, overlay: Overlay) -> None:
    base = first_copy(play, overlay)
    held_back(play, overlay, (10, 20))
    play >> overlay.mounted()
    cut = overlay.interrupted()
    play >> replace(cut, signal=replace(cut.signal, extents=((1, 2),)))
    now = overlay.identities[TAPE]
    assert changed_since(play.record().changes, base.generation, base.source, now) is None


def test_a_session_that_could_not_be_made_durable_leaves_nothing_known(
    play: Playbook, overlay: Overlay
) -> None:
    base = first_copy(play, overlay)
    play >> overlay.mounted()
    ended = overlay.dismounted()
    play >> replace(ended, signal=replace(ended.signal, extents=((1, 2),), synced=False))
    now = overlay.identities[TAPE]
    assert changed_since(play.record().changes, base.generation, base.source, now) is None
    assert play.record().notes[-1].text == "closed, 4096 bytes written, could not be made durable"


def test_a_truncation_by_path_is_a_link_of_the_chain(play: Playbook, overlay: Overlay) -> None:
    base = first_copy(play, overlay)
    before = overlay.identities[TAPE]
    cut = overlay.changed(size=100)
    signal = replace(cut.signal, opened=before, extents=((100, 4096),), wrote=True)
    play >> replace(cut, signal=signal)
    now = overlay.identities[TAPE]
    found = changed_since(play.record().changes, base.generation, base.source, now)
    assert found == ExtentSet([(100, 4096)])


# ---- any history -------------------------------------------------------------------------------

SIZE = 64


@dataclass
class Tape:
    """A tape with real bytes, an overlay that marks what is written, and what was told of it."""

    chance: Random
    book: Book
    data: bytearray = field(default_factory=lambda: bytearray(SIZE))
    identity: Identity = field(default_factory=lambda: at(START_NS, SIZE))
    tick: int = START_NS
    late: list[Signal] = field(default_factory=list)
    snapshots: list[tuple[PublishedCopy, bytes]] = field(default_factory=list)
    exact: int = 0

    @property
    def now(self) -> Moment:
        return Moment((self.tick - START_NS) / 1e6, self.tick)

    @property
    def record(self) -> TapeRecord:
        return self.book.record(TAPE)

    def touch(self, *, mtime: bool = True, ino: int | None = None) -> None:
        self.tick += 1_000_000
        self.identity = Identity(
            dev=1,
            ino=ino or self.identity.ino,
            size=len(self.data),
            mtime_ns=self.tick if mtime else self.identity.mtime_ns,
            ctime_ns=self.tick,
        )

    def write(self) -> ExtentSet:
        marked = ExtentSet()
        for _ in range(self.chance.randrange(1, 4)):
            start = self.chance.randrange(len(self.data) + 8)
            end = start + self.chance.randrange(1, 8)
            marked.add(min(start, len(self.data)), end)
            self.data.extend(bytes(max(start - len(self.data), 0)))
            self.data[start:end] = self.chance.randbytes(end - start)
        return marked

    def cut(self) -> ExtentSet:
        old, new = len(self.data), self.chance.randrange(SIZE)
        self.data[new:] = bytes(max(new - old, 0))
        return ExtentSet([(min(old, new), max(old, new))])

    def tell(self, kind: Kind, before: Identity | None, extents: ExtentSet | None) -> None:
        signal = Signal(
            kind,
            TAPE.vault,
            TAPE.pool,
            TAPE.label,
            boot_id="boot",
            wall_ns=self.tick,
            mono_ns=0,
            identity=self.identity,
            session="" if kind is Kind.CHANGED else "s",
            access=Access.WRITE,
            opened=before,
            wrote=bool(extents),
            synced=True,
            extents=None if extents is None else extents.listed(),
        )
        match self.chance.randrange(12):
            case 0:
                pass  # lost
            case 1:
                self.late.append(signal)
            case 2:
                for _ in range(2):
                    enter_signal(self.book, self.record, signal, self.now)
            case _:
                enter_signal(self.book, self.record, signal, self.now)

    # What can happen.

    def session(self) -> None:
        before, marked = self.identity, ExtentSet()
        for _ in range(self.chance.randrange(3)):
            part = self.write() if self.chance.random() < 0.7 else self.cut()
            marked = ExtentSet.union(marked, part)
        if marked:
            self.touch()
        kind = Kind.INTERRUPTED if self.chance.random() < 0.1 else Kind.DISMOUNTED
        self.tell(kind, before, marked)

    def path_changed(self) -> None:
        before = self.identity
        marked = self.cut() if self.chance.random() < 0.5 else ExtentSet()
        self.touch()
        self.tell(Kind.CHANGED, before, marked)

    def written_past_the_overlay(self) -> None:
        self.write()
        self.touch(mtime=self.chance.random() < 0.5)

    def replaced(self) -> None:
        self.data = bytearray(self.chance.randbytes(self.chance.randrange(1, SIZE)))
        self.touch(ino=self.identity.ino + 1)
        self.tell(Kind.CHANGED, None, None)

    def attributes(self) -> None:
        self.touch(mtime=False)

    def sweep(self) -> None:
        seen = Overlay(identities={TAPE: self.identity}).swept(self.now.mono)
        enter_sweep(self.book, seen, self.now)

    def delivered_late(self) -> None:
        if self.late:
            signal = self.late.pop(self.chance.randrange(len(self.late)))
            enter_signal(self.book, self.record, signal, self.now)

    def restarted(self) -> None:
        text = encode(RECORD, self.record)
        self.book.records[TAPE] = decode(RECORD, text, "the record")

    def copied(self) -> None:
        """A target gets what is there: if it is what the agent believes, as the copier checks."""
        record = self.record
        if record.identity is not None and not self.identity.same_bytes(record.identity):
            return
        copy = record.copies[self.chance.choice([TARGET, OTHER_TARGET])]
        if copy.base is not None and self.chance.random() < 0.5:
            copy.kept = (copy.base, *copy.kept)[: self.chance.randrange(1, 4)]
        stamp = TargetStamp(len(self.data), 1)
        copy.base = PublishedCopy(
            record.generation, self.identity, len(self.data), "", stamp, "size"
        )
        self.snapshots.append((copy.base, bytes(self.data)))
        record.forget_changes()

    def check(self) -> None:
        for base, content in self.snapshots:
            changes = self.record.changes
            found = changed_since(changes, base.generation, base.source, self.identity)
            if found is None:
                continue
            self.exact += self.identity != base.source
            for offset, byte in enumerate(self.data):
                if offset >= len(content) or content[offset] != byte:
                    assert found.covers(offset, offset + 1), (offset, found, changes)


STEPS = [
    *[Tape.session] * 10,
    *[Tape.copied] * 5,
    *[Tape.path_changed] * 2,
    *[Tape.delivered_late] * 2,
    Tape.written_past_the_overlay,
    Tape.replaced,
    Tape.attributes,
    Tape.sweep,
    Tape.restarted,
]


def test_what_is_known_covers_every_byte_that_changed_in_any_history() -> None:
    exact = 0
    for seed in range(300):
        chance = Random(seed)
        tape = Tape(chance, Book(make_settings(targets=(TARGET, OTHER_TARGET))))
        tape.book.baselines.add(str(TAPE.pool_id))
        for _ in range(40):
            chance.choice(STEPS)(tape)
            tape.check()
        exact += tape.exact
    assert exact > 1000, "the histories are so wild that nothing is ever known"
