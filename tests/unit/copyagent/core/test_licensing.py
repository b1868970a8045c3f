"""The licence of an agent that runs: what starts and stops, what is told how often, and the clock."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

import pytest

from copyagent.core.commands import StartCopy, StopCopy
from copyagent.core.copying import CopyStopped
from copyagent.core.events import WakeupDue
from copyagent.core.licence import Installed, Standing, Terms, day_of
from copyagent.core.tape import Copied, Queued
from tests.support.histories import TAPE, TARGET, TWIN, Overlay, done, ended
from tests.support.licences import TERMS
from tests.support.playbook import START, Playbook
from tests.support.traffic_talk import changed, conversation, pause, resume, words
from vtsfs.contract import messages
from vtsfs.contract.errors import RequestFailed

DAY_S = 86_400.0
TODAY = day_of(START.wall_ns)
VALID = replace(TERMS, issued=TODAY - timedelta(300), expires=TODAY + timedelta(65))
TELLING = (
    messages.UNLICENSED,
    messages.LICENCE_EXPIRES,
    messages.LICENCE_EXPIRED,
    messages.LICENSED_AGAIN,
    messages.LICENCE_CLOCK,
)


def found(terms: Terms | None = VALID, *, because: str = "ordered") -> Installed:
    """Somebody has put this licence in its place."""
    digest = "" if terms is None else str(terms)
    return Installed(terms, "", digest, "anna", because, START.wall_ns)


def until(day: date, issued: date = VALID.issued) -> Installed:
    return found(replace(VALID, expires=day, issued=issued))


def licensed(present: Installed | None = None, *, required: bool = True) -> Playbook:
    """Talk to an engine of a build that requires a licence; *present* is what its start found."""
    play = conversation()
    play.engine.book.licence.required = required
    if present is not None:
        take(play, present)
        play.said.clear()
    return play


def take(play: Playbook, installed: Installed) -> list[str]:
    play.engine.licensing.expect_useful(installed, play.now)
    return put(play, installed)


def put(play: Playbook, installed: Installed) -> list[str]:
    answers = play.engine.licensing.take(installed, play.now)
    play.hand(WakeupDue())
    return answers


def acts(play: Playbook) -> list[Mapping[str, str]]:
    return [say.fields for say in play.said if say.message is messages.OPERATOR_ACTION]


def standing(play: Playbook) -> Standing:
    return play.engine.licensing.judged(play.now).standing


def told(play: Playbook) -> list[int]:
    """Return the IDs of what was told of the licence, in order."""
    return [say.message.id for say in play.said if say.message in TELLING]


# ---- what is copied ------------------------------------------------------------------------------


def test_without_a_licence_all_is_judged_and_nothing_copied_until_there_is_one() -> None:
    overlay, play = Overlay(), licensed()
    with play:
        changed(play, overlay, TAPE, TWIN)
        play.wait(3 * DAY_S)
        assert play.verdict() == play.verdict(TWIN) != ""
        assert isinstance(play.state(), Queued)
        assert play.state() == Queued(play.record().generation), "no attempt was used up"
        assert not play.record().protected
        assert words(play) == (
            "waiting (unlicensed)",
            "no copy without a licence: no licence is installed",
            "Get a licence for system TAPESRV1, then: copyagent licence install FILE",
        )
        assert told(play) == [624160]
        assert play.times_said(messages.FALLEN_BEHIND) > 1, "it counts in alarms"
        answers = take(play, found())
        assert answers[-1] == "2 copies that waited for it are made now"
        play << StartCopy << StartCopy
        for job in play.jobs:
            play.hand(done(job))
        assert isinstance(play.state(), Copied)
        assert told(play) == [624160, 224163]


def test_removing_stops_what_runs_before_it_is_published() -> None:
    overlay, play = Overlay(), licensed(found())
    with play:
        changed(play, overlay)
        play << StartCopy
        generation = play.record().generation
        assert play.engine.may_publish(TAPE, TARGET, generation)
        answers = put(play, found(None, because="sold"))
        assert answers[0] == "licence removed: none"
        assert "stopped before they are published" in answers[1]
        play << StopCopy
        assert not play.engine.may_publish(TAPE, TARGET, generation)
        play >> ended(play.job, CopyStopped("called off"))
        play.wait(DAY_S)
        assert words(play)[0] == "waiting (unlicensed)"
        take(play, found())
        play << StartCopy
        assert play.job.generation == generation


def test_pauses_and_the_licence_keep_a_copy_each_by_itself() -> None:
    overlay, play = Overlay(), licensed()
    with play:
        changed(play, overlay)
        pause(play, TARGET)
        take(play, found())
        assert words(play)[0] == "waiting (paused)"
        resume(play, TARGET)
        play << StartCopy


def test_a_build_that_requires_none_copies_and_says_nothing() -> None:
    overlay, play = Overlay(), licensed(required=False)
    with play:
        changed(play, overlay)
        play << StartCopy
        play >> done(play.job)
        play.wait(100 * DAY_S)
        assert told(play) == []
        assert play.engine.licensing.times() == []
        answers = put(play, until(TODAY))
        assert answers[-1] == "this build requires no licence: nothing else changes"
        assert standing(play) is Standing.NOT_REQUIRED


# ---- what is told --------------------------------------------------------------------------------


def test_from_the_first_warning_to_the_end() -> None:
    last = TODAY + timedelta(33)
    play = licensed(until(last))
    by_day: dict[int, list[int]] = {}
    for _ in range(60):
        before = len(told(play))
        play.wait(DAY_S)
        by_day[(day_of(play.now.wall_ns) - last).days] = told(play)[before:]
    for days_after, said in by_day.items():
        if days_after < -30 or days_after > 15:
            assert said == [], days_after
        elif days_after <= 0:
            assert said == [424161], days_after
        else:
            assert said == [624162 if days_after <= 14 else 624160], days_after


def test_copying_goes_on_in_grace_and_ends_with_it() -> None:
    overlay, play = Overlay(), licensed(until(TODAY - timedelta(13)))
    with play:
        changed(play, overlay)
        play << StartCopy
        assert standing(play) is Standing.GRACE
        play.wait(2 * DAY_S) << StopCopy
        assert standing(play) is Standing.EXPIRED
        assert not play.engine.may_publish(TAPE, TARGET, play.record().generation)


def test_restarts_repeat_nothing_that_was_told_that_day() -> None:
    play = licensed(until(TODAY + timedelta(10)))
    play.wait(10.0)
    assert told(play) == [], "it was told when it was installed"
    for _ in range(5):
        play.restart(away=60.0)
        play.wait(60.0)
    assert told(play) == []
    play.restart(away=DAY_S)
    play.wait(60.0)
    assert told(play) == [424161]
    play = licensed()
    play.wait(60.0)
    for _ in range(5):
        play.restart(away=DAY_S)
        play.wait(60.0)
    assert told(play) == [624160], "one event says so"


def test_what_was_done_while_no_agent_ran_is_on_record_once() -> None:
    play = licensed(found())
    book = play.engine.book
    book.licence.found = until(TODAY + timedelta(400))
    play.restart(away=60.0)
    play.restart(away=60.0)
    assert [act["action"] for act in acts(play)] == ["licence install"]
    assert acts(play)[0]["user"] == "anna"
    assert acts(play)[0]["because"].startswith("ordered (done at 2026-")
    play.engine.book.licence.found = Installed()
    play.restart(away=60.0)
    last = acts(play)[-1]
    assert (last["user"], last["action"], last["new"]) == ("somebody", "licence remove", "none")
    assert "by hand" in last["because"]


def test_what_an_operator_does_is_on_record_with_the_state_before_and_after() -> None:
    play = licensed()
    take(play, found())
    put(play, found(None, because="sold"))
    installed, removed = acts(play)
    assert (installed["user"], installed["because"]) == ("anna", "ordered")
    assert (installed["old"], installed["new"]) == (
        "none",
        f"until {VALID.expires}, serial 2026-0017",
    )
    assert (removed["action"], removed["object"]) == ("licence remove", "data-replication")
    assert (removed["old"], removed["new"]) == (installed["new"], "none")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (found(replace(VALID, system="OTHER")), "for system OTHER, and this is TAPESRV1"),
        (until(TODAY - timedelta(15)), "expired on"),
        (until(TODAY + timedelta(99), TODAY + timedelta(2)), "check the clock"),
        (found(replace(VALID, feature="instant-dr")), "is for instant-dr"),
    ],
)
def test_a_licence_of_no_use_is_not_installed_instead_of_a_good_one(
    wrong: Installed, said: str
) -> None:
    play = licensed(found())
    with pytest.raises(RequestFailed, match=f"not installed: .*{said}.*stays: serial 2026-0017"):
        take(play, wrong)
    assert play.engine.book.licence.found == found()


def test_nothing_to_remove() -> None:
    play = licensed()
    with pytest.raises(RequestFailed, match="nothing to remove: no licence is installed"):
        play.engine.licensing.expect_any(play.now)


# ---- the clock -----------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_makes_no_licence_young_again() -> None:
    play = licensed(until(TODAY + timedelta(1)))
    play.wait(20 * DAY_S)
    assert standing(play) is Standing.EXPIRED
    play.said.clear()
    play.step_clock(-19 * DAY_S)
    play.wait(60.0)
    assert standing(play) is Standing.EXPIRED
    assert play.engine.licensing.document(play.now)["clock_behind"]
    play.restart(away=60.0)
    play.wait(60.0)
    assert standing(play) is Standing.EXPIRED
    assert 424164 in told(play)
    with pytest.raises(RequestFailed, match="expired"):
        take(play, until(TODAY + timedelta(1)))


def test_a_clock_that_was_ahead_for_a_moment_does_no_harm() -> None:
    play = licensed(found())
    play.wait(DAY_S)
    play.step_clock(20_000 * DAY_S)
    play.wait(1800.0)
    assert standing(play) is Standing.EXPIRED
    play.step_clock(-20_000 * DAY_S)
    play.wait(DAY_S)
    assert standing(play) is Standing.VALID
    assert 424164 not in told(play)


def test_a_clock_that_was_ahead_for_long_is_made_up_for_by_a_new_licence() -> None:
    play = licensed(found())
    play.step_clock(20_000 * DAY_S)
    play.wait(DAY_S)
    play.step_clock(-20_000 * DAY_S)
    play.wait(DAY_S)
    assert standing(play) is Standing.EXPIRED
    with pytest.raises(RequestFailed, match="expired"):
        take(play, found())
    take(play, until(TODAY + timedelta(400), TODAY))
    assert standing(play) is Standing.VALID
    # The former one is not good for the same trick.
    play.step_clock(20_000 * DAY_S)
    play.wait(DAY_S)
    play.step_clock(-20_000 * DAY_S)
    with pytest.raises(RequestFailed, match="expired"):
        take(play, until(TODAY + timedelta(400), TODAY))


def test_a_clock_that_is_slewed_counts() -> None:
    play = licensed(found())
    for _ in range(48):
        play.wait(1800.0)
        play.step_clock(0.5)
    behind_s = (play.now.wall_ns - play.engine.book.licence.memory.latest_ns) / 10**9
    assert behind_s < 2 * 3600 + 60
