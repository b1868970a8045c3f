"""A drawer of records without a database, and a conversation held with two engines, one of which forgets.

Records are kept as the texts that the agent's state has (`tests/conformance/test_drawer.py`).
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Self

from copyagent.core.book import Book
from copyagent.core.commands import Command, Say
from copyagent.core.engine import Engine
from copyagent.core.events import Event, TapesFound, VaultSwept
from copyagent.core.host_events import HostEvent
from copyagent.core.records import TapeRecord
from copyagent.core.shelf import Shelf, at_rest, is_file
from copyagent.state.encoding import RECORD, decode, encode
from tests.support.playbook import Playbook, book_again
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity


@dataclass(slots=True)
class TextDrawer:
    """Records as texts, by tape; *fetched* counts how often one was read."""

    texts: dict[TapeId, str] = field(default_factory=dict)
    fetched: int = 0

    def fetch(self, tape: TapeId) -> TapeRecord:
        self.fetched += 1
        return decode(RECORD, self.texts[tape], str(tape))

    def text(self, record: TapeRecord) -> str:
        """Return what is saved of *record*."""
        return encode(RECORD, record)

    def holds(self, record: TapeRecord) -> bool:
        return self.texts.get(record.tape) == encode(RECORD, record)

    def save(self, book: Book) -> None:
        """Do what the runner does between two batches: save what changed, then put away."""
        saved = set(book.dirty)
        for tape in book.dirty:
            self.texts[tape] = encode(RECORD, book.records[tape])
        for tape in book.dropped:
            self.texts.pop(tape, None)
        book.dirty.clear()
        book.dropped.clear()
        book.put_away(saved)

    def shelf(self, room: int = 0) -> Shelf:
        """Load what was saved, as the agent does at its start."""
        shelf = Shelf(drawer=self, room=room)
        for tape, text in sorted(self.texts.items()):
            record = decode(RECORD, text, str(tape))
            if (resting := at_rest(record)) is None:
                shelf[tape] = record
            else:
                shelf.lay(str(tape.pool_id), tape.label, resting.shape, resting.pack())
        return shelf


@dataclass(slots=True)
class TwoMinds(Playbook):
    """A conversation with two engines: one has all records in its mind, the other puts them away.

    Both have to ask for the same, want to be woken at the same time, and know the same.
    """

    drawer: TextDrawer = field(default_factory=TextDrawer)
    other: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.other = Engine(Book(self.engine.book.settings, records=self.drawer.shelf()))

    @property
    def engines(self) -> tuple[Engine, ...]:
        return (self.engine, self.other)

    def hand(self, event: Event | HostEvent) -> list[Command]:
        said = len(self.said)
        asked = Playbook.hand(self, event)
        theirs = [c for part in self._parts(event) for c in self.other.handle(part, self.now)]
        ours = Counter(map(_meant, [*asked, *self.said[said:]]))
        if ours != Counter(map(_meant, theirs)):
            raise AssertionError(self._told(f"{ours} asked for, and by the forgetful {theirs}"))
        self.drawer.save(self.other.book)
        self.compare()
        return asked

    def _parts(self, event: Event | HostEvent) -> list[Event | HostEvent]:
        """Let a sweep be told as `copyagent.sweep` tells it: what is as it is known is only named."""
        if not isinstance(event, VaultSwept):
            return [event]
        same: dict[str, set[str]] = {}
        found, first = dict(event.found), dict[TapeId, Identity]()
        for tape, file in event.found.items():
            known = self.other.book.records.files(tape.pool_id).get(tape.label)
            as_known = known is not None and is_file(known, file.ino, file.size, file.mtime_ns)
            told = not first
            if as_known:
                del found[tape]
            elif told:
                first[tape] = found.pop(tape)
            else:
                continue
            same.setdefault(tape.pool, set()).add(tape.label)
        part = TapesFound(event.vault, event.started, first)
        return [part, replace(event, found=found, same=same)]

    def compare(self) -> None:
        """Fail where the two know something else."""
        book, other = self.engine.book, self.other.book
        if set(book.records) != set(other.records) or len(book.records) != len(other.records):
            raise AssertionError(self._told(f"{set(book.records) ^ set(other.records)}"))
        for tape, record in book.records.items():
            theirs = other.records.look(tape)
            if record != theirs:
                raise AssertionError(self._told(f"{record}\nis to the forgetful\n{theirs}"))
            if tape not in other.dirty and not self.drawer.holds(record):
                raise AssertionError(self._told(f"saved of {tape} is {self.drawer.texts[tape]}"))
        if self.engine.next_wakeup() != self.other.next_wakeup():
            raise AssertionError(self._told("they want to be woken at different times"))

    def restart(self, *, origin: float = 50.0, away: float = 0.0) -> Self:
        self.other = Engine(book_again(self.other.book, self.drawer.shelf()))
        return Playbook.restart(self, origin=origin, away=away)


def _meant(command: Command) -> str:
    """Write *command* down without the history's mark: that depends on the order within one event."""
    if isinstance(command, Say) and "mark" in command.fields:
        fields = {name: text for name, text in command.fields.items() if name != "mark"}
        return repr(replace(command, fields=fields))
    return repr(command)
