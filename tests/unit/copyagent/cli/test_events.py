"""``copyagent events``: what is asked for, and how an event is shown."""

from pathlib import Path

import pytest

from copyagent.cli.commands import copyagent
from copyagent.cli.events import event_text
from copyagent.core.host_events import HostEvent, LinkUp, MountRequested, Printed, Ring
from copyagent.core.host_report import Document, event_document
from copyagent.core.journal import Journal
from copyagent.core.time import Moment
from tests.support.example_settings import EXAMPLE
from vtsfs.contract.settings import ENVIRONMENT
from vtsfs.runtime.exits import run_cli

AT = Moment(0.0, 1_795_369_483_120_000_000)


def document(event: HostEvent, *tapes: str) -> Document:
    journal = Journal()
    journal.add(event, tapes, AT)
    return event_document(journal.entries[0], None)


def mount(text: str = "$ZSVR: 0042 MOUNT X00001 WITH RING", *, critical: bool = False) -> HostEvent:
    printed = Printed("$ZSVR", "TANDEM.TAPE.G06", 600, text, critical)
    ring = Ring.WITH_RING
    return MountRequested(
        "DEV2", 42, "X00001", ring, node="\\DEV2", printed_at="06-09-14 22:00:01", printed=printed
    )


def test_in_a_pipe_an_event_is_one_line() -> None:
    assert event_text(document(mount(), "/VAULT00/BILL/X00001"), None) == (
        "2026-11-22T17:44:43.120Z DEV2: mount of X00001 asked for WITH RING (request 42)"
        " -> /VAULT00/BILL/X00001"
        " | 06-09-14 22:00:01 \\DEV2.$ZSVR TANDEM.TAPE.G06 000600 $ZSVR: 0042 MOUNT X00001 WITH RING"
    )


def test_on_a_screen_it_is_a_paragraph_of_its_width() -> None:
    shown = event_text(document(mount(), "/VAULT00/BILL/X00001"), 60).splitlines()
    assert max(map(len, shown)) <= 60
    assert shown[0].startswith("2026-11-22T17:44:43.120Z DEV2: ")
    assert "    06-09-14 22:00:01 \\DEV2.$ZSVR TANDEM.TAPE.G06 000600" in shown


def test_what_the_link_says_has_nothing_printed() -> None:
    assert event_text(document(LinkUp("DEV2")), None) == (
        "2026-11-22T17:44:43.120Z DEV2: the link is up"
    )


def test_a_critical_event_is_marked_and_no_escape_reaches_the_terminal() -> None:
    shown = event_text(document(mount("\x1b[2J\x07 NEVER", critical=True)), None)
    assert "*TANDEM.TAPE.G06 000600 ?[2J? NEVER" in shown


def test_the_hosts_time_in_utc_stands_beside_it() -> None:
    told = document(mount()) | {"printed_at_utc": "2006-09-14T20:00:01Z"}
    assert "06-09-14 22:00:01 (2006-09-14T20:00:01Z) \\DEV2" in event_text(told, None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--host", "DEV2"), "ems.hosts of the settings names none"),
        (("--since", "soon"), "--since should be a duration"),
        (("--tape", "X00001"), "X00001"),
        (("--last", "0"), "0 is not in the range"),
        (("--follow", "--overlay"), "choose one"),
    ],
)
def test_what_is_asked_for_in_vain(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    told: str,
) -> None:
    path = tmp_path / "vts-autocopy.yaml"
    path.write_text(EXAMPLE.replace("ROOT", str(tmp_path)), encoding="ascii")
    monkeypatch.setenv(ENVIRONMENT, str(path))
    assert run_cli(copyagent, program="copyagent", args=("events", *arguments)) == 2
    assert told in capsys.readouterr().err
