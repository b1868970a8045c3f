"""Which copies an operator's sync asks for, and what a dry run says of them."""

from dataclasses import replace

import pytest

from copyagent.core.commands import StartCopy
from copyagent.core.syncing import SyncWanted, Which, sync
from copyagent.core.tape import Queued
from tests.support.histories import (
    OTHER_TARGET,
    SECOND,
    TAPE,
    TARGET,
    Overlay,
    done,
    failed,
)
from tests.support.playbook import Playbook
from tests.support.traffic_talk import changed, conversation
from vtsfs.contract import messages
from vtsfs.contract.errors import NameUnknown


def stood(play: Playbook, overlay: Overlay) -> None:
    """TAPE is copied; SECOND was given up with an old copy there; TWIN was never copied."""
    changed(play, overlay)
    play << StartCopy
    play >> done(play.job)
    changed(play, overlay, SECOND)
    play << StartCopy
    play >> done(play.job)
    for tape in (SECOND, replace(TAPE, label="X00003")):
        changed(play, overlay, tape)
        while play.open:
            play << StartCopy
            play >> failed(play.job)


@pytest.mark.parametrize(
    ("which", "labels"),
    [
        ("", ["X00002", "X00003"]),
        ("missing", ["X00003"]),
        ("stale", ["X00002", "X00003"]),
        ("all", ["X00001", "X00002", "X00003"]),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_which_copies_of_a_pool_are_asked_for(
    which: str, labels: list[str], *, dry_run: bool
) -> None:
    overlay, play = Overlay(), conversation(retry={"attempts": 1})
    stood(play, overlay)
    book = play.engine.book
    before = {tape: record.copies[TARGET].state for tape, record in book.records.items()}
    wanted = SyncWanted(TAPE.pool_id, Which(which), dry_run=dry_run)
    answers = sync(book, wanted, "root", play.now)
    assert [line.split()[0].rpartition("/")[2] for line in answers[: len(labels)]] == labels
    after = {tape: record.copies[TARGET].state for tape, record in book.records.items()}
    if dry_run:
        assert after == before
        many = "1 copy" if len(labels) == 1 else f"{len(labels)} copies"
        assert answers[-1] == f"{many} would be queued, at most 4.0 KiB in all"
    else:
        assert {t.label for t in after if after[t] != before[t]} == set(labels)
        assert all(isinstance(after[t], Queued) for t in after if t.label in labels)
    assert play.times_said(messages.OPERATOR_ACTION) == 0, "said with the next event"


def test_a_sync_to_one_target_alone() -> None:
    overlay, play = Overlay(), conversation(targets=(TARGET, OTHER_TARGET))
    changed(play, overlay)
    play << StartCopy << StartCopy
    for job in list(play.jobs):
        play >> done(job)
    wanted = SyncWanted(TAPE.pool_id, Which("all"), frozenset({OTHER_TARGET}))
    assert sync(play.engine.book, wanted, "root", play.now) == [f"{TAPE} to {OTHER_TARGET}: queued"]
    with pytest.raises(NameUnknown, match="no target 'nowhere'"):
        sync(play.engine.book, replace(wanted, targets=frozenset({"nowhere"})), "root", play.now)
