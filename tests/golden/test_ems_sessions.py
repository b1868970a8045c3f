"""Sessions of printed events and what they mean; `tests.golden.ems_sessions` says how to add one."""

from itertools import zip_longest
from pathlib import Path

import pytest

from copyagent.core.host_events import Unrecognised
from tests.golden.ems_sessions import MADE, SESSIONS, as_lines, read_session

NAMES = sorted(path.stem for path in SESSIONS.glob("*.txt"))


def expected(name: str) -> list[str]:
    return Path(SESSIONS / f"{name}.jsonl").read_text(encoding="ascii").splitlines()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("piece", [4096, 1, 13])
def test_a_session_is_read_as_ever(name: str, piece: int) -> None:
    printed = (SESSIONS / f"{name}.txt").read_bytes()
    found = as_lines(read_session(printed, piece=piece)).splitlines()
    for at, (line, meant) in enumerate(zip_longest(found, expected(name)), start=1):
        assert line == meant, f"{name}.jsonl:{at}"


@pytest.mark.parametrize("name", sorted(MADE))
def test_what_is_made_up_is_understood_to_the_last_event(name: str) -> None:
    text, night = MADE[name]()
    found = list(read_session(text.encode("latin-1")))
    assert not [event for event in found if isinstance(event, Unrecognised)]
    assert as_lines(found) == as_lines(night.meanings())
