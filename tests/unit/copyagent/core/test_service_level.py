"""Figures over a time: exact, never rounded up, and of bounded size."""

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.dates import iso, parse_iso
from copyagent.core.history import Kind
from copyagent.core.proofs import Matching, Outcome, Proof
from copyagent.core.service_level import (
    LISTED,
    WORST,
    Asked,
    Goal,
    ServiceLevel,
    floored,
    parse_goal,
    percent_text,
)
from vtsfs.contract import messages

BASE_NS = 1_767_225_600_000_000_000
NOW_NS = BASE_NS + 86_400_000_000_000
ASKED = Asked(BASE_NS, NOW_NS, NOW_NS)

Document = dict[str, Any]


def proof(
    number: int = 1,
    took_s: float | None = 60.0,
    *,
    age_s: float = 7200.0,
    tape: str = "/VAULT00/BILL/X00001",
    target: str = "drsite",
    outcome: Outcome | None = None,
) -> Proof:
    dismount = {"number": number, "tape": tape, "generation": 1, "kind": Kind.DISMOUNTED}
    made = outcome or (Outcome.WAITING if took_s is None else Outcome.COPIED)
    return Proof(dismount, target, made, NOW_NS - round(age_s * 1e9), None, took_s)


def level(*proofs: Proof, goal: Goal = Goal(), live: Any = None) -> Document:  # noqa: B008  # frozen
    made = ServiceLevel(ASKED, goal)
    for one in proofs:
        made.add(one)
    return made.document(live)


def test_in_time_late_missing_and_not_due_yet() -> None:
    document = level(
        proof(1, 900.0),
        proof(2, 901.0),
        proof(3, None, age_s=901),
        proof(4, None, age_s=899),
        proof(5, None, outcome=Outcome.ERASED),
        proof(6, None, outcome=Outcome.HELD),
        proof(7, 5.0, outcome=Outcome.LATER),
    )
    total = document["total"]
    assert {key: total[key] for key in list(total)[:8]} == {
        "owed": 6,
        "due": 5,
        "within": 2,
        "late": 1,
        "missing": 2,
        "not_yet_due": 1,
        "later_generation": 1,
        "moot": 1,
    }
    assert total["percent"] == 40.0
    assert [way["pool"] for way in document["ways"]] == ["/VAULT00/BILL"]


def test_nothing_due_is_no_figure_and_misses_no_goal() -> None:
    document = level(proof(1, None, age_s=1), goal=Goal(900, Fraction(100)))
    assert document["total"]["percent"] is None
    assert document["total"]["p99_s"] is None
    assert document["met"] is True
    assert level()["met"] is None


@pytest.mark.parametrize(
    ("in_time", "due", "goal", "percent", "met"),
    [
        (19_999, 20_000, "99.99%", 99.99, True),  # 99.995 is not 100
        (9_999, 10_000, "99.99%", 99.99, True),
        (9_998, 10_000, "99.99%", 99.98, False),
        (19_997, 20_000, "99.99%", 99.98, False),  # 99.985 is not 99.99
        (20_000, 20_000, "100%", 100.0, True),
        (99_999, 100_000, "100%", 99.99, False),
        (999_995, 1_000_000, "99.9995", 99.9995, True),
        (999_994, 1_000_000, "99.9995", 99.9994, False),
    ],
)
def test_the_share_is_cut_and_the_goal_judged_exactly(
    in_time: int, due: int, goal: str, percent: float, met: bool
) -> None:
    made = ServiceLevel(ASKED, Goal(900, parse_goal(goal)))
    made.total.within = in_time
    made.total.delays.extend([1.0] * due)
    assert made.document()["total"]["percent"] == percent
    assert made.met is met


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 6))
def test_a_share_is_shown_as_all_only_if_it_is(part: int, whole: int, digits: int) -> None:
    share = Fraction(min(part, whole), whole)
    shown = floored(share, digits)
    assert shown <= share * 100 < shown + Fraction(1, 10**digits)
    assert (shown == 100) == (share == 1)
    assert Fraction(percent_text(share * 100, digits)) == shown


