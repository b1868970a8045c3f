"""Whatever is changed in a state file's history shows, and a history that is as it was does not.

The files are real, and edited with SQL behind the store's back.
"""

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.core.chain import START, Mark, link, parse_mark
from copyagent.core.chain_check import LONGEST_FAULT, MOST_FAULTS, Checked, check
from copyagent.core.history import Entry, History, Kind, text_of
from copyagent.state.history_check import check_file, settings_in_file
from copyagent.state.history_rows import HistoryWanted, Row, row_of
from copyagent.state.store import Changes, open_store
from vtsfs.contract.errors import StateError
from vtsfs.contract.naming import TapeId

GOLDEN = Path(__file__).parents[3] / "golden"
TAPE = TapeId("VAULT00", "BILL", "X00001")
AT = 1_767_225_600_000_000_000
AGAIN = ", at_ns, kind, tape, entry, chain FROM history WHERE number"


def made(count: int = 8) -> History:
    history = History("f" * 64)
    history.loaded("f" * 64, "system: {name: TAPESRV1}", how="start", user="vts", at_ns=AT)
    for number in range(2, count + 1):
        history.add(
            Kind.FAILED, AT + number, tape=TAPE, target="drsite", attempts=number, cause="x"
        )
    return history


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "agent.sqlite"
    store, _ = open_store(path, "now")
    changes, history = Changes(), made()
    changes.put_history(history.news())
    changes.put_settings(history.news_of_settings())
    store.commit(changes)
    store.close()
    return path


def edit(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            assert database.execute(statement).rowcount != 0, statement


def test_a_history_as_it_was_written(path: Path) -> None:
    found = check_file(path)
    assert found.intact
    assert (found.count, found.first, found.last) == (8, 1, 8)
    assert (found.first_ns, found.last_ns) == (AT, AT + 8)
    assert found.newest == made().mark
    known = parse_mark(f" {found.newest} ")
    assert known == found.newest
    assert check_file(path, [known, Mark(3, made(3).chain[:16]), Mark(0, START)]).marks == 3


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE history SET entry = replace(entry, 'x', 'y') WHERE number = 3", "entry 3: was"),
        ("UPDATE history SET entry = 'no JSON' WHERE number = 3", "entry 3: its text was changed"),
        ("UPDATE history SET entry = x'00' WHERE number = 3", "entry 3: is not of the form"),
        ("UPDATE history SET chain = '' WHERE number = 3", "entry 3: was changed"),
        ("UPDATE history SET at_ns = at_ns - 1 WHERE number = 3", "entry 3: is filed as failed"),
        ("UPDATE history SET kind = 'copied' WHERE number = 3", "entry 3: is filed as copied"),
        ("UPDATE history SET tape = '' WHERE number = 3", "entry 3: is filed as failed of no tape"),
        ("UPDATE history SET number = 20 WHERE number = 8", "entries 8 to 19 are missing"),
        ("DELETE FROM history WHERE number = 3", "entry 3 is missing"),
        ("DELETE FROM history WHERE number < 3", "entries 1 to 2 are missing, and not on record"),
        ("DELETE FROM history WHERE number > 6", "entries 7 to 8 are missing: cut off at the end"),
        ("DELETE FROM history", "entries 1 to 8 are missing: cut off"),
        ("DELETE FROM meta WHERE key = 'history'", "entries 1 to 8 were added"),
        ("UPDATE meta SET value = '8:00' WHERE key = 'history'", "entry 8: is not the newest"),
        ("UPDATE settings SET text = 'else'", "the settings ffffffffffffffff are not those"),
        ("DELETE FROM settings", "the settings ffffffffffffffff that were in force are missing"),
        (
            f"INSERT INTO history SELECT 9{AGAIN} = 8",
            "entry 9 was added",
        ),
        (
            f"INSERT INTO history SELECT 0{AGAIN} = 1",
            "entry 0: no entry has such a number",
        ),
    ],
)
def test_what_was_changed_is_named(path: Path, statement: str, fault: str) -> None:
    edit(path, statement)
    found = check_file(path)
    assert not found.intact
    assert any(text.startswith(fault) for text in found.faults), found.faults


def test_an_end_that_was_cut_off_with_its_head_shows_by_what_was_noted_down(path: Path) -> None:
    newest = check_file(path).newest
    value = made(6).chain
    edit(
        path,
        "DELETE FROM history WHERE number > 6",
        f"UPDATE meta SET value = '6:{value}' WHERE key = 'history'",
    )
    assert check_file(path).intact, "by itself it cannot know: that is what marks are for"
    (fault,) = check_file(path, [newest]).faults
    assert fault.startswith("entry 8: was noted down as")
    assert "cut off at the end" in fault


