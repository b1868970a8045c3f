"""An operator found that a copy is not what was published: what follows from it."""

from dataclasses import replace

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.history import Kind
from copyagent.core.on_record import DOUBTED, Doubt
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.errors import RequestFailed


def doubt(book: Book, word: Doubt, user: str, now: Moment) -> list[str]:
    """Take in what *user* found.

    Nothing is believed but that it has to be looked at: the copy is compared by content, and held
    if that is not ours. A record that is another one by now was not what was looked at.
    """
    tape, target, detail = word.tape, word.target, word.detail
    record = book.records.get(tape)
    copy = None if record is None else record.copies.get(target)
    if record is None or copy is None or copy.base is None:
        raise RequestFailed(f"nothing is on record of {tape} at {target}")
    if copy.base.published_ns != word.published_ns:
        return [f"{tape} at {target}: was published anew meanwhile; verify it again"]
    if copy.base.stamp == DOUBTED:
        return [f"{tape} at {target}: is doubted already"]
    book.dirty.add(tape)
    copy.base = replace(copy.base, stamp=DOUBTED)
    record.note(now.wall_ns, f"{target}: not what was published, found by {user}: {detail}")
    book.history.add(
        Kind.DOUBTED,
        now.wall_ns,
        tape=tape,
        target=target,
        generation=copy.base.generation,
        cause=detail,
        user=user,
    )
    book.say(messages.COPY_WRONG, tape=tape, target=target, detail=detail)
    if not isinstance(copy.state, states.Copied):
        return [f"{tape} at {target}: noted; it is {copy.state.kind}"]
    again = states.Approved(record.generation, again=True, complete=False)
    book.apply(record, target, again, now)
    return [f"{tape} at {target}: is compared by its content now"]
