"""A history played to an engine that is connected to nothing."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.core.host_events import (
    CaughtUp,
    EventsMissed,
    HostEvent,
    LinkLost,
    LinkTrouble,
    LinkUp,
)
from copyagent.core.readings import signal_in_words
from copyagent.core.rehearsal import COPY_S, Happening, Rehearsal
from copyagent.core.timeline import UNDATED_NS
from tests.support.example_settings import EXAMPLE, example_settings
from tests.support.histories import (
    HOST,
    SECOND,
    Overlay,
    cancelled,
    link_lost,
    link_up,
    no_ring,
    requested,
    tape_dismounted,
    volume_mounted,
)
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access, Kind, Signal

TAPE = TapeId("VAULT00", "BILL", "X00001")
SETTINGS = EXAMPLE.replace(
    "ems: {required: false}",
    f"ems: {{hosts: {{{HOST}: {{address: 127.0.0.1, user: A.B, password_file: ROOT/password}}}}}}",
)


def play(root: Path, *told: tuple[float, HostEvent | Signal]) -> Rehearsal:
    happenings = [Happening(UNDATED_NS + round(at * 1e9), event) for at, event in told]
    rehearsal = Rehearsal(example_settings(root, SETTINGS), happenings)
    rehearsal.play()
    return rehearsal


def said(rehearsal: Rehearsal, *kinds: str) -> list[str]:
    return [step.text for step in rehearsal.steps if step.what in kinds]


def written(at: float, until: float) -> Iterable[tuple[float, Signal]]:
    overlay = Overlay()
    yield at, overlay.mounted().signal
    yield until, overlay.dismounted().signal


def test_a_mount_that_wrote_is_judged_and_copied(tmp_path: Path) -> None:
    rehearsal = play(
        tmp_path,
        (0, requested()),
        (1, volume_mounted()),
        *written(2, 30),
        (31, tape_dismounted()),
    )
    assert said(rehearsal, "verdict") == [f"{TAPE}: agreed"]
    assert said(rehearsal, "copy") == [f"{TAPE} to drsite: begun", f"{TAPE} to drsite: published"]
    (document,) = rehearsal.tapes()
    assert document["copies"][0]["state"] == "copied"
    assert rehearsal.begins == "2000-01-01T00:00:00.000Z"


def test_time_goes_on_until_the_last_verdict(tmp_path: Path) -> None:
    rehearsal = play(tmp_path, *written(2, 30))
    (verdict,) = [step for step in rehearsal.steps if step.what == "verdict"]
    assert verdict.text == f"{TAPE}: overlay only"
    assert verdict.at > 30
    assert said(rehearsal, "copy")[-1].endswith("published")


def test_no_ring_that_comes_late_stops_the_copy(tmp_path: Path) -> None:
    lost = LinkLost(HOST, "lost", LinkTrouble.DISCONNECTED)
    first = play(tmp_path, (0, lost), *written(2, 30))
    begun = next(step.at for step in first.steps if step.what == "copy")
    rehearsal = play(tmp_path, (0, lost), *written(2, 30), (begun + COPY_S / 2, no_ring()))
    assert said(rehearsal, "copy")[-1] == f"{TAPE} to drsite: stopped before it was published"
    assert not any("published" in line and "before" not in line for line in said(rehearsal, "copy"))


def test_the_order_of_the_recording_does_not_matter_but_its_times(tmp_path: Path) -> None:
    told: list[tuple[float, HostEvent | Signal]] = [(0, requested()), *written(2, 30)]
    told.append((31, tape_dismounted()))
    assert play(tmp_path, *told).steps == play(tmp_path, *reversed(told)).steps


def test_a_link_is_up_from_the_beginning_unless_the_recording_says_otherwise(
    tmp_path: Path,
) -> None:
    assert "the link is up" in said(play(tmp_path, (5, requested())), "host")[0]
    told = said(play(tmp_path, (5, LinkUp(HOST)), (6, requested())), "host")
    assert sum("the link is up" in line for line in told) == 1


def test_nothing_recorded_is_nothing_seen(tmp_path: Path) -> None:
    rehearsal = play(tmp_path)
    assert (rehearsal.steps, rehearsal.tapes(), rehearsal.begins) == ([], [], None)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    play(tmp_path, (0, requested()), *written(2, 30), (31, tape_dismounted()))
    assert list(tmp_path.iterdir()) == []


def test_what_the_overlay_saw_was_there_before(tmp_path: Path) -> None:
    rehearsal = play(tmp_path, *written(2, 30))
    assert not any("424176" in line for line in said(rehearsal, "message"))
    states = [line.rpartition(": ")[2] for line in said(rehearsal, "state")]
    assert states[0] == "mounted (read/write)"
    assert states[-1] == "copied"


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (Overlay().mounted().signal, f"{TAPE} opened to be written"),
        (Overlay().mounted(access=Access.READ).signal, f"{TAPE} opened to be read"),
        (Overlay().received().signal, f"{TAPE} received"),
        (Overlay().changed(cause="truncate").signal, f"{TAPE} changed (truncate)"),
        (Overlay().pool_moved("BILL").signal, "/VAULT00/BILL moved"),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Signal) else "",
)
def test_a_signal_signal_in_words(signal: Signal, words: str) -> None:
    assert signal_in_words(signal) == words


def test_the_end_of_a_session_signal_in_words() -> None:
    overlay = Overlay()
    overlay.mounted()
    assert signal_in_words(overlay.dismounted(wrote=7).signal) == f"{TAPE} closed, 7 bytes written"
    overlay.mounted()
    cut = overlay.dismounted(wrote=0, kind=Kind.INTERRUPTED)
    assert signal_in_words(cut.signal) == f"{TAPE} cut off, nothing written"


def _all_kinds() -> list[HostEvent | Signal]:
    overlay = Overlay()
    signals = [overlay.mounted(), overlay.dismounted(), overlay.mounted(), overlay.interrupted()]
    signals += [*overlay.read(), overlay.changed(), overlay.moved(TAPE, SECOND)]
    signals += [overlay.received(), overlay.removed(), overlay.pool_moved("BILL")]
    said = [requested(), no_ring(), volume_mounted(), tape_dismounted(), cancelled(), link_up()]
    said += [requested(None), link_lost(), EventsMissed(HOST, "a gap"), CaughtUp(HOST)]
    return [*(seen.signal for seen in signals), *said]


ALL_KINDS = _all_kinds()


@settings(max_examples=60, deadline=None)
@given(told=st.lists(st.tuples(st.floats(0, 200), st.sampled_from(ALL_KINDS)), max_size=25))
def test_any_recording_can_be_played(told: list[tuple[float, HostEvent | Signal]]) -> None:
    rehearsal = play(Path("/nowhere"), *told)
    assert [step.at for step in rehearsal.steps] == sorted(step.at for step in rehearsal.steps)
    signals = [event for _, event in told if isinstance(event, Signal)]
    assert sum(step.what == "overlay" for step in rehearsal.steps) == len(signals)
    json.dumps(rehearsal.tapes())
