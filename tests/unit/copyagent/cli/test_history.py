"""``copyagent history``: how entries are shown, and that every page is asked for."""

from pathlib import Path
from typing import Any

import pytest

from copyagent.cli.commands import copyagent
from copyagent.cli.history import COLUMNS, entry_text
from copyagent.core.copying import CopyDone, PublishedCopy, TargetStamp
from copyagent.core.history import Entry, History, document
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
