"""What of the book is to be saved: each batch of events becomes one transaction.

Encoding happens here, in the task that owns the book; the thread that writes gets texts only.
"""

from collections.abc import Sequence

from copyagent.core.book import Acknowledged, Book
from copyagent.core.commands import Say
from copyagent.core.time import Moment
from copyagent.state.mount_rows import MountRows
from copyagent.state.store import Changes


class Saving:
    """Knows of one book what is saved already."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._acks: dict[str, Acknowledged] = {}
        self._baselines: set[str] = set()
        self._mounts = MountRows.of(book.mounts)

    def changes(self, says: Sequence[Say], now: Moment) -> Changes:
        """Return all that has changed since the last call, and what is to be said of it."""
        book, changes = self._book, Changes()
        for tape in book.dirty:
            changes.put_record(book.records[tape])
        for tape in book.dropped:
            changes.drop_record(tape)
        if book.mounts_dirty:
            changes.put_mounts(book.mounts, self._mounts)
        if book.links_dirty:
            changes.put_links(book.links)
        if book.acks != self._acks or book.baselines != self._baselines:
            self._acks, self._baselines = dict(book.acks), set(book.baselines)
            changes.put_acks(book.acks)
            changes.put_baselines(book.baselines)
        self._put_alarms(changes, now)
        if book.pauses_dirty:
            changes.put_pauses(book.pauses)
        if book.licence.dirty:
            changes.put_licence(book.licence.memory)
            book.licence.dirty = False
        for say in says:
            changes.put_message(say, now.wall_ns)
        changes.put_history(book.history.news())
        changes.put_settings(book.history.news_of_settings())
        self.put_news(changes, now.mono, along=not changes.empty)
        book.dirty.clear()
        book.dropped.clear()
        book.mounts_dirty = book.links_dirty = book.pauses_dirty = False
        return changes

    def told(self, numbers: list[int]) -> Changes:
        """Return that these messages are written, and who is still to be told of them: together."""
        changes = Changes(written=numbers)
        self._put_calls(changes)
        return changes

    def put_news(self, changes: Changes, mono: float, *, along: bool) -> None:
        """Save what was heard, if there is a commit anyway, or if it is much or has waited long."""
        changes.put_heard(self._book.journal.news(mono, along=along))
        changes.put_reported(self._book.reports.news(mono, along=along))

    def _put_alarms(self, changes: Changes, now: Moment) -> None:
        book = self._book
        if book.said.dirty:
            changes.put_said(book.said.kept(now.wall_ns))
            book.said.dirty = False
        if book.behind_dirty:
            changes.put_behind(book.behind)
        if book.uncovered_dirty:
            changes.put_uncovered(book.uncovered)
        if book.floods.dirty:
            changes.put_floods(book.floods)
        self._put_calls(changes)
        book.behind_dirty = book.uncovered_dirty = book.floods.dirty = False

    def _put_calls(self, changes: Changes) -> None:
        if self._book.calls.dirty:
            changes.put_calls(self._book.calls)
            self._book.calls.dirty = False
