"""``copyagent history``: how entries are shown, and that every page is asked for."""

from pathlib import Path
from typing import Any

import pytest

from copyagent.cli.commands import copyagent
from copyagent.cli.entry_text import entry_text
from copyagent.cli.history import COLUMNS
from copyagent.core.copying import CopyDone, PublishedCopy, TargetStamp
from copyagent.core.history import Entry, History, Kind, document
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity
from vtsfs.runtime.exits import run_cli

TAPE = TapeId("VAULT00", "BILL", "X00001")
AT = 1_767_225_600_000_000_000
COPY = PublishedCopy(4, Identity(1, 2, 4096, AT, AT), 4096, "", TargetStamp(4096, 1), "readback")


def copied(attempts: int | None = 1, resumed: int = 0) -> dict[str, Any]:
    history = History()
    done = CopyDone(COPY, 1024, 65.0, skipped=3072, resumed=resumed, way="digests")
    history.copied(TAPE, "drsite", done, attempts, AT)
    (entry,) = history.news()
    return document(entry)


def test_a_finished_copy() -> None:
    assert entry_text(copied(), None) == (
        "2026-01-01T00:00:00Z /VAULT00/BILL/X00001 to drsite: copied, generation 4, 4.0 KiB "
        "(digests: 1.0 KiB sent) in 1m 05s, verified by readback"
    )
    shown = entry_text(copied(3, 2048), None)
    assert "(digests: 1.0 KiB sent, 2.0 KiB resumed) in 1m 05s, attempt 3, verified" in shown


@pytest.mark.parametrize(
    ("kind", "facts", "shown"),
    [
        ("failed", {"attempts": 12, "cause": "no room"}, ", after 12 attempts: no room"),
        ("held", {"reason": "conflict", "cause": "two words"}, " (conflict): two words"),
        ("doubted", {"cause": "bit rot", "user": "root"}, ": bit rot"),
        ("from the future", {"colour": "red"}, ""),
    ],
)
def test_what_went_wrong_and_what_nobody_knows_yet(
    kind: str, facts: dict[str, str | int], shown: str
) -> None:
    entry = document(Entry(1, AT, kind, str(TAPE), "drsite", 4, "", facts))
    assert entry_text(entry, None) == (
        f"2026-01-01T00:00:00Z {TAPE} to drsite: {kind}, generation 4{shown}"
    )


WROTE = "wrote, 4.0 KiB written"
HOST = "host: with ring, dismounted"
DEV2 = "DEV2 request 0001 with ring"
JUDGED: dict[str, str | int | bool | None] = {
    "verdict": "agreed",
    "row": 6,
    "overlay": "wrote",
    "host": "with ring, dismounted",
    "mounted": DEV2,
    "bytes": 4096,
    "again": False,
    "action": "copy to drsite",
}


@pytest.mark.parametrize(
    ("kind", "facts", "shown"),
    [
        (
            "dismounted",
            JUDGED,
            f"{TAPE}: dismounted, generation 4, agreed: {WROTE}; {HOST} ({DEV2}); copy to drsite",
        ),
        (
            "changed",
            JUDGED | {"bytes": 0, "mounted": "", "again": True},
            f"{TAPE}: changed, generation 4, agreed, judged again: wrote; {HOST}; copy to drsite",
        ),
        (
            "action",
            {
                "user": "a",
                "action": "hold",
                "object": "x",
                "because": "y",
                "old": "",
                "new": "held",
            },
            "a: hold x (- -> held): y",
        ),
        (
            "action",
            {"user": "a", "action": "drill", "object": "x", "because": "y", "old": "", "new": ""},
            "a: drill x: y",
        ),
        ("alarm", {"severity": "error", "message": 624111, "text": "no"}, "error 624111: no"),
        ("loaded", {"how": "start", "user": "vts"}, "settings f00f in force (start, by vts)"),
        ("stopped", {"how": "by SIGTERM"}, "the agent ended by SIGTERM"),
        (
            "pruned",
            {"count": 3, "first": 1, "last": 3, "until": "2026", "value": "00"},
            "entries 1 to 3 were pruned, 3, the newest of 2026",
        ),
        (
            "chained",
            {"count": 3, "first": 1, "last": 3},
            "entries 1 to 3 are of a release without a chain, and were chained",
        ),
        ("kept", {"how": "erased"}, f"{TAPE} to drsite: kept, generation 4, was erased here"),
        (
            "cancelled",
            {"user": "a", "because": "y"},
            f"{TAPE} to drsite: cancelled, generation 4 by a: y",
        ),
    ],
)
def test_what_is_no_copy(kind: str, facts: dict[str, Any], shown: str) -> None:
    entry = document(Entry(1, AT, kind, str(TAPE), "drsite", 4, "f00f", facts))
    assert entry_text(entry, None) == f"2026-01-01T00:00:00Z {shown}"


def test_every_kind_is_shown() -> None:
    shown = {"copied", "failed", "held", "doubted", "dismounted", "changed", "action", "alarm"}
    assert {*shown, *("loaded", "stopped", "pruned", "chained", "kept", "cancelled")} == set(Kind)


def test_no_escape_reaches_the_terminal_and_lines_keep_to_its_width() -> None:
    facts = {"reason": "conflict", "cause": "\x1b[2J " + "word " * 30}
    shown = entry_text(document(Entry(1, AT, "held", str(TAPE), "drsite", 4, "", facts)), 60)
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 60


@pytest.mark.parametrize("args", [["--since", "soon"], ["X00001"], ["--last", "0"]])
def test_what_makes_no_sense_is_refused(args: list[str], tmp_path: Path) -> None:
    words = ["--config", str(tmp_path / "none.yaml"), "history", *args]
    assert run_cli(copyagent, program="copyagent", args=words) == 2


def test_two_forms_at_once_are_refused(tmp_path: Path) -> None:
    words = ["--config", str(tmp_path / "none.yaml"), "history", "--json", "--csv"]
    assert run_cli(copyagent, program="copyagent", args=words) == 2


def test_every_fact_of_a_copy_has_a_column() -> None:
    assert set(copied()) <= set(COLUMNS)
