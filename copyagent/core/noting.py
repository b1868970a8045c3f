"""Notes the history's chain down in the event log: at the start, and daily while it grows.

The event log is another file, is often sent to another system, and is read by people. What was cut
off the history's end, or made anew from its middle on, does not agree with what stands there.
"""

from dataclasses import dataclass

from copyagent.core.book import Book
from copyagent.core.time import Moment
from vtsfs.contract import messages

#: How often, in seconds.
EVERY_S = 86_400.0


@dataclass(slots=True)
class Noting:
    """*noted* is the number of the entry that was noted last; *due_at* in monotonic seconds.

    It is looked at whenever the engine has something to do, which is every minute: nobody has to be
    woken for it.
    """

    book: Book
    noted: int = 0
    due_at: float = 0.0

    def due(self, now: Moment) -> None:
        """Note the chain down if it is time, and if there is anything new.

        What belongs to no settings file is a rehearsal's, and nobody's evidence.
        """
        history = self.book.history
        if now.mono < self.due_at or history.newest == self.noted or not history.settings:
            return
        self.noted, self.due_at = history.newest, now.mono + EVERY_S
        self.book.say(messages.HISTORY_NOTED, number=history.newest, mark=history.mark.short)
