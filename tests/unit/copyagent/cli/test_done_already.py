"""What a command has done goes on record also where no agent runs, when one does."""

from pathlib import Path

import pytest

from copyagent.cli.done_already import own_name, put_on_record
from copyagent.control.errands import AtTarget, Drilled
from tests.support.example_settings import example_settings
from vtsfs.runtime.late_acts import left, place_of


def test_word_of_each_act_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = example_settings(tmp_path)
    settings.agent_directory().mkdir(parents=True, mode=0o700)
    assert put_on_record(settings, AtTarget("fence", "drsite", "a test")) == []
    assert put_on_record(settings, Drilled("drsite", "yearly", "DRILL.sha256 of VAULT00: aa")) == []
    told = capsys.readouterr().err
    assert told.count("done; it goes on record when an agent runs: no agent answers") == 2
    found = [act for _, act in left(place_of(settings)) if act is not None]
    assert [(act.user, act.action, act.about, act.because, act.new) for act in found] == [
        (own_name(), "fence", "drsite", "a test", ""),
        (own_name(), "drill", "drsite", "yearly", "DRILL.sha256 of VAULT00: aa"),
    ]


def test_where_no_word_can_be_left_that_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_on_record(example_settings(tmp_path), AtTarget("fence", "drsite", "a test"))
    assert "done, but NOT on record: no agent answers" in capsys.readouterr().err
