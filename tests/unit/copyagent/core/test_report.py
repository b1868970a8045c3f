"""What operators see: plain data, true at every step of a tape's way."""

import json

import pytest

from copyagent.core.commands import StartCopy
from copyagent.core.copying import CopyHeld, CopyWaits, HoldReason, SourceErased, WaitReason
from copyagent.core.dates import iso
from copyagent.core.report import MOST_LISTED, Document, explain, status
from copyagent.core.shown import HOLDS
from copyagent.core.tape import Unsynced
from copyagent.core.traffic_report import Progress
from tests.support.histories import (
    HOST,
    SECOND,
    TAPE,
    TARGET,
    TWIN,
    UNWATCHED,
    VAULT,
    Overlay,
    done,
    ended,
    failed,
    link_up,
    make_engine,
    no_ring,
    requested,
    tape_dismounted,
    unreachable,
)
from tests.support.playbook import START, Playbook
from vtsfs.contract.errors import NameUnknown
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine()) >> link_up()


def seen(play: Playbook, **progress: Progress) -> Document:
    running = {(TAPE, target): value for target, value in progress.items()}
    made = status(play.engine, running, "1.2", play.now)
    assert json.loads(json.dumps(made)) == made
    return made


def told(play: Playbook, tape: TapeId = TAPE) -> Document:
    made = explain(play.engine, tape, play.now)
    assert json.loads(json.dumps(made)) == made
    return made


def copy_of(play: Playbook) -> Document:
    found: Document = told(play)["copies"][0]
    return found


def test_the_words_and_next_steps_along_a_tapes_way(play: Playbook, overlay: Overlay) -> None:
    way: list[tuple[str, str]] = []

    def note() -> None:
        way.append((copy_of(play)["state"], copy_of(play)["next"].split(".")[0]))

    play >> requested() >> overlay.mounted()
    note()
    play >> overlay.dismounted()
    note()
    play.wait(2.0)
    note()
    play >> tape_dismounted() << StartCopy
    note()
    play >> failed(play.job)
    note()
    play.wait(300.0) << StartCopy
    play >> ended(play.job, CopyWaits(WaitReason.FENCED, "IN-SERVICE"))
    note()
    play.wait(300.0) << StartCopy
    play >> done(play.job)
    note()
    play >> overlay.removed()
    note()
    assert way == [
        (
            "mounted (read/write)",
            "It is judged, and copied if need be, when its last writer has closed it",
        ),
        ("settling", "The witnesses are being heard; a verdict comes within 2 s"),
        (
            "awaiting host",
            "The host has it: a verdict comes when it dismounts it, in 23h 59m at the latest",
        ),
        ("copying", "Wait for the end of the copy"),
        ("retry 1/12", "Next attempt in 300 s"),
        ("waiting (fenced)", "Looked at again in 300 s"),
        ("copied", "Nothing to do"),
        ("kept (deleted at source)", "Nothing to do"),
    ]


def test_status_counts_by_pool_and_lists_what_needs_attention(
    play: Playbook, overlay: Overlay
) -> None:
    for tape in (TAPE, SECOND, TWIN):
        play >> overlay.mounted(tape) >> overlay.dismounted(tape)
    play.wait(30.0) << StartCopy << StartCopy
    play >> done(play.jobs[0])
    play << StartCopy
    play.wait(60.0)
    pools = {pool["pool"]: pool for pool in seen(play)["pools"]}
    bill = pools["/VAULT00/BILL"]
    assert (bill["tapes"], bill["protected"], bill["unprotected"]) == (2, 1, 1)
    assert bill["oldest_unprotected_s"] == 90
    assert bill["states"] == {"copied": 1, "copying": 1}
    assert [entry["tape"] for entry in seen(play)["attention"]] == [str(SECOND), str(TWIN)]
    assert seen(play)["targets"][0]["running"] == 2