@pytest.mark.parametrize("text", ["", "%", "99.99.9", "101%", "-1", "nan", "inf", "1/2", "9" * 20])
def test_what_is_no_goal(text: str) -> None:
    with pytest.raises(ValueError, match="should be a share"):
        parse_goal(text)


def test_a_goal_is_read_exactly() -> None:
    assert parse_goal(" 99.99 % ") == Fraction(9999, 100)
    assert percent_text(parse_goal("99.990%")) == "99.99"
    assert percent_text(parse_goal("100")) == "100"
    assert Goal(1, parse_goal("99.9995")).digits == 4


def test_percentiles_are_delays_that_there_were_and_an_open_one_is_the_longest() -> None:
    copies = [proof(n, float(n)) for n in range(1, 100)]
    total = level(*copies, proof(100, None))["total"]
    assert [total[f"p{p}_s"] for p in (50, 90, 95, 99)] == [50.0, 90.0, 95.0, 99.0]
    total = level(proof(1, 7.0), proof(2, None))["total"]
    assert (total["p50_s"], total["p99_s"]) == (7.0, None)


def test_the_slowest_ten_and_the_oldest_open_ones() -> None:
    document = level(
        *(proof(n, float(n)) for n in range(1, 50)),
        *(proof(n, None, age_s=90_000 - n) for n in range(50, 50 + LISTED + 3)),
        live={("/VAULT00/BILL/X00001", "drsite"): "waiting (paused): by root"},
    )
    assert len(document["worst"]) == WORST
    assert [one["number"] for one in document["worst"]][:3] == [50, 51, 52]
    assert document["worst"][0]["age_s"] == 90_000 - 50
    assert len(document["open"]) == LISTED
    assert document["open_left_out"] == 3
    assert {one["why"] for one in document["open"]} == {"waiting (paused): by root"}


def test_what_nobody_saw_is_told() -> None:
    made = ServiceLevel(ASKED)
    base = {"tape": "", "target": "", "generation": 0, "at": iso(BASE_NS)}
    lost: Document = {
        "kind": "alarm",
        "message": messages.LINK_LOST.id,
        "text": "EMS link to DEV2 lost",
    }
    told: list[Document] = [
        {"kind": "loaded", "how": "start"},
        {"kind": "loaded", "how": "start"},
        {"kind": "loaded", "how": "reload"},
        {"kind": "stopped", "how": "by SIGTERM"},
        {"kind": "loaded", "how": "start"},
        lost,
        {"kind": "alarm", "message": messages.FALLEN_BEHIND.id, "text": "behind"},
        {"kind": "pruned", "count": 17},
        {"kind": "changed", "verdict": "changed without a mount"},
        {"kind": "dismounted", "verdict": "overlay only", "copy_to": "drsite"},
        {"kind": "dismounted", "verdict": "agreed", "copy_to": "drsite", "again": True},
        {"kind": "changed", "verdict": "agreed", "again": True},
        {"kind": "dismounted", "verdict": "agreed"},
        {"kind": "failed", "cause": "no room"},
        {"kind": "held", "reason": "conflict", "cause": "DEV2"},
        {"kind": "something new"},
    ]
    for number, facts in enumerate(told, 1):
        made.saw({**base, "number": number, **facts})
    document = made.document()
    assert [gap["what"] for gap in document["gaps"]] == [
        "the agent started; that the one before had ended is not on record",
        f"the agent started; it had ended at {iso(BASE_NS)}: by SIGTERM",
        "EMS link to DEV2 lost",
        "17 older entries are not kept any more",
    ]
    assert document["begins"] == iso(BASE_NS)
    assert document["unseen"] == {"changed without a mount": 1, "overlay only": 1}
    assert (document["dismounts"], document["changes"], document["judged_again"]) == (2, 1, 2)
    assert document["needed_copy"] == 1
    assert document["causes"] == {"failed: no room": 1, "held: conflict: DEV2": 1}
    json.dumps(document)


