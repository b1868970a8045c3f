"""A drill's files say what is there, and sha256sum reads its own form of names."""

import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from copyagent.core.drill_list import (
    CHECK,
    Drill,
    Flaw,
    How,
    Lacking,
    Listed,
    check_line,
    check_text,
    expressible,
    list_text,
)
from vtsfs.contract.naming import TapeId

AT = 1_767_225_600_000_000_000
HOUR = 3_600_000_000_000
TAPE = TapeId("VAULT00", "BILL", "X00001")
PLACE = TapeId("VAULT07", "DR", "X00001")
LISTED = Listed(TAPE, PLACE, 4, 300, AT - 2 * HOUR, AT - HOUR, "readback", "a" * 64, How.READ_HERE)

#: Whatever a site's naming patterns may let in: no name of ours ever gets into a shell.
ODD = [
    "X00001",
    "-c",
    "two words",
    " leading",
    "trailing ",
    "back\\slash",
    "line\nfeed",
    "\\n",
    "tab\there",
    "*star",
    "qu'ote\"",
    "Zürich",
    "\udcff\udcfe",
    "\x1b[2J",
]


def drill(*listed: Listed, lacking: tuple[Lacking, ...] = ()) -> Drill:
    return Drill("TAPESRV1", "drsite", "VAULT07", AT, listed, lacking)


@pytest.mark.parametrize("label", ODD)
def test_coreutils_read_every_name_as_it_is_meant(label: str, tmp_path: Path) -> None:
    place = TapeId("VAULT00", "BILL", label)
    staging = tmp_path / ".vts-autocopy" / "TAPESRV1"
    staging.mkdir(parents=True)
    (tmp_path / "BILL").mkdir()
    tape = tmp_path / "BILL" / label
    tape.write_bytes(b"content")
    line = check_line(sha256(b"content").hexdigest(), place)
    (staging / CHECK).write_bytes(line.encode("utf-8", "surrogateescape"))
    command = ["sha256sum", "--check", "--strict", "--status", CHECK]
    assert subprocess.run(command, cwd=staging, check=False).returncode == 0
    tape.write_bytes(b"Content")
    assert subprocess.run(command, cwd=staging, check=False).returncode == 1


def test_a_carriage_return_means_something_else_to_each_release() -> None:
    assert not expressible(TapeId("VAULT00", "BILL", "X\r"))
    assert not expressible(TapeId("VAULT00", "B\rLL", "X"))
    assert all(expressible(TapeId("VAULT00", "BILL", label)) for label in ODD)


def test_only_what_has_a_digest_is_in_the_check() -> None:
    text = check_text(
        drill(
            LISTED,
            replace(LISTED, sha256="", how=None, flaw=Flaw.WRONG),
            replace(LISTED, flaw=Flaw.MISSING),
            replace(LISTED, flaw=Flaw.UNNAMEABLE),
        )
    )
    assert text == f"{'a' * 64}  ../../DR/X00001\n" * 2


def test_the_list_tells_how_to_use_it_and_what_it_is_about() -> None:
    lacking = (
        Lacking(TAPE, "held", AT - 2 * HOUR, "conflict: DEV2"),
        Lacking(TapeId("VAULT00", "BILL", "X00002"), "unsynced", 0),
    )
    behind = replace(LISTED, behind=True, how=How.READ_BACK)
    wrong = replace(LISTED, sha256="", how=None, flaw=Flaw.WRONG, detail="it has 5 bytes")
    lines = list_text(drill(LISTED, behind, wrong, lacking=lacking), "d" * 64).splitlines()
    assert lines[0] == "Drill of TAPESRV1 at drsite, vault VAULT07, 2026-01-01T00:00:00Z"
    assert f"    cd DIRECTORY && sha256sum -c {CHECK}" in lines
    assert f"    {'d' * 64}" in lines
    assert f"2 tapes in {CHECK}: each is OK, or has FAILED; the end says how many have." in lines
    assert any(line.startswith("Digests: 1 read here, 1 read back.") for line in lines)
    rows = [line.split() for line in lines if line.startswith("DR/X00001")]
    assert rows[0][:5] == [
        "DR/X00001",
        "4",
        "300",
        "2025-12-31T22:00:00Z",
        "2025-12-31T23:00:00Z",
    ]
    assert " ".join(rows[1]).endswith("read back the tape at the source is newer")
    assert "  /VAULT07/DR/X00001: not what was published: it has 5 bytes" in lines
    assert "NOT PROTECTED when this was written: 2 tapes" in lines
    assert "  /VAULT00/BILL/X00001, for 2h 00m: held: conflict: DEV2" in lines
    assert "  /VAULT00/BILL/X00002, for long: unsynced" in lines


def test_a_list_of_nothing_and_of_names_that_steer_terminals() -> None:
    text = list_text(drill(), "d" * 64)
    assert "Digests: none." in text
    assert "Every tape of the source's watched pools was here as it is there." in text
    odd = replace(LISTED, place=TapeId("VAULT00", "BILL", "\x1b[2J\n"), flaw=Flaw.MISSING)
    text = list_text(drill(odd), "d" * 64)
    assert all(line.isprintable() for line in text.splitlines())
    assert "BILL/?[2J?" in text
