"""``copyagent report``, by the history in a real state file that no agent has open."""

import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from copyagent.cli.commands import copyagent
from copyagent.cli.report import COLUMNS
from copyagent.core.copying import CopyDone, PublishedCopy, TargetStamp
from copyagent.core.history import History, Kind
from copyagent.state.history_file import state_file
from copyagent.state.store import Changes, open_store
from tests.support.documents import check_output
from tests.support.example_settings import EXAMPLE
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings_file import read_settings
from vtsfs.contract.signals import Identity
from vtsfs.runtime.exits import run_cli

DAY = "2026-01-01"
AT = 1_767_225_600_000_000_000
MINUTE = 60_000_000_000
TAPE = TapeId("VAULT00", "BILL", "X00001")
OTHER = TapeId("VAULT00", "BILL", "X00002")


@dataclass
class Ledgers:
    """A state file with a history, and the commands that read it."""

    config: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        words = ["--config", str(self.config), *arguments]
        status = run_cli(copyagent, program="copyagent", args=words)
        told = self.capsys.readouterr()
        if "--proofs" not in arguments:  # the dismounts of these tests are not whole
            check_output("copyagent", arguments, told.out)
        return status, told.out, told.err

    def write(self, fill: Callable[[History], None]) -> None:
        """Put what *fill* writes into the state file, as an agent would, and end that agent."""
        path = state_file(read_settings(self.config))
        path.parent.mkdir(parents=True, exist_ok=True)
        store, _ = open_store(path, "now")
        history = History("f" * 64)
        fill(history)
        changes = Changes()
        changes.put_history(history.news())
        store.commit(changes)
        store.close()


@pytest.fixture
def ledgers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Ledgers:
    monkeypatch.delenv("COLUMNS", raising=False)  # lines are folded where there is a width
    config = tmp_path / "vts-autocopy.yaml"
    config.write_text(EXAMPLE.replace("ROOT", str(tmp_path)))
    return Ledgers(config, capsys)


def dismount(history: History, at_ns: int, tape: TapeId = TAPE, generation: int = 1) -> None:
    history.add(Kind.DISMOUNTED, at_ns, tape=tape, generation=generation,
                verdict="agreed", copy_to="drsite", size=5, bytes=5)  # fmt: skip


def copy(history: History, at_ns: int, tape: TapeId = TAPE, generation: int = 1) -> None:
    stamp, source = TargetStamp(5, 1), Identity(1, 2, 5, at_ns, at_ns)
    published = PublishedCopy(
        generation, source, 5, "5" * 64, stamp, "readback", at_ns, root="a" * 64
    )
    history.copied(tape, "drsite", CopyDone(published, 5, 1.0), 1, at_ns)


def a_night(history: History) -> None:
    """One copied in time, one late, one held; an operator's word; an alarm; one read only."""
    dismount(history, AT)
    copy(history, AT + 5 * MINUTE)
    dismount(history, AT + 10 * MINUTE, generation=2)
    copy(history, AT + 40 * MINUTE, generation=2)
    dismount(history, AT + 50 * MINUTE, OTHER)
    history.add(Kind.HELD, AT + 51 * MINUTE, tape=OTHER, target="drsite", generation=1,
                reason="conflict", cause="DEV2 request 0005")  # fmt: skip
    history.add(Kind.ACTION, AT + 52 * MINUTE, user="ann", action="pause", object="drsite",
                because='=cmd "x", y', old="", new="paused")  # fmt: skip
    history.add(Kind.ALARM, AT + 53 * MINUTE, message=420102, severity="warning",
                text="EMS link to DEV2 lost: reset")  # fmt: skip
    history.add(Kind.DISMOUNTED, AT + 54 * MINUTE, tape=TAPE, generation=2,
                verdict="agreed, read only")  # fmt: skip


def test_the_figures_of_a_day(ledgers: Ledgers) -> None:
    ledgers.write(a_night)
    span = ("--from", DAY, "--to", DAY)
    status, out, err = ledgers.run("report", *span, "--json")
    assert (status, err) == (0, "No agent answers: read from its state file.\n")
    document = json.loads(out)
    assert document["schema"] == 1
    assert (document["from"], document["to"]) == (f"{DAY}T00:00:00Z", "2026-01-02T00:00:00Z")
    assert (document["dismounts"], document["needed_none"]) == (4, 1)
    total = document["total"]
    assert (total["due"], total["within"], total["late"], total["missing"]) == (3, 1, 1, 1)
    assert total["percent"] == 33.33
    assert [one["tape"] for one in document["open"]] == [str(OTHER)]
    assert document["open"][0]["why"] == "conflict: DEV2 request 0005"
    assert document["gaps"][0]["what"] == "EMS link to DEV2 lost: reset"

    status, out, _ = ledgers.run("report", *span, "--goal", "33.33%")
    assert status == 0
    assert (
        "33.33 % of 3 copies that were due were made within 15m: the goal of 33.33 % is met." in out
    )
    status, out, err = ledgers.run("report", *span, "--within", "4m", "--goal", "1%")
    assert status == 50
    assert "the goal of 1 % within 4m is missed" in err
    assert "0.00 %" in out
    assert "/VAULT00/BILL/X00002 to drsite" in out


