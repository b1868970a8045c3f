"""A vault of a target that takes no copies: one cause for all its tapes, and nobody else's."""

import pytest

from copyagent.core.commands import ProbeTarget
from copyagent.core.copying import CopyFailed, CopyJob, CopyWaits, WaitReason
from copyagent.core.engine import Engine
from copyagent.core.events import TargetProbed, WakeupDue
from copyagent.core.report import status
from copyagent.core.tape import Copied, Failed, Queued, Retrying, Waiting
from tests.support.histories import TARGET, Overlay, done, ended, link_lost, make_engine
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId

VAULTS = ("VAULT00", "VAULT01")
MANY = [TapeId("VAULT00", "BILL", f"X{number:05}") for number in range(20)]
OTHER = TapeId("VAULT01", "BILL", "Y00001")
CAUSE = "renaming: read-only file system"
READ_ONLY = CopyFailed(CAUSE, "make the vault writable", permanent=True, whole_vault=True)


@pytest.fixture
def play() -> Playbook:
    """Two vaults are copied into two vaults of one target; every tape of both has been written."""
    engine: Engine = make_engine(
        vaults={v: {"backing": f"/backing/{v}", "mountpoint": f"/{v}"} for v in VAULTS},
        autocopy=[
            {"pool": f"/{v}/BILL", "target": TARGET, "target_pool": f"/{v}/BILL"} for v in VAULTS
        ],
        retry={"attempts": 3, "interval": "300s"},
    )
    made = Playbook(engine) >> link_lost()
    overlays = {vault: Overlay(vault, outbox_id=vault) for vault in VAULTS}
    for tape in (*MANY, OTHER):
        made >> overlays[tape.vault].mounted(tape) >> overlays[tape.vault].dismounted(tape)
    made.wait(2.0)
    return made


def end_all(play: Playbook, outcome: CopyFailed | CopyWaits) -> list[TapeId]:
    """End what runs: into VAULT00 with *outcome*, into VAULT01 well. Return who tried VAULT00."""
    play.open.clear()
    tried = []
    for job in running(play):
        if job.tape.vault == "VAULT00":
            tried.append(job.tape)
            play.hand(ended(job, outcome))
        else:
            play.hand(done(job))
    return tried


def running(play: Playbook) -> list[CopyJob]:
    latest = {job.tape: job for job in play.jobs}
    return [latest[tape] for tape, _ in sorted(play.engine.book.running)]


def until_idle(play: Playbook, outcome: CopyFailed | CopyWaits) -> list[TapeId]:
    tried = []
    while play.engine.book.running:
        tried += end_all(play, outcome)
    play.open.clear()
    return tried


def test_one_tape_speaks_for_all_that_go_there_and_for_no_other(play: Playbook) -> None:
    tried = until_idle(play, READ_ONLY)
    assert len(tried) <= 2, "what ran at the same time, and nobody after that"
    for tape in MANY:
        state = play.state(tape)
        assert isinstance(state, Retrying)
        assert (state.failures, state.cause, state.permanent) == (1, CAUSE, True)
    assert isinstance(play.state(OTHER), Copied)
    assert play.times_said(messages.ATTEMPT_FAILED) == 1
    [target] = status(play.engine, {}, "1", play.now)["targets"]
    assert target["trouble"] == f"no copies into VAULT00: {CAUSE}"


def test_the_ladder_of_each_is_exact_and_a_new_one_waits_for_the_vault(play: Playbook) -> None:
    connections = until_idle(play, READ_ONLY)
    for _ in range(2):
        play.wait(300.0)
        connections += until_idle(play, READ_ONLY)
    assert len(connections) <= 6
    for tape in MANY:
        state = play.state(tape)
        assert isinstance(state, Failed)
        assert (state.failures, state.permanent, state.whole_vault) == (3, True, True)
    assert play.times_said(messages.GAVE_UP) == 1
    # The target answers, and the vault still takes nothing: no new ladder.
    for _ in range(3):
        play.wait(300.0) << ProbeTarget(TARGET)
        play >> TargetProbed(TARGET, None, {"VAULT00": CAUSE})
    assert isinstance(play.state(MANY[0]), Failed)
    # Nor after a restart.
    play.restart()
    assert isinstance(play.state(MANY[0]), Failed)
    play.wait(300.0) << ProbeTarget(TARGET)
    play.hand(TargetProbed(TARGET, None))
    play.open.clear()
    assert isinstance(play.state(MANY[-1]), Queued)
    play.hand(WakeupDue())


def test_a_fence_of_one_vault_leaves_the_other_alone(play: Playbook) -> None:
    fenced = CopyWaits(WaitReason.FENCED, "VAULT00 is in service")
    until_idle(play, fenced)
    assert all(isinstance(play.state(tape), Waiting) for tape in MANY)
    assert isinstance(play.state(OTHER), Copied)
    assert play.times_said(messages.FENCED) == 1
