"""What the functions behind ``--json`` return, after whatever has happened, is as the schemas have it.

What real programs print is looked at wherever a test runs one (`tests.support.documents`).
"""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.cli.audit_run import finding_document, summary_document
from copyagent.cli.doctor_run import doctor_document
from copyagent.cli.ems_replay import replay_document
from copyagent.cli.ems_trial import trial_document
from copyagent.cli.verify_run import document as verify_document
from copyagent.core import history, report
from copyagent.core.audit import Audit, Flaw, Found
from copyagent.core.calls import Call
from copyagent.core.copying import (
    CopyFailed,
    CopyHeld,
    CopyOutcome,
    CopyWaits,
    HoldReason,
    PublishedCopy,
    TargetStamp,
    WaitReason,
)
from copyagent.core.events import CopyEnded
from copyagent.core.gates import Pause
from copyagent.core.hook_queue import document_of
from copyagent.core.host_events import LinkTrouble, Ring
from copyagent.core.host_report import Found as FoundEvents
from copyagent.core.host_report import events
from copyagent.core.journal import Wanted
from copyagent.core.listing import TapesWanted, queue, tapes_page
from copyagent.core.on_record import OnRecord
from copyagent.core.proofs import Matching, evidence
from copyagent.core.rehearsal import Rehearsal
from copyagent.core.service_level import Asked, Goal, ServiceLevel
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.recording import Recording
from copyagent.ems.trial import Trial
from copyagent.transfer.findings import Findings, Result
from copyagent.transfer.published import Looked
from copyagent.transfer.published import Result as Verified
from tests.support.documents import check_document
from tests.support.histories import (
    TAPE,
    TARGET,
    Overlay,
    link_lost,
    link_up,
    make_engine,
    make_settings,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook, copied_once
from vtsfs.contract.extents import ExtentSet
from vtsfs.contract.messages import CATALOGUE
from vtsfs.contract.naming import PoolId
from vtsfs.contract.signals import Access, Identity

COPY = PublishedCopy(7, Identity(1, 2, 5, 1, 1), 5, "", TargetStamp(5, 1), "size", root="aa")
STEPS = (
    *("write", "read", "release", "fail", "hold", "wait", "a moment", "an hour", "pause"),
    *("ask", "ask without ring", "mount", "dismount", "lose the link", "copy"),
)


def take(play: Playbook, overlay: Overlay, step: str) -> None:
    """Let something happen that can happen now."""
    access = Access.READ if step == "read" else Access.WRITE
    book = play.engine.book
    outcomes: dict[str, CopyOutcome] = {
        "fail": CopyFailed("no room", "make some", permanent=True),
        "hold": CopyHeld(HoldReason.TARGET_CHANGED, "another date"),
        "wait": CopyWaits(WaitReason.FENCED, "in service"),
    }
    if step in {"write", "read"} and (TAPE, access) not in overlay.open:
        play.hand(overlay.mounted(access=access))
    elif step == "release" and (TAPE, Access.WRITE) in overlay.open:
        play.hand(overlay.dismounted())
    elif step in outcomes and (TAPE, TARGET) in book.running:
        play.hand(CopyEnded(TAPE, TARGET, outcomes[step]))
    elif step == "pause":
        book.pauses[TARGET] = Pause(TARGET, "root", "moving house", play.now.wall_ns)
    elif step == "ask":
        play.hand(requested(TAPE.label))
    elif step == "ask without ring":
        play.hand(requested(TAPE.label, ring=Ring.NO_RING))
    elif step == "mount":
        play.hand(volume_mounted(TAPE.label))
    elif step == "dismount":
        play.hand(tape_dismounted(TAPE.label))
    elif step == "lose the link":
        play.hand(link_lost())
    elif step in {"a moment", "an hour"}:
        play.open.clear()
        play.wait(3.0 if step == "a moment" else 3600.0)


@settings(max_examples=20)
@given(st.lists(st.sampled_from(STEPS), max_size=20))
def test_whatever_has_happened(steps: list[str]) -> None:
    play, overlay = Playbook(make_engine()), Overlay()
    play.hand(overlay.hello())
    play.hand(link_up())
    play.open.clear()
    copied_once(play, overlay)
    entries = play.engine.book.history.news()
    level = ServiceLevel(Asked(0, 0, play.now.wall_ns), Goal())
    for step in steps:
        take(play, overlay, step)
        play.open.clear()
        entries += play.engine.book.history.news()
    for entry in entries:
        document = {"schema": 1, **history.document(entry)}
        check_document("history", json.loads(json.dumps(document)))
        level.saw(history.document(entry))
    matching = Matching()
    documents = [history.document(entry) for entry in entries]
    proofs = [proof for document in documents for proof in matching.take(document)]
    for proof in (*proofs, *matching.rest()):
        level.add(proof)
        check_document("report-proofs", json.loads(json.dumps({"schema": 1, **evidence(proof)})))
    check_all(play)
    check_document("report", {"system": "TAPESRV1", **level.document()})


def check_all(play: Playbook) -> None:
    """Look at all that can be asked of the engine."""
    engine, now = play.engine, play.now
    check_document("explain", report.explain(engine, TAPE, now))
    check_document("queue", queue(engine, "", 10, {}, now))
    for told in tapes_page(engine.book, TapesWanted(), {}, now).told.values():
        for document in told:
            check_document("tapes", {"schema": 1, **document})
    status = report.status(engine, {}, "1.0", now)
    for host in status["hosts"]:
        host |= {
            "connections": 0,
            "events_of_all_kinds": 0,
            "heartbeats": 0,
            "unrecognised": 0,
            "garbage_lines": 0,
            "garbage": [],
            "other_events": {},
            "notify": None,
            "asked": dict.fromkeys(("obeyed", "refused", "too_many", "elsewhere", "left_alone"), 0)
            | {"latest": None, "latest_at": None},
        }
    check_document("status", status)
    journal = engine.book.journal
    heard, left_out = journal.find(Wanted(most=100))
    found = FoundEvents(
        engine.book.settings,
        now,
        journal.oldest,
        journal.newest,
        heard,
        left_out,
        list(engine.book.reports.entries),
    )
    document = events(found)
    for line in (*document["events"], *document["signals"]):
        check_document("events", {"schema": 1, **line})


def test_what_the_sites_own_command_reads() -> None:
    for message in CATALOGUE.values():
        call = Call(1, 1, message.id, dict.fromkeys(message.fields, "x"))
        check_document("notify", document_of(call, "TAPESRV1"))


def test_what_is_found_of_copies() -> None:
    pool = PoolId("VAULT00", "BILL")
    for flaw in Flaw:
        finding = finding_document(pool, TARGET, Found(flaw, "X00001", "why"))
        check_document("audit", {"schema": 1, **finding})
    check_document("audit", {"schema": 1, **summary_document(pool, TARGET, Audit())})
    for copy in (
        OnRecord(TAPE, TARGET, "copied", 7, None, COPY),
        OnRecord(TAPE, TARGET, "", 0, None, None),
    ):
        for result in Verified:
            looked = Looked(result, "readback", "", wrong=ExtentSet([(0, 5)]))
            check_document("verify", {"schema": 1, **verify_document(copy, looked, "told")})


def test_what_is_found_of_targets_and_hosts(tmp_path: Path) -> None:
    made, findings = make_settings(), Findings()
    for result in Result:
        findings.add("log-in", result, "seen", "do something")
    check_document("doctor", doctor_document(made, {TARGET: findings}))
    for failure in (None, LinkFailure(LinkTrouble.LOGIN_REFUSED, "password")):
        steps = [{"at_s": 0.1, "step": "connecting"}]
        trial = Trial(failure=failure)
        check_document("ems-test", trial_document(made, "DEV2", steps, trial))
    replay = replay_document(made, Rehearsal(made, []), Recording(), "DEV2")
    check_document("ems-replay", replay)
