"""One word for everything, why, and figures: what a monitoring system makes of a status."""

import re
from typing import Any

import pytest

from copyagent.core.health_check import Health, Level, Limits, judge, not_answering, not_known

PERFDATA = re.compile(r"'[^'=]+'=-?\d+s?;[\d.]*;[\d.]*;0;")


def pool(**changes: Any) -> dict[str, Any]:
    known = {
        "pool": "/VAULT00/BILL",
        "target": "drsite",
        "tapes": 1200,
        "protected": 1200,
        "unprotected": 0,
        "behind_since": None,
        "behind_after_s": 1800,
        "owed": 0,
        "oldest_owed_s": None,
        "paused": None,
        "states": {"copied": 1200},
    }
    return known | changes


def status(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "pools": [pool()],
        "vaults": [
            {"vault": "VAULT00", "attached": True, "covered": True, "uncovered_why": None,
             "trouble": "", "unread_pools": []}
        ],
        "targets": [{"target": "drsite", "trouble": "", "paused": None}],
        "hosts": [{"host": "DEV2", "up": True}],
        "licence": {"standing": "valid", "copying": True, "why": ""},
        "settings": {"not_in_force": None},
        "notify": None,
    }  # fmt: skip
    return known | changes


def said(health: Health) -> str:
    return health.lines()[0].partition(" | ")[0]


def test_all_is_well_in_one_line_with_figures() -> None:
    (line,) = judge(status(), Limits()).lines()
    text, _, figures = line.partition(" | ")
    assert text == ("COPYAGENT OK - 1,200 of 1,200 tapes are protected, no copy is overdue")
    assert "'oldest_owed /VAULT00/BILL drsite'=0s;900;1800;0;" in figures
    assert PERFDATA.sub("", figures).strip() == ""


@pytest.mark.parametrize(
    ("age", "level"),
    [(None, Level.OK), (899, Level.OK), (900, Level.WARNING), (1800, Level.CRITICAL)],
)
def test_a_pools_own_limit_counts(age: int | None, level: Level) -> None:
    health = judge(status(pools=[pool(owed=3, oldest_owed_s=age)]), Limits())
    assert health.level is level


def test_ages_of_the_command_line_count_before_it() -> None:
    pools = [pool(owed=3, oldest_owed_s=1000, behind_after_s=0)]
    assert judge(status(pools=pools), Limits()).level is Level.OK, "this pool has no limit"
    assert judge(status(pools=pools), Limits(900.0, 3600.0)).level is Level.WARNING
    assert judge(status(pools=pools), Limits(60.0, 600.0)).level is Level.CRITICAL
    assert (
        judge(status(pools=[pool(owed=1, oldest_owed_s=1700)]), Limits(1750, 9000)).findings == ()
    )


def test_a_pool_that_has_fallen_behind_is_critical_until_it_has_caught_up() -> None:
    behind = pool(owed=1, oldest_owed_s=950, behind_since="2026-11-22T10:00:00Z")
    assert judge(status(pools=[behind]), Limits()).level is Level.CRITICAL


VAULT = {"vault": "VAULT00", "attached": True, "covered": False, "trouble": "", "unread_pools": []}


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"vaults": [VAULT | {"uncovered_why": "nothing is mounted"}]}, 2, "not covered: nothing"),
        ({"vaults": [VAULT | {"covered": True, "unread_pools": ["/VAULT00/PAY"]}]}, 2, "be read"),
        ({"pools": [pool(states={"failed": 2})]}, 2, "2 failed"),
        ({"pools": [pool(states={"held (conflict)": 2, "held (interrupted)": 1})]}, 1, "3 held"),
        ({"pools": [pool(states={"cancelled": 1})]}, 1, "1 cancelled"),
        ({"pools": [pool(states={"unsynced": 7})]}, 1, "7 unsynced"),
        ({"pools": [pool(paused={"by": "ann"})]}, 1, "paused by ann"),
        ({"targets": [{"target": "x", "trouble": "no answer", "paused": None}]}, 1, "x: no answer"),
        ({"targets": [{"target": "x", "trouble": "", "paused": {"by": "a"}}]}, 1, "x is paused"),
        ({"hosts": [{"host": "DEV2", "up": False, "trouble": "lost"}]}, 1, "DEV2 is down: lost"),
        ({"licence": {"standing": "expires soon", "copying": True, "why": "in 3 days"}}, 1, "in 3"),
        ({"licence": {"standing": "missing", "copying": False, "why": "none"}}, 2, "missing"),
        ({"settings": {"not_in_force": "a.b: wrong"}}, 1, "a.b: wrong"),
        ({"notify": {"trouble": "exit status 1"}}, 1, "exit status 1"),
    ],
)
def test_whatever_is_wrong_is_said(changes: dict[str, Any], level: int, words: str) -> None:
    health = judge(status(**changes), Limits())
    assert (int(health.level), len(health.findings)) == (level, 1)
    assert words in said(health)
    assert health.document()["exit"] == level


def test_the_worst_comes_first_and_no_more_than_fits() -> None:
    pools = [pool(pool=f"/VAULT00/P{n}", states={"held (conflict)": 1}) for n in range(5)]
    health = judge(status(pools=pools, vaults=[VAULT | {"uncovered_why": "dead"}]), Limits())
    lines = health.lines()
    assert lines[0].startswith("COPYAGENT CRITICAL - vault VAULT00 is not covered: dead; ")
    assert "; and 3 more" in lines[0]
    assert [line.split(":")[0] for line in lines[1:]] == ["CRITICAL", *["WARNING"] * 5]


def test_no_text_of_others_looks_like_a_figure_or_a_line() -> None:
    hosts = [{"host": "DEV2", "up": False, "trouble": "x | 'load'=1;;;;\nOK"}]
    lines = judge(status(hosts=hosts), Limits()).lines()
    assert lines[0].count("|") == 1
    assert len(lines) == 2


def test_an_agent_that_does_not_answer_is_critical_with_what_was_known() -> None:
    last = {"at": "2026-11-22T10:00:00Z", "pools": [pool(unprotected=5)]}
    assert said(not_answering("no agent answers", last)).endswith(
        "no agent answers; at 2026-11-22T10:00:00Z 5 tapes were unprotected"
    )
    assert not_answering("gone", None).level is Level.CRITICAL
    assert not_known("who knows").level is Level.UNKNOWN


def test_an_agent_that_is_not_what_is_installed_is_a_warning_and_an_overlay_is_none() -> None:
    behind = {"vault": "VAULT00", "attached": True, "covered": True, "uncovered_why": None,
              "trouble": "", "unread_pools": [], "version": "0.2.0-1"}  # fmt: skip
    old_overlay = status(version="0.2.1-1", installed="0.2.1-1", vaults=[behind])
    assert judge(old_overlay, Limits()).level is Level.OK
    old_agent = judge(status(version="0.2.0-1", installed="0.2.1-1"), Limits())
    assert old_agent.level is Level.WARNING
    assert "0.2.0-1 is running, 0.2.1-1 is installed" in said(old_agent)
