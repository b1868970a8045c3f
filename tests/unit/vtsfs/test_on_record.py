"""Who attaches and detaches a vault reaches the agent's history and the overlay's last event."""

import json
import logging
import os
import time
from pathlib import Path

import pytest

from tests.support.example_settings import example_settings
from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract.settings import Settings
from vtsfs.on_record import (
    NOBODY,
    Actor,
    Change,
    announce_detach,
    leave_word,
    take_detacher,
    withdraw_detach,
)
from vtsfs.runtime.late_acts import left, place_of

ANNA = Actor("anna", "the disk is changed")
DETACH = Change("VAULT00", "detach", "attached", "detached")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = example_settings(tmp_path)
    made.paths.run.mkdir(parents=True)
    return made


def test_the_overlay_finds_out_once_who_detached_it(settings: Settings) -> None:
    assert take_detacher(settings, "VAULT00") == NOBODY
    announce_detach(settings, "VAULT00", ANNA)
    assert take_detacher(settings, "VAULT01") == NOBODY
    found = take_detacher(settings, "VAULT00")
    assert (found.user, found.because) == (ANNA.user, ANNA.because)
    assert take_detacher(settings, "VAULT00") == NOBODY


def test_a_detach_that_was_refused_or_is_long_ago_names_nobody(settings: Settings) -> None:
    announce_detach(settings, "VAULT00", ANNA)
    withdraw_detach(settings, "VAULT00")
    withdraw_detach(settings, "VAULT00")
    assert take_detacher(settings, "VAULT00") == NOBODY
    announce_detach(settings, "VAULT00", ANNA)
    (note,) = settings.paths.run.iterdir()
    old = json.loads(note.read_text()) | {"at_ns": time.time_ns() - 10**12}
    note.write_text(json.dumps(old))
    assert take_detacher(settings, "VAULT00") == NOBODY
    for text in ("[", '{"user": 5}', '{"colour": "red"}', "null"):
        note.write_text(text)
        assert take_detacher(settings, "VAULT00") == NOBODY


def test_a_note_of_somebody_else_leads_nobody_astray(settings: Settings, tmp_path: Path) -> None:
    announce_detach(settings, "VAULT00", ANNA)
    (note,) = settings.paths.run.iterdir()
    elsewhere = note.rename(tmp_path / "elsewhere")
    note.symlink_to(elsewhere)
    assert take_detacher(settings, "VAULT00") == NOBODY
    note.unlink()
    os.mkfifo(note)
    assert take_detacher(settings, "VAULT00") == NOBODY
    note.unlink()
    if os.geteuid() == 0:
        elsewhere.rename(note)
        os.chown(note, 12345, 12345)
        assert take_detacher(settings, "VAULT00") == NOBODY


def test_word_is_left_where_an_agent_has_been(settings: Settings, expect_log: ExpectedLogs) -> None:
    leave_word(settings, ANNA, DETACH)
    settings.agent_directory().mkdir(parents=True)
    leave_word(settings, ANNA, DETACH)
    ((_, act),) = left(place_of(settings))
    assert act is not None
    assert (act.user, act.action, act.about, act.because, act.old, act.new, act.told) == (
        *("anna", "detach", "vault VAULT00", ANNA.because),
        *("attached", "detached", True),
    )
    for path in place_of(settings).iterdir():
        path.unlink()
    place_of(settings).rmdir()
    place_of(settings).write_text("in the way")
    expect_log("no word of the detach for the agent's history", logging.WARNING)
    leave_word(settings, ANNA, DETACH)