def test_different_causes_do_not_grow_for_ever() -> None:
    made = ServiceLevel(ASKED)
    for number in range(1000):
        made.saw({"number": number, "kind": "failed", "at": "", "cause": f"cause {number}"})
    causes = made.document()["causes"]
    assert len(causes) == LISTED + 1
    assert causes["other causes"] == 1000 - LISTED


STEP = st.tuples(
    st.sampled_from(["dismounted", "copied", "held", "kept"]),
    st.sampled_from(["X00001", "X00002"]),
    st.sampled_from(["dr1", "dr2", "dr1 dr2"]),
    st.integers(0, 3000),
)


@given(st.lists(STEP, max_size=30), st.integers(1, 3000))
def test_the_figures_are_what_a_slow_count_says(
    steps: list[tuple[str, str, str, int]], within_s: int
) -> None:
    """Each dismount is looked at by itself, with all that came after it."""
    entries: list[Document] = []
    at_s, generations = 0, Counter[str]()
    for number, (kind, label, targets, passed) in enumerate(steps, 1):
        at_s += passed
        generations[label] += kind == "dismounted"
        entries.append({
            "number": number, "at": iso(BASE_NS + at_s * 1_000_000_000), "kind": kind,
            "tape": f"/VAULT00/BILL/{label}", "generation": generations[label],
            "target": "" if kind == "dismounted" else targets.split()[0],
            "copy_to": targets if kind == "dismounted" else "", "size": 5,
        })  # fmt: skip
    now_ns = BASE_NS + (at_s + 60) * 1_000_000_000
    made, matching = ServiceLevel(Asked(BASE_NS, now_ns, now_ns), Goal(within_s)), Matching()
    for entry in entries:
        made.saw(entry)
        for found in matching.take(entry):
            made.add(found)
    for found in matching.rest():
        made.add(found)
    total = made.document()["total"]
    slow = Counter(
        slowly(entry, target, entries, now_ns, within_s)
        for entry in entries
        if entry["kind"] == "dismounted"
        for target in entry["copy_to"].split()
    )
    told = {key: total[key] for key in ("within", "late", "missing", "not_yet_due", "moot")}
    assert {key: count for key, count in told.items() if count} == slow
    assert total["due"] == slow["within"] + slow["late"] + slow["missing"]


def slowly(
    dismount: Document, target: str, entries: list[Document], now_ns: int, within_s: int
) -> str:
    begun_ns = parse_iso(dismount["at"])
    for entry in entries[dismount["number"] :]:
        if entry["tape"] != dismount["tape"] or entry["target"] != target:
            continue
        if entry["kind"] == "kept":
            return "moot"
        if entry["kind"] == "copied" and entry["generation"] >= dismount["generation"]:
            took_s = (parse_iso(entry["at"]) - begun_ns) / 1e9
            return "within" if took_s <= within_s else "late"
    return "missing" if now_ns - begun_ns > within_s * 1e9 else "not_yet_due"


def year(count: int) -> Iterator[Document]:
    for n in range(count):
        at = iso(BASE_NS + n * 1_000_000_000)
        tape = f"/VAULT00/BILL/X{n // 2 % 5000:05}"
        common = {"number": n, "at": at, "tape": tape, "generation": n // 2, "settings": "f" * 64}
        if n % 2:
            yield {
                **common,
                "kind": "copied",
                "target": "drsite",
                "published": at,
                "root": "a" * 64,
            }
        else:
            yield {**common, "kind": "dismounted", "target": "", "copy_to": "drsite", "size": 5}


def test_a_year_passes_in_little_memory() -> None:
    tracemalloc.start()
    made, matching = ServiceLevel(ASKED), Matching()
    for one in year(8000):
        made.saw(one)
        for found in matching.take(one):
            made.add(found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made.document()["total"]["within"] == 4000
    # Two arrays of eight bytes a copy that was owed, and lists of fixed length.
    assert peak < 400_000
