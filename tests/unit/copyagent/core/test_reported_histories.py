"""Whatever happens: what a report says of dismounts is what the agent knows of their tapes."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from copyagent.core import history
from copyagent.core.copying import CopyFailed, CopyHeld, CopyOutcome, CopyStopped, HoldReason
from copyagent.core.history import History
from copyagent.core.proofs import Matching
from copyagent.core.tape import PENDING, Clean, Copied, Copying, Failed, Held, Kept
from tests.support.histories import ended
from tests.unit.copyagent.core.test_any_history import AnyHistory, tapes
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access

HELD = CopyHeld(HoldReason.TARGET_CHANGED, "another date")
FULL = CopyFailed("full", "tidy", permanent=True)

_LACKING = (*PENDING, Copying, Failed, Held)


class ReportedHistory(AnyHistory):
    """Every entry is matched when it is made, over all restarts."""

    def __init__(self) -> None:
        self.matching = Matching()
        self.read: tuple[History | None, int] = None, 0
        super().__init__()

    @rule(tape=tapes)
    def a_session(self, tape: TapeId) -> None:
        """A whole one, judged: else few histories come as far as a copy."""
        if (tape, Access.WRITE) not in self.overlay.open:
            self.signal(self.overlay.mounted(tape))
            self.signal(self.overlay.dismounted(tape))
            self.wait(40.0)

    @rule(outcome=st.sampled_from([None, None, HELD, FULL]))
    def copies_end(self, outcome: CopyOutcome | None) -> None:
        for key, job in sorted(self.jobs.items()):
            if self.jobs.pop(key, None) is None:
                continue
            if outcome is None and not self.play.engine.may_publish(*key, job.generation):
                outcome = CopyStopped("no permission")
            event = self.ending(job) if outcome is None else ended(job, outcome)
            self.obey(self.play.hand(event))

    @invariant()
    def what_is_open_in_a_report_is_unprotected_and_the_other_way_round(self) -> None:
        book = self.play.engine.book
        if self.read[0] is not book.history:
            self.read = book.history, 0
        for entry in book.history.unsaved[self.read[1] :]:
            list(self.matching.take(history.document(entry)))
        self.read = book.history, len(book.history.unsaved)
        for record in book.watched():
            if record.unsettled or record.judgement is None:
                continue
            for target, copy in record.copies.items():
                is_open = (str(record.tape), target) in self.matching.open
                state = copy.state
                there = isinstance(state, Copied) and state.generation == record.generation
                if there or isinstance(state, Clean | Kept):
                    assert not is_open, record
                judged = record.judgement.generation == record.generation
                # What an operator asks for is owed to no dismount.
                if judged and record.tape not in self.allowed:
                    assert is_open or not isinstance(state, _LACKING), record


ReportedHistory.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestReportedHistory = ReportedHistory.TestCase