def test_a_chain_that_was_made_anew_shows_by_what_was_noted_down(path: Path) -> None:
    newest = check_file(path).newest
    forged = made(2)
    for number in range(3, 9):
        forged.add(Kind.COPIED, AT + number, tape=TAPE, target="drsite", attempts=number)
    rows = [row_of(entry) for entry in forged.news()]
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany("INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?, ?)", rows)
        database.execute("UPDATE meta SET value = ? WHERE key = 'history'", (str(forged.mark),))
    assert check_file(path).intact
    marks = [Mark(2, made(2).chain[:16]), Mark(newest.number, newest.value[:16])]
    found = check_file(path, marks)
    assert found.marks == 1
    assert found.faults[0].startswith("entry 8: its value was noted down as")


# ---- any single change ---------------------------------------------------------------------------


def rows_of(history: History) -> list[Row]:
    return [row_of(entry) for entry in history.unsaved]


KEPT = made(12)
ROWS = rows_of(KEPT)
HEAD = str(KEPT.mark)


def looked_at(rows: list[Row]) -> Checked:
    ordered: list[Row] = sorted(rows, key=lambda row: row[0])
    return check(ordered, HEAD, dict(KEPT.texts))


def test_unchanged_rows_have_no_fault() -> None:
    assert looked_at(ROWS).faults == []


@st.composite
def changed_rows(draw: st.DrawFn) -> list[Row]:
    """One change of one row: a field, its absence, a copy of it elsewhere, or two that changed places."""
    rows = list(ROWS)
    at = draw(st.integers(0, len(rows) - 1))
    row = rows[at]
    how = draw(st.sampled_from(["column", "text", "fact", "value", "delete", "insert", "swap"]))
    match how:
        case "column":
            column = draw(st.integers(0, 3))
            other = draw(st.integers(1) if column < 2 else st.text(max_size=9))
            rows[at] = (*row[:column], other, *row[column + 1 :])  # type: ignore[assignment]  # a column
        case "text":
            place = draw(st.integers(0, len(row[4]) - 1))
            text = row[4][:place] + draw(st.characters(codec="ascii")) + row[4][place + 1 :]
            rows[at] = (*row[:4], text, row[5])
        case "fact":
            entry = json.loads(row[4])
            entry["facts"][draw(st.sampled_from(["attempts", "cause", "new"]))] = draw(
                st.integers()
            )
            rows[at] = (*row[:4], json.dumps(entry, sort_keys=True, separators=(",", ":")), row[5])
        case "value":
            rows[at] = (*row[:5], draw(st.sampled_from(["", START, ROWS[at - 1][5]])))
        case "delete":
            del rows[at]
        case "insert":
            rows.insert(at, (draw(st.sampled_from([0, -1, 13, 14])), *row[1:]))
        case "swap":
            other_at = draw(st.integers(0, len(rows) - 1))
            rows[at], rows[other_at] = (
                (row[0], *rows[other_at][1:]),
                (rows[other_at][0], *row[1:]),
            )
    return rows


@given(rows=changed_rows())
@settings(max_examples=300, deadline=None)
def test_any_single_change_shows(rows: list[Row]) -> None:
    found = looked_at(rows)
    assert found.intact == (rows == ROWS)
    assert found.fault_count >= len(found.faults)


def test_what_was_written_to_break_the_check_is_a_fault_as_well() -> None:
    for head in ("9" * 5000 + ":aa", "\N{SUPERSCRIPT TWO}:aa", ":", ""):
        assert not check(ROWS, head, dict(KEPT.texts)).intact, head
    number, _, kind, tape, text, value = ROWS[0]
    late = text.replace(str(AT), "9" * 4000)
    (fault, *_) = check([(number, AT, kind, tape, late, value)], None, {}).faults
    assert "is filed as" in fault
    assert len(fault) == LONGEST_FAULT + 3


def test_faults_are_bounded() -> None:
    rows = [(*row[:5], "") for row in rows_of(made(500))]
    found = check(rows, None, {})
    assert len(found.faults) == MOST_FAULTS < found.fault_count


# ---- what was pruned -----------------------------------------------------------------------------


def pruned(upto: int) -> tuple[list[Row], History]:
    history = made(12)
    value = next(entry.chain for entry in history.unsaved if entry.number == upto)
    history.add(Kind.PRUNED, AT, count=upto, first=1, last=upto, value=value)
    return rows_of(history)[upto:], history


def test_a_chain_goes_on_behind_what_was_pruned() -> None:
    rows, history = pruned(5)
    found = check(rows, str(history.mark), {}, [Mark(3, "0" * 16)])
    assert found.faults == []
    assert (found.first, found.pruned, found.pruned_marks) == (6, 5, 1)


