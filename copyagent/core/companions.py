"""What a change of companions alone leads to: they are sent, and nothing is judged.

Companions travel with their tape. One that changes while the tape is open for writing, or is not
judged yet, shares its fate. Else the target has the tape's bytes, and an order for the same
generation sends what of the companions differs; that needs no witness, for it can neither put an
older tape in the place of a newer one nor publish what a host wrote without a ring.
"""

from typing import TypeGuard

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.copying import CopyDone, CopyOutcome
from copyagent.core.records import TapeRecord
from copyagent.core.time import Moment
from vtsfs.contract.signals import Signal


def note_companions(book: Book, record: TapeRecord, signal: Signal, now: Moment) -> None:
    """Enter into the tape's history which of its companions *signal* says have changed."""
    if signal.companions:
        names = ", ".join(signal.companions)
        record.note(now.wall_ns, f"companions changed: {names}", often=True)
        book.dirty.add(record.tape)


def send_companions(book: Book, record: TapeRecord, now: Moment) -> None:
    """Order the companions that changed to every target that has, or is to get, the tape.

    Copies that have not begun will find them. One that runs may have passed them: it is looked at
    again when it has ended. What was never copied, is held or is gone waits for its own reasons.
    """
    if record.unsettled:
        return
    for target, copy in record.copies.items():
        state = copy.state
        if isinstance(state, states.Copying):
            copy.beside = True
            book.dirty.add(record.tape)
        elif _has_settled(state) and state.generation == record.generation:
            _order(book, record, target, now)


def send_companions_again(
    book: Book, record: TapeRecord, target: str, outcome: CopyOutcome, now: Moment
) -> None:
    """Order once more what changed while the copy ran that has ended with *outcome*."""
    copy = record.copies[target]
    changed, copy.beside = copy.beside, False
    if changed and isinstance(outcome, CopyDone) and isinstance(copy.state, states.Copied):
        _order(book, record, target, now)


def _has_settled(state: states.State) -> TypeGuard[states.Copied | states.Failed]:
    """Tell whether a copy was ordered and is over; what was not ordered, companions do not order."""
    return isinstance(state, states.Copied | states.Failed)


def _order(book: Book, record: TapeRecord, target: str, now: Moment) -> None:
    again = states.Approved(record.generation, again=True, complete=False)
    book.apply(record, target, again, now)
