"""What has changed is handed over once, and what others are to be told goes with what was written."""

from copyagent.core.commands import Say
from copyagent.core.hook_queue import HookQueue
from copyagent.core.time import Moment
from copyagent.saving import Saving
from tests.support.histories import START_NS, TAPE, make_engine
from vtsfs.contract import messages

NOW = Moment(10.0, START_NS)
SAY = Say(messages.LINK_LOST, {"host": "DEV2", "cause": "gone"})


def test_what_changed_is_handed_over_once() -> None:
    book = make_engine().book
    saving = Saving(book)
    book.record(TAPE)
    book.floods.dirty = book.uncovered_dirty = True
    changes = saving.changes([SAY], NOW)
    assert list(changes.records) == [str(TAPE)]
    assert {"floods", "uncovered"} <= changes.knowledge.keys()
    assert [row[0] for row in changes.messages] == [SAY.message.id]
    assert saving.changes([], NOW).empty


def test_who_is_still_to_be_told_is_saved_with_what_was_written() -> None:
    book = make_engine(notify={"run": ["/bin/true"], "on": ["link-lost"]}).book
    saving = Saving(book)
    assert saving.told([3]).knowledge == {}
    HookQueue(book).offer(SAY, START_NS)
    told = saving.told([3])
    assert (told.written, list(told.knowledge)) == ([3], ["calls"])
    assert saving.told([]).empty