def test_more_or_less_than_what_is_on_record_as_pruned() -> None:
    rows, history = pruned(5)
    (fault,) = check(rows[1:], str(history.mark), {}).faults
    assert fault == "entry 6 is missing, and not on record as pruned"
    (fault,) = check(rows_of(history)[4:], str(history.mark), {}).faults
    assert fault == "entry 5: is there, and entries up to 5 were pruned"
    changed = (*rows[0][:4], rows[0][4].replace("drsite", "else"), rows[0][5])
    (fault,) = check([changed, *rows[1:]], str(history.mark), {}).faults
    assert fault == "entry 6: was changed, or does not belong behind the pruned ones"


# ---- files of other makes ------------------------------------------------------------------------


@pytest.fixture
def former(tmp_path: Path) -> Path:
    path = tmp_path / "agent.sqlite"
    shutil.copy(GOLDEN / "agent-state-2.sqlite", path)
    return path


def test_a_former_releases_history_is_chained_and_says_so(former: Path) -> None:
    with pytest.raises(StateError, match="an agent of this one brings it up to date"):
        check_file(former)
    with closing(sqlite3.connect(former)) as database:
        texts = dict(database.execute("SELECT number, entry FROM history"))
    store, aside = open_store(former, "now")
    assert aside is None
    known = store.load()
    assert known.history_newest == 22
    entries = store.find_history(HistoryWanted())
    store.close()
    assert [entry.number for entry in entries] == [17, 18, 19, 20, 21, 22]
    assert (entries[-1].kind, entries[-1].facts) == (
        Kind.CHAINED,
        {"first": 17, "last": 21, "count": 5},
    )
    with closing(sqlite3.connect(former)) as database:
        now = dict(database.execute("SELECT number, entry FROM history WHERE number < 22"))
        assert now == texts, "what was written stays as it was written"
    found = check_file(former)
    assert (found.faults, found.late, found.newest.value) == ([], 21, known.history_chain)
    value = START
    for number in sorted(texts):
        value = link(value, texts[number])
    assert entries[-2].chain == value
    edit(former, "DELETE FROM history WHERE number = 17")
    assert check_file(former).faults == ["entries 1 to 17 are missing, and not on record as pruned"]


def test_a_state_without_any_history_is_taken_over_too(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    shutil.copy(GOLDEN / "agent-state-1.sqlite", path)
    store, _ = open_store(path, "now")
    assert store.load().history_newest == 0
    store.close()
    assert check_file(path).faults == []


def test_the_agent_goes_on_behind_a_head_whose_entries_were_cut_off(path: Path) -> None:
    edit(path, "DELETE FROM history WHERE number > 6")
    store, _ = open_store(path, "now")
    known = store.load()
    history = History("", known.history_newest, known.history_chain)
    history.add(Kind.ALARM, AT)
    changes = Changes()
    changes.put_history(history.news())
    store.commit(changes)
    store.close()
    assert check_file(path).faults == ["entries 7 to 8 are missing"]


def test_settings_are_found_by_the_beginning_of_their_digest(path: Path) -> None:
    assert settings_in_file(path, "ffff") == ("f" * 64, "system:\n  name: TAPESRV1\n")
    assert settings_in_file(path, "e") is None
    assert settings_in_file(path, "") is None
    edit(path, "INSERT INTO settings VALUES ('f0', 'x')")
    assert settings_in_file(path, "f") is None


@pytest.mark.mount
def test_a_copy_on_a_medium_that_cannot_be_written(path: Path, scratch: Path) -> None:
    medium = scratch / "medium"
    medium.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", medium], check=True)
    try:
        shutil.copy(path, medium)
        subprocess.run(["mount", "-o", "remount,ro", medium], check=True)
        assert check_file(medium / path.name).intact
    finally:
        subprocess.run(["umount", medium], check=True)


def test_no_file_and_no_database(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="there is no state file"):
        check_file(tmp_path / "none.sqlite")
    (tmp_path / "text").write_text("not a database, but long enough for one" * 99)
    with pytest.raises(StateError, match="cannot be read"):
        check_file(tmp_path / "text")


def entry_with_every_sign() -> Entry:
    return Entry(
        1, AT, "held", str(TAPE), "drsite", 1, "", {"cause": '\u00fc \U0001f4fc \x00 \\ "'}
    )


def test_texts_are_ascii_and_read_back() -> None:
    entry = entry_with_every_sign()
    assert text_of(entry).isascii()
    assert json.loads(text_of(entry))["facts"] == entry.facts
