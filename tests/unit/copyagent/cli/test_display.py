"""The displays (`display`, and `snapshot` which feeds one): plain words, everything in them."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from copyagent.cli.display import MOST_LISTED, explanation, overview
from copyagent.cli.snapshot import last_known
from tests.support.example_settings import example_settings

STATUS: dict[str, Any] = {
    "schema": 1,
    "system": "TAPESRV1",
    "version": "0.1.0",
    "at": "2026-11-22T03:00:00Z",
    "pools": [
        {
            "pool": "/VAULT00/BILL",
            "target": "drsite",
            "tapes": 3,
            "protected": 2,
            "unprotected": 1,
            "oldest_unprotected_s": 3700,
            "behind_since": None,
            "states": {"copied": 2, "held (target changed)": 1},
        }
    ],
    "attention": [
        {
            "tape": "/VAULT00/BILL/X00003",
            "target": "drsite",
            "state": "held (target changed)",
            "why": "size 5 instead of 7",
            "next": "Look at the file at the target.",
        }
    ],
    "copies": [
        {
            "tape": "/VAULT00/BILL/X00002",
            "target": "drsite",
            "phase": "sending",
            "done": 1 << 20,
            "total": 4 << 20,
            "rate": 1 << 20,
            "left_s": 3,
        }
    ],
    "hosts": [
        {
            "host": "DEV2",
            "up": True,
            "since": "s",
            "trouble": "",
            "events": 7,
            "last_event": "l",
            "unrecognised": 2,
            "garbage_lines": 3,
        }
    ],
    "vaults": [
        {
            "vault": "VAULT00",
            "attached": False,
            "since": None,
            "trouble": "the overlay does not answer",
            "swept": True,
            "not_tapes": 1,
            "not_tapes_examples": ["/VAULT00/BILL/X 1"],
        }
    ],
    "targets": [{"target": "drsite", "up": True, "trouble": "", "since": None, "running": 1}],
}


def shown(renderable: Any, width: int = 160) -> str:
    console = Console(width=width, record=True, file=StringIO())
    console.print(renderable)
    return console.export_text()


def test_the_overview_tells_pools_links_copies_and_what_is_wrong() -> None:
    text = shown(overview(STATUS, 160))
    assert "1h 01m" in text
    assert "1.0 MiB of 4.0 MiB (25 %)" in text
    assert "held (target changed)" in text
    assert "the overlay does not answer" in text
    assert "/VAULT00/BILL/X 1" in text
    assert "7 events, last l; 2 tape events not understood; 3 lines belonged to no event" in text


def test_a_pool_that_has_fallen_behind_stands_out() -> None:
    assert "1h 01m BEHIND" not in shown(overview(STATUS, 160))
    (pool,) = STATUS["pools"]
    late = STATUS | {"pools": [pool | {"behind_since": "2026-11-22T02:00:00Z"}]}
    assert "1h 01m BEHIND" in shown(overview(late, 160))


def test_a_licence_is_spoken_of_where_somebody_has_to_act() -> None:
    licence = {"copying": True, "why": "valid until 2027-01-01", "next": "Nothing to do."}
    assert "icence" not in shown(overview(STATUS, 200))
    for quiet in ("valid", "not required"):
        document = STATUS | {"licence": licence | {"standing": quiet}}
        assert "icence" not in shown(overview(document, 200))
    soon = STATUS | {"licence": licence | {"standing": "expires soon"}}
    assert "Licence: valid until 2027-01-01" in shown(overview(soon, 200))
    gone = licence | {"standing": "missing", "copying": False, "why": "no licence is installed"}
    text = shown(overview(STATUS | {"licence": gone}, 200))
    assert "NOTHING IS COPIED: no licence is installed" in text


def test_a_long_list_is_cut_and_counted() -> None:
    many = STATUS | {"attention": STATUS["attention"] * (MOST_LISTED + 5)}
    assert "and 5 more: copyagent tapes --unprotected" in shown(overview(many, 160))
    assert "and 12 more: copyagent" in shown(overview(many | {"attention_left_out": 7}, 160))


def test_when_all_is_well_it_says_so() -> None:
    assert "is protected" in shown(overview(STATUS | {"attention": []}, 160))


def test_the_explanation_tells_evidence_verdict_copy_and_history() -> None:
    session = {
        "access": "write", "opened": "t1", "closed": "t2", "wrote": True, "bytes": 9,
        "interrupted": False,
    }  # fmt: skip
    mount = {
        "host": "DEV2", "volume": "X00001", "ring": "with ring", "request": 42, "drive": "$T",
        "requested": "t0", "mounted": "t0", "opened": None, "dismounted": "t3",
        "link_lost_since": False,
    }  # fmt: skip
    document: dict[str, Any] = {
        "schema": 1, "tape": "/VAULT00/BILL/X00001", "at": "t9", "generation": 2, "size": 9,
        "modified": "t2", "protected": True, "unprotected_since": None,
        "evidence": {"open": [], "overlay": [session], "changes": ["truncate"], "host": mount},
        "verdict": {
            "verdict": "agreed", "at": "t4", "generation": 2, "overlay_said": "wrote",
            "host_said": "with ring, dismounted", "sessions": [session], "changes": [],
            "host_mount": mount,
        },
        "copies": [{
            "target": "drsite", "state": "copied", "next": "Nothing to do.", "why": "",
            "published": {
                "generation": 2, "size": 9, "sha256": "ab12", "verified": "command", "at": "t5",
            },
        }],
        "history": [{"at": "t1", "what": "opened for writing"}],
    }  # fmt: skip
    text = shown(explanation(document, 160))
    for part in ("agreed", "9 bytes written", "with ring", "ab12", "opened for writing", "command"):
        assert part in text
    assert "DEV2 volume X00001" in text
    document["copies"][0]["published"]["sha256"] = ""
    assert "sha256" not in shown(explanation(document, 160))
    document["copies"][0]["published"]["verified"] = "adopted"
    assert "t5, found equal when it was adopted" in shown(explanation(document, 160))
    by_drive = mount | {"volume": "/VAULT00/BILL/N00001", "drive": "$VTAPE3"}
    document["verdict"] = document["verdict"] | {"host_mount": by_drive}
    assert "DEV2 drive $VTAPE3" in shown(explanation(document, 160))


def test_the_last_known_state_is_read_or_not_there(tmp_path: Path) -> None:
    settings = example_settings(tmp_path)
    assert last_known(settings) is None
    (tmp_path / "state").mkdir()
    settings.snapshot_path().write_text("{half")
    assert last_known(settings) is None
    settings.snapshot_path().write_text(json.dumps(STATUS))
    assert last_known(settings) == STATUS


def test_what_runs_is_not_what_is_installed() -> None:
    vault = STATUS["vaults"][0] | {"attached": True, "version": "0.1.0-1"}
    document = STATUS | {"version": "0.2.0-1", "installed": "0.2.1-1", "vaults": [vault]}
    text = shown(overview(document, 160))
    assert "0.2.0-1 is running, 0.2.1-1 is installed: it takes over when the agent" in text
    assert "0.1.0-1 is running, 0.2.1-1 is installed: it takes over when the vault" in text
    assert "installed" not in shown(overview(document | {"installed": None}, 160))
