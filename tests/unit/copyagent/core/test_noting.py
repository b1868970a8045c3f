"""The chain is noted in the event log: at the start, and once a day while it grows."""

from copyagent.core.book import Book
from copyagent.core.chain import Mark, marks_at_end
from copyagent.core.commands import Say
from copyagent.core.history import Kind
from copyagent.core.noting import EVERY_S, Noting
from copyagent.core.time import Moment
from tests.support.histories import make_engine
from vtsfs.contract import messages


def said(book: Book) -> list[Say]:
    return [c for c in book.take_commands() if isinstance(c, Say)]


def test_once_at_the_start_and_once_a_day_if_there_is_anything_new() -> None:
    book = make_engine().book
    noting = Noting(book)
    book.history.settings = "f" * 64
    noting.due(Moment(5.0, 0))
    assert said(book) == [], "there is nothing yet"
    book.history.add(Kind.STOPPED, 1)
    noting.due(Moment(5.0, 0))
    (note,) = said(book)
    assert note.message is messages.HISTORY_NOTED
    assert marks_at_end(note.message.render(note.fields)) == [Mark(1, book.history.chain[:16])]
    book.history.add(Kind.STOPPED, 2)
    noting.due(Moment(4.0 + EVERY_S, 0))
    assert said(book) == []
    noting.due(Moment(5.0 + EVERY_S, 0))
    assert [note.fields["number"] for note in said(book)] == ["2"]
    noting.due(Moment(5.0 + 9 * EVERY_S, 0))
    assert said(book) == []


def test_the_engine_sees_to_it() -> None:
    engine = make_engine()
    engine.book.history.add(Kind.STOPPED, 1)
    commands = engine.due(Moment(5.0, 1))
    assert commands == [], "a rehearsal is nobody's evidence"
    engine.book.history.settings = "f" * 64
    commands = engine.due(Moment(5.0, 1))
    assert any(isinstance(c, Say) and c.message is messages.HISTORY_NOTED for c in commands)
