"""Each dismount is proven by the first copy of its generation, or of a later one."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.dates import iso
from copyagent.core.history import Kind
from copyagent.core.proofs import Matching, Outcome, Proof, evidence

BASE_NS = 1_767_225_600_000_000_000
TAPE = "/VAULT00/BILL/X00001"

Document = dict[str, Any]


def entry(
    number: int, kind: str, generation: int = 1, *, at_s: float = 0.0, **facts: object
) -> Document:
    return {
        "number": number,
        "at": iso(BASE_NS + round(at_s * 1e9)),
        "kind": kind,
        "tape": TAPE,
        "target": "",
        "generation": generation,
        "settings": "",
        **facts,
    }


def dismounted(number: int, generation: int = 1, to: str = "drsite", **facts: Any) -> Document:
    return entry(
        number, Kind.DISMOUNTED, generation, **{"copy_to": to, "verdict": "agreed", **facts}
    )


def copied(number: int, generation: int = 1, target: str = "drsite", **facts: Any) -> Document:
    return entry(number, Kind.COPIED, generation, **{"target": target, **facts})


def matched(entries: Iterable[Document]) -> list[Proof]:
    matching = Matching()
    found = [proof for one in entries for proof in matching.take(one)]
    return found + list(matching.rest())


def outcomes(*entries: Document) -> list[tuple[int, str, str]]:
    return [(p.dismount["number"], p.target, p.outcome.value) for p in matched(entries)]


def test_a_dismount_and_its_copy() -> None:
    first = dismounted(1, at_s=20, ended=iso(BASE_NS + 10_000_000_000))
    (proof,) = matched([first, copied(2, at_s=99, published=iso(BASE_NS + 70_000_000_000))])
    assert (proof.outcome, proof.took_s) == (Outcome.COPIED, 60.0)
    line = evidence(proof)
    assert (line["number"], line["copy"], line["copy_generation"]) == (1, 2, 1)
    assert (line["outcome"], line["published"]) == ("copied", "2026-01-01T00:01:10Z")


def test_where_nothing_says_when_it_ended_the_verdict_is_its_end() -> None:
    (proof,) = matched([dismounted(1, at_s=20), copied(2, at_s=50)])
    assert proof.took_s == 30.0


def test_every_target_has_a_proof_of_its_own() -> None:
    assert outcomes(dismounted(1, to="dr1 dr2"), copied(2, target="dr2")) == [
        (1, "dr2", "copied"),
        (1, "dr1", "not copied yet"),
    ]


def test_what_is_not_to_be_copied_is_told_at_once() -> None:
    assert outcomes(dismounted(1, to="", verdict="agreed, read only")) == [
        (1, "", "no copy needed")
    ]


def test_a_later_generation_proves_the_former_ones_and_not_the_other_way_round() -> None:
    entries = [dismounted(1, 4), dismounted(2, 5), dismounted(3, 6), copied(4, 5), copied(5, 6)]
    assert outcomes(*entries) == [
        (1, "drsite", "copied with a later generation"),
        (2, "drsite", "copied"),
        (3, "drsite", "copied"),
    ]


@pytest.mark.parametrize(
    ("kind", "facts", "outcome", "why"),
    [
        (Kind.HELD, {"reason": "conflict", "cause": "DEV2"}, Outcome.HELD, "conflict: DEV2"),
        (Kind.FAILED, {"cause": "no room", "attempts": 12}, Outcome.FAILED, "no room"),
        (Kind.CANCELLED, {"user": "ann", "because": "test"}, Outcome.CANCELLED, "ann: test"),
    ],
)
def test_what_keeps_it_is_told_until_it_is_copied(
    kind: Kind, facts: Document, outcome: Outcome, why: str
) -> None:
    kept = entry(2, kind, target="drsite", **facts)
    (proof,) = matched([dismounted(1), kept])
    assert (proof.outcome, proof.why, proof.took_s) == (outcome, why, None)
    assert outcomes(dismounted(1), kept, copied(3)) == [(1, "drsite", "copied")]


def test_held_by_its_verdict() -> None:
    assert outcomes(dismounted(1, to="", held_at="drsite", verdict="conflict")) == [
        (1, "drsite", "held")
    ]


def test_what_is_erased_cannot_be_copied_any_more() -> None:
    erased = dismounted(2, 2, to="", size=0)
    assert outcomes(dismounted(1), erased) == [
        (1, "drsite", "erased here before it was copied"),
        (2, "", "no copy needed"),
    ]
    received = entry(2, Kind.CHANGED, 2, copy_to="", verdict="received")
    assert outcomes(dismounted(1), received)[0] == (
        1,
        "drsite",
        "replaced by a peer's before it was copied",
    )
    kept = entry(2, Kind.KEPT, target="drsite", how="deleted")
    assert outcomes(dismounted(1), kept) == [(1, "drsite", "erased here before it was copied")]


def test_other_tapes_and_other_kinds_settle_nothing() -> None:
    other = copied(2) | {"tape": "/VAULT00/BILL/X00002"}
    alarm = entry(3, Kind.ALARM, message=424150, target="drsite")
    assert outcomes(dismounted(1), other, alarm) == [(1, "drsite", "not copied yet")]


def test_what_comes_after_the_time_asked_about_owes_nothing() -> None:
    matching = Matching()
    assert not list(matching.take(dismounted(1)))
    assert not list(matching.settle(dismounted(2, 2)))
    assert [p.dismount["number"] for p in matching.settle(copied(3, 2))] == [1]
    assert not matching.open


def test_sessions_that_are_judged_again_are_one_dismount() -> None:
    again = dismounted(2, again=True)
    assert outcomes(dismounted(1), again, copied(3)) == [
        (2, "", "judged again"),
        (1, "drsite", "copied"),
    ]
    held = dismounted(2, to="", held_at="drsite", verdict="conflict", again=True)
    assert outcomes(dismounted(1), held) == [(2, "", "judged again"), (1, "drsite", "held")]
    # What was copied already, and is owed once more, is owed since then.
    assert outcomes(dismounted(1), copied(2), dismounted(3, again=True)) == [
        (1, "drsite", "copied"),
        (3, "drsite", "not copied yet"),
    ]
    assert outcomes(dismounted(1, to=""), dismounted(2, to="", again=True)) == [
        (1, "", "no copy needed"),
        (2, "", "judged again"),
    ]


def test_a_changed_tape_is_owed_like_a_dismounted_one() -> None:
    changed = entry(1, Kind.CHANGED, copy_to="drsite", verdict="changed without a mount")
    assert outcomes(changed, copied(2)) == [(1, "drsite", "copied")]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.sampled_from(["a", "b"]))))
def test_each_dismount_is_handed_out_once_for_each_target(
    steps: list[tuple[bool, int, str]],
) -> None:
    entries = [
        dismounted(n, g, "a b") if is_dismount else copied(n, g, target)
        for n, (is_dismount, g, target) in enumerate(steps, 1)
    ]
    told = [(p.dismount["number"], p.target) for p in matched(entries)]
    wanted = [(e["number"], t) for e in entries if e["kind"] == "dismounted" for t in ("a", "b")]
    assert sorted(told) == sorted(wanted)