def test_only_what_is_asked_for_and_what_settled_it_later(ledgers: Ledgers) -> None:
    ledgers.write(a_night)
    span = ("--from", f"{DAY}T00:10", "--to", f"{DAY}T00:20")
    document = json.loads(ledgers.run("report", *span, "--json")[1])
    assert document["dismounts"] == 1
    assert document["happened"]["copied"] == 0
    assert (document["total"]["late"], document["total"]["p50_s"]) == (1, 1800.0)
    document = json.loads(ledgers.run("report", str(OTHER), "--from", DAY, "--json")[1])
    assert (document["dismounts"], document["total"]["missing"]) == (1, 1)


def test_every_dismount_with_its_proof_as_a_table(ledgers: Ledgers) -> None:
    ledgers.write(a_night)
    status, out, _ = ledgers.run("report", "--from", DAY, "--csv")
    assert status == 0
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    assert tuple(rows[0]) == (*COLUMNS, "more")
    assert [(row["kind"], row["outcome"]) for row in rows] == [
        ("dismounted", "copied"),
        ("dismounted", "copied"),
        ("held", ""),
        ("action", ""),
        ("alarm", ""),
        ("dismounted", "no copy needed"),
        ("dismounted", "held"),
    ]
    first = rows[0]
    assert (first["verdict"], first["size"], first["verified"]) == ("agreed", "5", "readback")
    assert (first["copy"], first["copy_generation"], first["took_s"]) == ("2", "1", "300.0")
    assert (first["published"], first["sha256"]) == (f"{DAY}T00:05:00Z", "5" * 64)
    assert rows[3]["because"] == '\'=cmd "x", y'
    assert "conflict: DEV2" in rows[-1]["cause"]


def test_proofs_in_words_and_as_lines(ledgers: Ledgers) -> None:
    ledgers.write(a_night)
    lines = ledgers.run("report", "--from", DAY, "--proofs")[1].splitlines()
    assert lines[0] == (
        f"{DAY}T00:00:00Z {TAPE} dismounted (agreed), generation 1 to drsite: copied "
        f"{DAY}T00:05:00Z, after 5m, verified by readback, sha256 {'5' * 64}, chunk map {'a' * 64}"
    )
    assert lines[-1].endswith("generation 1 to drsite: held: conflict: DEV2 request 0005")
    documents = [
        json.loads(line)
        for line in ledgers.run("report", "--from", DAY, "--proofs", "--json")[1].splitlines()
    ]
    assert [line["number"] for line in documents] == [1, 3, 6, 7, 8, 9, 5]


def test_a_copy_that_proves_no_dismount_has_a_line_of_its_own(ledgers: Ledgers) -> None:
    ledgers.write(lambda history: copy(history, AT))
    (line,) = ledgers.run("report", "--from", DAY, "--proofs", "--json")[1].splitlines()
    assert json.loads(line)["kind"] == "copied"


def test_nothing_at_all(ledgers: Ledgers) -> None:
    ledgers.write(lambda _: None)
    status, out, _ = ledgers.run("report", "--since", "24h", "--goal", "100%")
    assert status == 0
    assert "No copy was due within 15m: the goal of 100 % is met." in out


@pytest.mark.parametrize("command", [["history"], ["report"], ["report", "--csv"]])
def test_a_name_of_which_nothing_is_known(ledgers: Ledgers, command: list[str]) -> None:
    ledgers.write(lambda _: None)
    status, _, err = ledgers.run(*command, "/VAULT00/BIL/X00001")
    assert status == 2
    assert "no pool /VAULT00/BIL is watched; did you mean /VAULT00/BILL?" in err
    status, _, err = ledgers.run(*command, str(TAPE))
    assert status == 0
    assert f"nothing is on record of {TAPE} in that time" in err


def test_by_the_clock_of_this_system(ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    ledgers.write(a_night)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        _, out, _ = ledgers.run("report", "--from", DAY, "--local", "--json")
        _, csv_out, _ = ledgers.run("history", "--from", DAY, "--local", "--csv")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert json.loads(out)["open"][0]["ended"] == f"{DAY}T01:50:00+01:00"
    assert csv_out.splitlines()[1].split(",")[1] == f"{DAY}T01:00:00+01:00"


def test_the_history_without_an_agent(ledgers: Ledgers) -> None:
    ledgers.write(a_night)
    status, out, err = ledgers.run("history", "--json", "--failed")
    assert (status, err) == (0, "No agent answers: read from its state file.\n")
    assert [json.loads(line)["kind"] for line in out.splitlines()] == ["held"]


def test_neither_an_agent_nor_a_state_file(ledgers: Ledgers) -> None:
    status, out, err = ledgers.run("report")
    assert (status, out) == (40, "")
    assert "no agent answers" in err
    assert "no agent has run with these settings yet" in err
    assert not list(ledgers.config.parent.rglob("agent.sqlite*"))
    assert os.listdir(ledgers.config.parent) == [ledgers.config.name]


@pytest.mark.parametrize(
    "words",
    [
        ["--json", "--csv"],
        ["--goal", "much"],
        ["--goal", "99%", "--proofs"],
        ["--within", "15"],
        ["--since", "1h", "--from", "2h"],
        ["--from", "2999-01-01"],
        ["X00001"],
    ],
)
def test_what_makes_no_sense_is_refused(ledgers: Ledgers, words: list[str]) -> None:
    assert ledgers.run("report", *words)[0] == 2


def test_every_fact_has_a_column(ledgers: Ledgers) -> None:
    ledgers.write(a_night)
    rows: list[dict[str, Any]] = list(
        csv.DictReader(io.StringIO(ledgers.run("report", "--from", DAY, "--csv")[1], newline=""))
    )
    more = [json.loads(row["more"] or "{}").keys() for row in rows]
    assert set().union(*more) <= {"copy_to"}
