"""Settings that change while the agent runs: what it means is said, and nothing that is owed is lost."""

from dataclasses import replace
from typing import Any

from copyagent.core import reloading
from copyagent.core.book import Book
from copyagent.core.commands import ProbeTarget, StartCopy, StopCopy, Subscribe, SweepVault
from copyagent.core.copying import CopyFailed, CopyHeld, CopyStopped, HoldReason, TargetStamp
from copyagent.core.engine import Engine
from copyagent.core.events import AgentStarted, CopyIntended, TargetProbed, WakeupDue
from copyagent.core.host_events import LinkUp
from copyagent.core.records import OperatorHold
from copyagent.core.syncing import SyncWanted, sync
from copyagent.core.tape import Copied, Copying, Failed, Held, Queued, Unmonitored, Unsynced
from copyagent.core.witness import Verdict
from tests.support.histories import (
    OTHER_TARGET,
    SECOND,
    TAPE,
    TARGET,
    VAULT,
    Overlay,
    done,
    ended,
    failed,
    make_engine,
    make_settings,
    unreachable,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.signals import Kind

BOTH = (TARGET, OTHER_TARGET)


def reload(play: Playbook, settings: Settings) -> tuple[str, ...]:
    """Take over *settings* between two events; return the consequences that were announced."""
    plan = reloading.plan(play.engine, settings)
    reloading.apply(play.engine, plan, play.now)
    play.hand(WakeupDue())
    return plan.consequences


def settings_with(play: Playbook, section: str, **keys: Any) -> Settings:
    """Return the settings in force with other *keys* in *section*, ``targets.drsite`` for example."""
    data = play.engine.book.settings.model_dump(mode="json")
    part: Any = data
    for name in section.split("."):
        part = part[int(name) if name.isdigit() else name]
    part.update(keys)
    return Settings.model_validate(data)


def copied(play: Playbook, overlay: Overlay, *tapes: TapeId) -> None:
    """Let each of *tapes* be written and copied everywhere."""
    for tape in tapes:
        play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play.wait(30.0)
        for job in play.jobs[-len(play.record(tape).copies) :]:
            play << StartCopy
            play.hand(done(job))


def written(play: Playbook, overlay: Overlay, tape: TapeId = TAPE) -> None:
    """Let *tape* be written, and its copies begin."""
    play >> overlay.mounted(tape) >> overlay.dismounted(tape)
    play.wait(30.0)
    for _ in play.record(tape).copies:
        play << StartCopy


# ---- a pool leaves, and comes back -----------------------------------------------------------------


def test_a_pool_that_leaves_takes_what_is_owed_along_and_has_it_again_when_it_is_back() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    copied(play, overlay, TAPE, SECOND)
    written(play, overlay)
    said = reload(play, make_settings(pools=("PAY",)))
    assert said == (
        "pool /VAULT00/BILL leaves AutoCopy with 1 unprotected tape; 1 running copy is stopped",
    )
    play << StopCopy(TAPE, TARGET, "now unmonitored")
    assert play.times_said(messages.LEFT_AUTOCOPY) == 1
    left = play.state()
    assert isinstance(left, Unmonitored)
    assert isinstance(left.was, Queued)
    assert play.state(SECOND) == Unmonitored()
    assert not play.engine.may_publish(TAPE, TARGET, play.record().generation)
    play >> ended(play.job, CopyStopped("the order was withdrawn"))
    play >> overlay.mounted() >> overlay.dismounted()  # nobody listens
    assert play.record().generation == 2
    said = reload(play, make_settings())
    assert any("copied to drsite again: of 2 tapes known from before" in line for line in said)
    play << SweepVault(VAULT, "pool /VAULT00/BILL is watched from now on") << StartCopy
    assert isinstance(play.state(SECOND), Copied)
    assert play.job.tape == TAPE
    play >> overlay.swept(play.now.mono)
    play << StopCopy  # what was written meanwhile is found, and is a generation of its own
    assert play.record().generation == 3


def test_what_is_held_when_a_pool_leaves_is_held_when_it_is_back() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    written(play, overlay)
    stamp = TargetStamp(7, 1)
    play >> ended(play.job, CopyHeld(HoldReason.TARGET_UNKNOWN, "a file", stamp))
    held = play.state()
    assert isinstance(held, Held)
    reload(play, make_settings(pools=("PAY",)))
    reload(play, make_settings())
    play << SweepVault
    assert play.state() == held


def test_what_an_operator_keeps_back_stays_so_whatever_the_settings_become() -> None:
    overlay, play = Overlay(), Playbook(make_engine(targets=BOTH))
    copied(play, overlay, TAPE)
    play.copy(target=OTHER_TARGET).hold = OperatorHold("ann", "not there", play.now.wall_ns)
    reload(play, make_settings())
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(30.0) << StartCopy  # to the one that is left
    play >> done(play.job)
    reload(play, make_settings(targets=BOTH))
    held = play.state(target=OTHER_TARGET)
    assert isinstance(held, Held)
    assert (held.reason, held.generation) == (HoldReason.BY_OPERATOR, 2)


def test_a_verdict_on_the_tape_holds_it_at_a_target_that_comes_back_too() -> None:
    overlay, play = Overlay(), Playbook(make_engine(targets=BOTH))
    copied(play, overlay, TAPE)
    reload(play, make_settings())
    play >> overlay.mounted() >> overlay.dismounted(kind=Kind.INTERRUPTED)
    play.wait(30.0)
    assert isinstance(play.state(), Held)
    reload(play, make_settings(targets=BOTH))
    held = play.state(target=OTHER_TARGET)
    assert isinstance(held, Held)
    assert held.reason is HoldReason.INTERRUPTED


def test_a_sweep_that_began_before_a_pool_came_says_nothing_of_its_tapes() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    copied(play, overlay, TAPE)
    reload(play, make_settings(pools=("PAY",)))
    begun = replace(overlay.swept(play.now.mono), found={}, pools=frozenset({"PAY"}))
    reload(play, make_settings())
    play << SweepVault
    play >> begun
    assert isinstance(play.state(), Copied)


def test_a_tape_that_is_open_when_its_pool_leaves_is_not_open_for_ever() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    copied(play, overlay, TAPE)
    play >> overlay.mounted()
    assert (
        "leaves AutoCopy with 1 unprotected tape" in reload(play, make_settings(pools=("PAY",)))[0]
    )
    assert not play.record().open
    reload(play, make_settings())
    play << SweepVault
    # Whoever had it open may have written anything: it is judged, and compared.
    play.wait(2.0) << StartCopy
    assert play.verdict() == Verdict.CHANGED.value


def test_a_start_with_other_settings_tells_what_left_as_a_reload_does() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    written(play, overlay)
    book = Book(make_settings(pools=("PAY",)), records=play.engine.book.records)
    with Playbook(Engine(book), now=play.now) as after:
        after.hand(AgentStarted())
        assert after.times_said(messages.LEFT_AUTOCOPY) == 1


# ---- targets ---------------------------------------------------------------------------------------


def test_copies_to_a_target_with_another_host_are_stopped_and_begin_again_there() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    copied(play, overlay, TAPE, SECOND)
    written(play, overlay)
    generation = play.record().generation
    said = reload(play, settings_with(play, f"targets.{TARGET}", host="other.example.com"))
    assert "target drsite changes host: 1 running copy is stopped, to begin again" in said
    assert any("dr.example.com:/VAULT00/BILL stays there" in line for line in said)
    play << StopCopy(TAPE, TARGET, "now queued")
    assert not play.engine.may_publish(TAPE, TARGET, generation)
    old = play.job
    # Past recall: it was published, but not where the settings name now.
    play >> CopyIntended(TAPE, TARGET, done(old).outcome.copy)  # type: ignore[union-attr]  # is done
    assert play.copy().intent is None
    play >> done(old)
    play << StartCopy
    assert play.job.base is None
    assert play.copy().base is None
    assert isinstance(play.state(), Copying)
    assert play.state(SECOND) == Unsynced()


def test_a_copy_that_goes_on_is_on_record_with_the_settings_it_began_under() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    play.engine.book.settings._digest = play.engine.book.history.settings = "first"
    written(play, overlay)
    second = settings_with(play, f"targets.{TARGET}", parallel=3)
    second._digest = "second"
    reload(play, second)
    play >> done(play.job)
    entry = play.engine.book.history.unsaved[-1]
    assert (entry.kind, entry.settings) == ("copied", "first")
    written(play, overlay)
    play >> done(play.job)
    entry = play.engine.book.history.unsaved[-1]
    assert (entry.kind, entry.settings) == ("copied", "second")


def test_what_a_target_was_found_like_says_nothing_of_it_under_other_settings() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    written(play, overlay)
    play >> unreachable(play.job)
    play.wait(300.0) << ProbeTarget(TARGET)
    asked = play.engine.book.settings.targets[TARGET]
    said = reload(play, settings_with(play, f"targets.{TARGET}", port=2222))
    assert any(
        "what failed or waits there is tried anew, with ladders of their own (1 copy)" in line
        for line in said
    )
    play << StartCopy
    refused = CopyFailed("connection refused", "Start sshd.", unreachable=True)
    play >> TargetProbed(TARGET, refused, asked=asked)
    assert not play.engine.targets.health[TARGET].trouble


def test_a_further_target_and_a_renamed_one_have_no_copies() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    copied(play, overlay, TAPE)
    said = reload(play, make_settings(targets=BOTH))
    assert any(
        "/VAULT00/BILL is copied to attic from now on: 1 tape is unsynced" in s for s in said
    )
    assert play.state(target=OTHER_TARGET) == Unsynced()
    said = reload(play, make_settings(targets=(TARGET, "barn")))
    assert any("target attic is called barn now" in line for line in said)
    assert play.state(target="barn") == Unsynced()
    sync(play.engine.book, SyncWanted(TAPE, targets=frozenset({"barn"})), "root", play.now)
    play.hand(WakeupDue())
    play << StartCopy
    assert play.job.target == "barn"


def test_another_pool_at_the_target_is_another_place() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    copied(play, overlay, TAPE)
    said = reload(play, settings_with(play, "autocopy.0", target_pool="/VAULT00/ELSE"))
    assert any("goes to dr.example.com:/VAULT00/ELSE from now on" in line for line in said)
    assert play.state() == Unsynced()
    assert play.copy().kept == ()


def test_targets_that_are_gone_are_asked_no_more_and_their_answers_mean_nothing() -> None:
    overlay, play = Overlay(), Playbook(make_engine(targets=BOTH))
    written(play, overlay)
    gone, stays = sorted(play.jobs[-2:], key=lambda job: job.target)
    reload(play, make_settings())
    play << StopCopy(TAPE, OTHER_TARGET, "now unmonitored")
    play >> unreachable(gone) >> TargetProbed(OTHER_TARGET) >> done(stays)
    assert isinstance(play.state(), Copied)
    assert OTHER_TARGET not in play.engine.targets.health


# ---- vaults, hosts, rules --------------------------------------------------------------------------


def test_a_vault_that_is_watched_no_more_is_not_heard() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    copied(play, overlay, TAPE)
    reload(play, make_settings(pools=()))
    assert not play.engine.vaults.feeds
    play >> overlay.silent() >> overlay.hello() >> overlay.mounted() >> overlay.swept(play.now.mono)
    reload(play, make_settings())
    play >> overlay.hello()
    play << Subscribe  # and a sweep, when what waits there is heard
    assert VAULT in play.engine.vaults.backlogs


def test_a_new_host_is_listened_to_and_one_that_is_gone_waited_for_no_more() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    hosts = play.engine.book.settings.model_dump(mode="json")["ems"]["hosts"]
    play >> overlay.mounted() >> overlay.dismounted()  # DEV2 may still speak of it
    said = reload(play, settings_with(play, "ems", hosts={"DEV3": hosts["DEV2"]}))
    assert "host DEV3 is listened to from now on" in said
    assert list(play.engine.links.state) == ["DEV3"]
    play >> LinkUp("DEV3") >> LinkUp("DEV2")
    assert list(play.engine.requests.asked) == ["DEV3"]
    said = reload(play, settings_with(play, "ems", hosts={}, required=False))
    play.wait(2.0) << StartCopy  # settled; nobody is waited for


def test_rules_count_at_once() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    written(play, overlay)
    reload(play, settings_with(play, "retry", attempts=1))
    play >> failed(play.job)
    assert isinstance(play.state(), Failed)


def test_what_needs_a_restart_is_named_and_left_as_it_is() -> None:
    play = Playbook(make_engine())
    other = settings_with(play, "system", name="OTHER")
    other = settings_with(Playbook(Engine(Book(other))), "targets.drsite", parallel=7)
    plan = reloading.plan(play.engine, other)
    assert [change.name for change in plan.waiting] == ["system.name"]
    assert "when it suits, end the agent and start it" in plan.consequences[-1]
    reloading.apply(play.engine, plan, play.now)
    assert play.engine.book.settings.system.name == "TAPESRV1"
    assert play.engine.traffic.rules.parallel_to["drsite"] == 7
