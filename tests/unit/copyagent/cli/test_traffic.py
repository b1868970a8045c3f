"""``sync``, ``pause`` and ``resume``: what the words of the command line mean."""

import time
from collections.abc import Iterator

import pytest

from copyagent.cli.commands import copyagent
from copyagent.cli.traffic import moment_of
from vtsfs.contract.errors import UsageError
from vtsfs.runtime.exits import run_cli

NS = 10**9
#: A winter's day; the zone is that of the machine.
NOON = time.mktime((2026, 1, 15, 12, 0, 0, 0, 0, -1))


def run(*arguments: str) -> int:
    return run_cli(copyagent, program="copyagent", args=arguments)


def test_a_time_of_day_is_the_next_one() -> None:
    assert moment_of("13:30", NOON) == int(NOON + 5400) * NS
    assert moment_of("06:00", NOON) == int(NOON + 18 * 3600) * NS
    assert moment_of("12:00", NOON) == int(NOON + 86400) * NS


def test_a_date_is_local_unless_it_names_its_zone() -> None:
    assert moment_of("2026-01-16T06:00", NOON) == int(NOON + 18 * 3600) * NS
    assert moment_of("2026-01-16T06:00+00:00", NOON) == 1_768_543_200 * NS
    assert moment_of("2026-01-16T06:00Z", NOON) == 1_768_543_200 * NS


@pytest.fixture
def in_berlin() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_berlin")
def test_the_night_in_which_the_clocks_go_back_has_an_hour_more() -> None:
    evening = time.mktime((2026, 10, 24, 20, 0, 0, 0, 0, -1))
    assert moment_of("06:00", evening) == int(evening + 11 * 3600) * NS


@pytest.mark.parametrize("text", ["", "6", "25:00", "06:00:99", "tomorrow", "2026-13-01T06:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--until takes a time"):
        moment_of(text, NOON)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--for", "2h", "--until", "06:00"), "not both"),
        (("--for", "2"), "--for should be a duration"),
        (("--for", "1ms"), "a second or more"),
        (("--until", "soon"), "--until takes a time"),
    ],
)
def test_a_pause_of_no_sense_is_not_even_asked_for(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pause", "drsite", "--because", "x", *arguments) == 2
    assert told in capsys.readouterr().err


def test_a_pause_needs_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pause", "drsite") == 2
    assert "--because" in capsys.readouterr().err
