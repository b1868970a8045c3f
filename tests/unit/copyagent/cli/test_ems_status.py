"""``copyagent ems status``: the links, and what is known of them when no agent runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from copyagent.cli.commands import copyagent
from copyagent.cli.ems_status import link_lines
from copyagent.core.host_events import LinkTrouble
from copyagent.core.host_report import link_document
from copyagent.core.link import Link, LinkAlarm
from copyagent.core.time import Moment
from tests.support.example_settings import EXAMPLE, example_settings
from vtsfs.contract.settings import ENVIRONMENT
from vtsfs.runtime.exits import run_cli

HOSTS = (
    "ems: {hosts: {DEV2: {address: nonstop, user: A.B, password_file: ROOT/password,"
    " timezone: Europe/Berlin, vaults: [VAULT00]}}}"
)
SETTINGS = EXAMPLE.replace("ems: {required: false}", HOSTS)
SECOND = 10**9
NOW = 1_700_000_000 * SECOND


def shown(root: Path, link: Link, **more: Any) -> str:
    settings = example_settings(root, SETTINGS)
    document = link_document(settings, "DEV2", link, Moment(0.0, NOW)) | more
    return "\n".join(link_lines(document))


def test_a_link_that_is_up(tmp_path: Path) -> None:
    link = Link(
        up=True, since_ns=NOW - 3600 * SECOND, trouble="", events=12, caught_up=True,
        last_ns=NOW - 90 * SECOND, printed_at="23-11-14 23:11:50", losses=2, gaps=1,
        gap_ns=NOW - 7200 * SECOND, gap="catch_up is off",
    )  # fmt: skip
    notify = {"waiting": 1, "told": 5, "refused": 0, "dropped": 2, "sessions": 1, "trouble": None}
    text = shown(
        tmp_path,
        link,
        unrecognised=3,
        garbage_lines=4,
        garbage=["WELCOME"],
        connections=3,
        other_events={"": 2, "MHS": 7},
        notify=notify,
    )
    last, gap = "2023-11-14T22:11:50Z", "2023-11-14T20:13:20Z: catch_up is off"
    assert text.splitlines() == [
        "DEV2 (telnet nonstop): up since 2023-11-14T21:13:20Z",
        f"    last event: {last}, 1m 30s ago; the host's clock showed 23-11-14 23:11:50 ({last})",
        "    heard: 12 events about tapes, 3 not understood; 4 lines belonged to no event",
        "    other subsystems: 2 (more), 7 MHS",
        f"    the link: 3 connections; lost 2 times; 1 gap, the last {gap}; caught up",
        "    told to the host: 5 told, 1 waiting, 2 given up",
        "    not an event: WELCOME",
    ]


def test_a_link_that_is_down(tmp_path: Path) -> None:
    alarm = LinkAlarm(since_ns=NOW - 600 * SECOND, told_ns=NOW - 540 * SECOND)
    link = Link(
        since_ns=NOW - 600 * SECOND, trouble="EMS link to DEV2: cannot connect. Check it.",
        kind=LinkTrouble.UNREACHABLE, alarm=alarm,
    )  # fmt: skip
    text = shown(tmp_path, link)
    assert "DEV2 (telnet nonstop): DOWN since 2023-11-14T22:03:20Z" in text
    assert "    trouble: EMS link to DEV2: cannot connect. Check it." in text
    assert "lost since 2023-11-14T22:03:20Z; the alarm was given 2023-11-14T22:04:20Z" in text
    assert "    last event: none" in text


def test_a_link_that_is_up_again_but_not_for_long_enough_to_count_as_back(tmp_path: Path) -> None:
    alarm = LinkAlarm(since_ns=NOW - 600 * SECOND, told_ns=NOW - 540 * SECOND)
    text = shown(tmp_path, Link(up=True, since_ns=NOW, alarm=alarm))
    assert "None" not in text
    assert "its loss was told 2023-11-14T22:04:20Z; it counts as back once it has stay" in text


def test_what_the_host_asked_for(tmp_path: Path) -> None:
    asked = {
        "obeyed": 2, "refused": 1, "too_many": 3, "left_alone": 4, "elsewhere": 5,
        "latest": "queued", "latest_at": "2023-11-14T22:13:20Z",
    }  # fmt: skip
    assert (
        "    asked by VTSPolicy: 2 obeyed, 4 refused, 4 left alone, 5 for other systems;"
        " the latest, 2023-11-14T22:13:20Z: queued"
    ) in shown(tmp_path, Link(), asked=asked)


def test_what_an_older_agent_left_behind_can_be_shown() -> None:
    older = {
        "host": "DEV2", "up": False, "since": None, "trouble": "connecting", "events": 0,
        "last_event": None,
    }  # fmt: skip
    assert next(link_lines(older)) == "DEV2: DOWN since the beginning"


@pytest.fixture
def run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "vts-autocopy.yaml"
    path.write_text(SETTINGS.replace("ROOT", str(tmp_path)), encoding="ascii")
    monkeypatch.setenv(ENVIRONMENT, str(path))
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


def run(*arguments: str) -> int:
    return run_cli(copyagent, program="copyagent", args=("ems", "status", *arguments))


@pytest.mark.usefixtures("run_directory")
def test_without_an_agent_and_a_known_state_there_is_nothing_to_show(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run() == 40
    assert "no agent answers" in capsys.readouterr().err


def test_without_an_agent_the_last_known_links_are_shown(
    run_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = example_settings(run_directory, SETTINGS)
    hosts = [link_document(settings, "DEV2", Link(), Moment(0.0, NOW))]
    document = {"schema": 1, "system": "TAPESRV1", "at": "2026-11-22T03:00:00Z", "hosts": hosts}
    (run_directory / "state").mkdir()
    (run_directory / "state" / "status.json").write_text(json.dumps(document))
    assert run() == 40
    told = capsys.readouterr()
    assert "NOT running. Its last known state, of 2026-11-22T03:00:00Z" in told.out
    assert "DEV2 (telnet nonstop): DOWN" in told.out
    assert run("--json") == 40
    assert json.loads(capsys.readouterr().out) == document | {"stale": True}