def test_running_copies_have_bytes_rate_and_time_left(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(30.0) << StartCopy
    started = play.now.wall_ns
    (copy,) = seen(play)["copies"]
    assert (copy["phase"], copy["rate"], copy["left_s"]) == ("starting", 0, None)
    play.wait(10.0)
    (copy,) = seen(play, drsite=Progress("sending", 1000, 4000, started))["copies"]
    assert copy["tape"] == str(TAPE)
    assert (copy["done"], copy["total"], copy["rate"], copy["left_s"]) == (1000, 4000, 100, 30)


def test_links_vaults_and_targets_with_their_trouble(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.hello()
    play.open.clear()
    play >> overlay.swept(play.now.mono) >> overlay.mounted() >> overlay.dismounted()
    play.wait(30.0) << StartCopy
    play >> unreachable(play.job) >> overlay.silent()
    made = seen(play)
    (host,), (vault,), (target,) = made["hosts"], made["vaults"], made["targets"]
    assert (host["host"], host["up"], host["trouble"]) == (HOST, True, "")
    assert (vault["vault"], vault["attached"], vault["swept"]) == (VAULT, False, True)
    assert vault["trouble"] == "connection refused"
    assert (target["target"], target["up"]) == (TARGET, False)
    assert target["trouble"] == "connection refused"


def test_explain_shows_the_evidence_the_verdict_and_the_history(
    play: Playbook, overlay: Overlay
) -> None:
    play >> overlay.mounted() >> no_ring()
    made = told(play)
    assert made["evidence"]["open"][0]["access"] == "write"
    assert made["evidence"]["host"]["ring"] == "no ring"
    assert made["verdict"] is None
    play >> overlay.dismounted()
    play.wait(2.0)
    made = told(play)
    verdict = made["verdict"]
    assert (verdict["verdict"], verdict["overlay_said"], verdict["host_said"]) == (
        "conflict", "wrote", "no ring",
    )  # fmt: skip
    assert verdict["sessions"][0]["bytes"] == 4096
    assert verdict["host_mount"]["request"] == 1
    assert "copyagent release /VAULT00/BILL/X00001 --because" in made["copies"][0]["next"]
    assert any("mount requested, no ring" in note["what"] for note in made["history"])
    assert not made["protected"]
    assert made["unprotected_since"] is not None


def test_explain_shows_what_was_published(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(30.0) << StartCopy
    play >> done(play.job)
    made = copy_of(play)["published"]
    assert (made["generation"], made["size"], made["verified"]) == (1, 4096, "sha256")


def test_failed_and_unsynced_tapes_name_the_command_that_helps(overlay: Overlay) -> None:
    play = Playbook(make_engine(retry={"attempts": 1}))
    overlay.write(TAPE)
    play >> overlay.swept(play.now.mono)
    assert copy_of(play)["state"] == "unsynced"
    assert "copyagent sync /VAULT00/BILL/X00001" in copy_of(play)["next"]
    play >> overlay.changed()
    play.wait(2.0) << StartCopy
    play >> failed(play.job)
    assert copy_of(play)["state"] == "failed"
    assert copy_of(play)["why"] == "no space left at the target"
    assert "copyagent retry --failed" in copy_of(play)["next"]


@pytest.mark.parametrize("reason", HoldReason)
def test_every_hold_says_why_and_what_to_do(
    reason: HoldReason, play: Playbook, overlay: Overlay
) -> None:
    assert reason in HOLDS
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(30.0) << StartCopy
    play >> ended(play.job, CopyHeld(reason, "because of this"))
    made = copy_of(play)
    assert made["state"] == f"held ({reason})"
    assert made["why"] == "because of this"
    assert str(TAPE) in made["next"]


def test_a_reader_shows_and_an_erased_tape_is_kept(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(30.0) << StartCopy
    opened, closed = overlay.read()
    play >> done(play.job) >> opened
    assert copy_of(play)["state"] == "mounted (read only)"
    play >> closed >> overlay.mounted() >> overlay.dismounted()
    play.wait(30.0) << StartCopy
    play >> ended(play.job, SourceErased(gone=False))
    assert copy_of(play)["state"] == "kept (erased at source)"


def test_what_is_not_known_is_said(play: Playbook) -> None:
    with pytest.raises(NameUnknown, match="no witness has seen"):
        told(play)
    with pytest.raises(NameUnknown, match="not under autocopy:"):
        told(play, UNWATCHED)


def test_times_are_written_in_utc_and_never_is_none() -> None:
    assert iso(0) is None
    assert iso(1_795_000_000 * 10**9) == "2026-11-18T11:06:40Z"


@pytest.mark.parametrize("seconds", [-(2**40), 2**40])
def test_a_file_with_an_impossible_date_can_still_be_explained(
    seconds: int, play: Playbook, overlay: Overlay
) -> None:
    overlay.identities[TAPE] = Identity(1, 2, 3, seconds * 10**9, 0)
    play >> overlay.swept(play.now.mono)
    assert told(play)["modified"] == f"{seconds} s from 1970-01-01T00:00:00Z"


def test_of_very_many_that_need_attention_the_oldest_are_listed() -> None:
    engine = make_engine()
    for number in range(MOST_LISTED + 3):
        record = engine.book.record(TapeId("VAULT00", "BILL", f"T{number:05}"))
        record.copies[TARGET].state = Unsynced()
        record.behind_ns = START.wall_ns + 10_000 - number
    document = status(engine, {}, "1", START)
    assert len(document["attention"]) == MOST_LISTED
    assert document["attention_left_out"] == 3
    assert document["attention"][0]["tape"] == f"/VAULT00/BILL/T{MOST_LISTED + 2:05}"
