"""Each dismount leaves one entry: what both witnesses said, and what follows."""

from collections.abc import Mapping

import pytest

from copyagent.core.commands import StartCopy
from copyagent.core.history import Kind, Scalar
from copyagent.core.witness import NUMBERS, Verdict
from tests.support.histories import (
    TAPE,
    TARGET,
    Overlay,
    done,
    link_lost,
    make_engine,
    no_ring,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook
from vtsfs.contract.signals import Access


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine())


def entries(play: Playbook) -> list[Mapping[str, Scalar]]:
    judged = (Kind.DISMOUNTED, Kind.CHANGED)
    found = [e for e in play.engine.book.history.unsaved if e.kind in judged]
    assert all(e.tape == str(TAPE) for e in found)
    return [{**e.facts, "generation": e.generation, "kind": e.kind} for e in found]


def test_a_dismount_that_is_copied(play: Playbook, overlay: Overlay) -> None:
    play >> requested() >> overlay.mounted() >> volume_mounted() >> overlay.dismounted()
    play >> tape_dismounted()
    play.wait(600.0) << StartCopy
    play >> done(play.job)
    (entry,) = entries(play)
    size, modified = entry.pop("size"), entry.pop("modified")  # type: ignore[attr-defined]  # a dict
    assert isinstance(size, int)
    assert size > 0
    assert isinstance(modified, str)
    opened, ended = entry["opened"], entry["ended"]
    assert str(opened).endswith("Z")
    assert str(ended) >= str(opened)
    assert entry == {
        "kind": "dismounted",
        "generation": 1,
        "verdict": "agreed",
        "row": 6,
        "overlay": "wrote",
        "host": "with ring, dismounted",
        "mounted": entry["mounted"],
        "changes": "",
        "sessions": 1,
        "wrote": True,
        "bytes": entry["bytes"],
        "opened": opened,
        "ended": ended,
        "again": False,
        "copy_to": TARGET,
        "held_at": "",
        "action": f"copy to {TARGET}",
    }
    assert str(entry["mounted"]).endswith("with ring")
    play.wait(86_400.0)
    assert len(entries(play)) == 1


def test_a_mount_for_reading_is_one_too_and_nothing_follows(
    play: Playbook, overlay: Overlay
) -> None:
    play >> no_ring() >> overlay.mounted() >> volume_mounted()
    play >> overlay.dismounted(wrote=0) >> tape_dismounted()
    play.wait(600.0)
    (entry,) = entries(play)
    assert (entry["verdict"], entry["row"]) == ("agreed, read only", 4)
    assert (entry["action"], entry["copy_to"], entry["wrote"]) == ("none", "", False)


def test_a_conflict_says_what_is_held_and_a_change_without_a_session_is_no_dismount(
    play: Playbook, overlay: Overlay
) -> None:
    play >> no_ring() >> overlay.mounted() >> volume_mounted()
    play >> overlay.dismounted() >> tape_dismounted()
    play.wait(600.0)
    play >> link_lost() >> overlay.changed()
    play.wait(600.0)
    conflict, change = entries(play)
    assert conflict["action"] == f"hold at {TARGET} (conflict)"
    assert conflict["held_at"] == TARGET
    assert (change["kind"], change["row"]) == (Kind.CHANGED, 11)
    assert (change["changes"], change["sessions"]) == ("truncate", 0)
    assert change["generation"] == 2


def test_what_is_judged_again_says_so(play: Playbook, overlay: Overlay) -> None:
    play >> link_lost() >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy
    play >> done(play.job)
    play >> no_ring()
    play.wait(3600.0)
    first, *again = entries(play)
    assert (first["verdict"], first["again"]) == ("overlay only", False)
    assert [(e["verdict"], e["again"]) for e in again] == [("conflict", True)]


def test_a_mount_is_dismounted_once_however_many_sessions_turn_out_to_be_its_own(
    play: Playbook, overlay: Overlay
) -> None:
    play >> requested() >> volume_mounted() >> overlay.mounted() >> overlay.dismounted()
    play.wait(10.0)
    play >> overlay.mounted(access=Access.READ) >> tape_dismounted() << StartCopy
    play >> overlay.dismounted(access=Access.READ)
    play >> done(play.job)
    play.wait(600.0)
    first, second = entries(play)
    assert (first["verdict"], first["again"]) == ("agreed", False)
    assert (second["mounted"], second["again"]) == (first["mounted"], True)


def test_every_verdict_has_its_number() -> None:
    assert set(NUMBERS) == set(Verdict)
    numbered = sorted({number for number in NUMBERS.values() if number})
    assert numbered == list(range(1, 14))
