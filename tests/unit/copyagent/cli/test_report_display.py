"""The figures for people: what is not all is not shown as all, and one sentence concludes."""

from fractions import Fraction
from typing import Any

import pytest
from rich.console import Console

from copyagent.cli.report_display import conclusion, figures_shown, share_text
from copyagent.core.proofs import Outcome, Proof
from copyagent.core.service_level import Asked, Goal, ServiceLevel

NOW_NS = 1_767_225_600_000_000_000
DAY_NS = 86_400_000_000_000


def proof(number: int, took_s: float | None, *, age_s: float = 7200.0, why: str = "") -> Proof:
    dismount = {"number": number, "tape": "/VAULT00/BILL/X00001", "generation": 1}
    outcome = Outcome.WAITING if took_s is None else Outcome.COPIED
    return Proof(dismount, "drsite", outcome, NOW_NS - round(age_s * 1e9), None, took_s, why)


def document(*proofs: Proof, goal: Goal) -> dict[str, Any]:
    level = ServiceLevel(Asked(NOW_NS - DAY_NS, NOW_NS, NOW_NS), goal)
    for one in proofs:
        level.add(one)
    return {"system": "TAPESRV1", **level.document()}


def shown(*proofs: Proof, goal: Goal, width: int = 200) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(figures_shown(document(*proofs, goal=goal), width, goal))
    return capture.get()


def test_all_is_all_and_one_less_is_not() -> None:
    goal = Goal(900, Fraction(9999, 100))
    assert share_text({"percent": 100.0, "within": 3, "due": 3}, goal) == "100.00 %"
    assert share_text({"percent": 99.99, "within": 199_999, "due": 200_000}, goal) == "99.99 %"
    assert share_text({"percent": None, "within": 0, "due": 0}, goal) == "-"


@pytest.mark.parametrize(
    ("proofs", "percent", "said"),
    [
        ([], None, "No copy was due within 15m."),
        ([proof(1, None, age_s=5)], Fraction(100),
         "No copy was due within 15m; 1 not due yet: the goal of 100 % is met."),
        ([proof(1, 5.0), proof(2, None)], Fraction(50),
         "50.00 % of 2 copies that were due were made within 15m: the goal of 50 % is met."),
        ([proof(1, 5.0), proof(2, 901.0)], Fraction(501, 10),
         "50.00 % of 2 copies that were due were made within 15m: the goal of 50.1 % is MISSED."),
    ],
)  # fmt: skip
def test_the_conclusion(proofs: list[Proof], percent: Fraction | None, said: str) -> None:
    goal = Goal(900, percent)
    assert conclusion(document(*proofs, goal=goal), goal) == said


def test_what_is_open_and_what_steers_terminals() -> None:
    text = shown(proof(1, None, why="no room \x1b[2J"), proof(2, None, age_s=60), goal=Goal())
    assert (
        "X00001 to drsite, 2025-12-31T22:00:00Z, for 2h 00m: not copied yet: no room ?[2J" in text
    )
    assert "for 1m, not due yet: not copied yet" in text
    assert "open" in text
    assert "\x1b" not in text


def test_narrow_terminals_are_kept_to() -> None:
    text = shown(proof(1, None, why="word " * 40), goal=Goal(), width=80)
    assert max(map(len, text.splitlines())) <= 80


def test_the_names_of_pools_are_not_cut_on_a_usual_terminal() -> None:
    text = shown(proof(1, 5.0), goal=Goal(), width=80)
    assert "/VAULT00/BILL drsite " in text


def test_what_happened_besides_is_told_in_words() -> None:
    goal = Goal()
    found = document(proof(1, 5.0), goal=goal)
    found["happened"] = {"alarm": 2, "action": 1, "loaded": 1, "failed": 3, "held": 0}
    console = Console(width=200)
    with console.capture() as capture:
        console.print(figures_shown(found, 200, goal))
    assert (
        "On record besides: 2 alarms, 1 act of an operator, 1 time settings came into force, 3 failed."
        in capture.get()
    )
