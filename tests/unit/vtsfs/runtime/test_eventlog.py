import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract import messages
from vtsfs.contract.messages import CATALOGUE
from vtsfs.contract.settings import System
from vtsfs.runtime.eventlog import LINE_LIMIT, EventLog, Origin, format_line

#: 2006-08-28 16:25:18 UTC, the time of the manual's sample line.
NOW = 1_156_782_318_000_000_000
SYSTEM = System(name="Tapeserver01", model="5900-E")
LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\|(INFO|WARNING|ERROR|CRITICAL)\|(\d{6})\|"
    r"([^|]{0,7})\|([^|]{0,15})\|([^|]{0,15})\|([^|]{0,15})\|([^|]{0,15})\|([^|]{0,177})"
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    made = EventLog(tmp_path / "log" / "event.log", SYSTEM, program="copyagent")
    yield made
    made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log" / "event.log"


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_a_line_has_the_fields_of_the_manual(log: EventLog, path: Path) -> None:
    log.write(messages.LINK_UP, now_ns=NOW, host="DEV2", user="administrator")
    (line,) = lines(path)
    assert line == (
        "2006-08-28 16:25:18|INFO|220101|5900-E|127.0.0.1|Tapeserver01|administrator|copyagent|"
        "EMS link to DEV2 is up"
    )


def test_a_field_named_user_is_the_user(
    log: EventLog, path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log("224170 root: release", logging.INFO)
    log.write(
        messages.OPERATOR_ACTION,
        now_ns=NOW,
        user="root",
        action="release",
        object="T",
        because="x",
        mark="history 1:00",
    )
    assert lines(path)[0].endswith("|root|copyagent|root: release T: x [history 1:00]")


def test_a_line_that_may_stand_there_already_is_not_doubled(log: EventLog, path: Path) -> None:
    log.write(messages.LINK_UP, now_ns=NOW, host="DEV2", once=True)
    log.write(messages.LINK_UP, now_ns=NOW + 10**9, host="DEV2")
    log.write(messages.LINK_UP, now_ns=NOW, host="DEV2", once=True)
    assert len(lines(path)) == 2
    log.write(messages.LINK_UP, now_ns=NOW, host="DEV3", once=True)
    assert len(lines(path)) == 3


def test_looking_for_a_line_does_not_wait_for_a_pipes_writer(log: EventLog, path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        log.write(messages.LINK_UP, now_ns=NOW, host="DEV2", once=True)
        assert b"DEV2" in os.read(reader, 1000)
    finally:
        os.close(reader)


@given(
    st.sampled_from(sorted(CATALOGUE)),
    st.text(max_size=300),
    st.text(max_size=20),
    st.text(max_size=20),
    st.integers(0, 4_000_000_000),
)
def test_every_line_fits(number: int, value: str, user: str, program: str, now_s: int) -> None:
    message = CATALOGUE[number]
    origin = Origin("5900-EXTRA", "255.255.255.255", "a-very-long-server-name", user, program)
    line = format_line(message, dict.fromkeys(message.fields, value), origin, now_s * 10**9)
    assert len(line) <= LINE_LIMIT
    assert LINE.fullmatch(line)


def test_the_journal_gets_the_next_step(
    log: EventLog, caplog: pytest.LogCaptureFixture, expect_log: ExpectedLogs
) -> None:
    expect_log("824140 Vault VAULT00 not covered", logging.CRITICAL)
    log.write(messages.NOT_COVERED, now_ns=NOW, vault="VAULT00", detail="not attached")
    assert "vtsfs attach VAULT00" in caplog.text


@pytest.mark.parametrize("moved", [True, False])
def test_a_rotated_log_is_begun_anew(log: EventLog, path: Path, moved: bool) -> None:
    log.write(messages.LINK_UP, now_ns=NOW, host="ONE")
    if moved:
        path.rename(path.with_suffix(".log.1"))
    else:
        path.unlink()
    log.write(messages.LINK_UP, now_ns=NOW, host="TWO")
    assert len(lines(path)) == 1
    assert "TWO" in lines(path)[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_log_that_root_begins_belongs_to_the_directorys_owner(tmp_path: Path) -> None:
    """Otherwise the agent, under a user of its own, could not append to what the overlay began."""
    directory = tmp_path / "log"
    directory.mkdir()
    os.chown(directory, 4001, 4242)
    log = EventLog(directory / "event.log", SYSTEM, program="vtsfs")
    log.write(messages.LINK_UP, now_ns=NOW, host="DEV2")
    log.close()
    found = (directory / "event.log").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (4001, 4242, 0o640)
    os.chown(directory / "event.log", 4002, 4243)
    log.write(messages.LINK_UP, now_ns=NOW, host="DEV2")
    log.close()
    assert (directory / "event.log").stat().st_uid == 4002


def test_two_programs_share_one_file(log: EventLog, path: Path) -> None:
    other = EventLog(path, SYSTEM, program="vtsfs")
    for _ in range(3):
        log.write(messages.LINK_UP, now_ns=NOW, host="DEV2")
        other.write(messages.CAUGHT_UP, now_ns=NOW, pool="P", target="T", took="1 s")
    other.close()
    assert all(LINE.fullmatch(line) for line in lines(path))
    assert len(lines(path)) == 6


def test_a_log_that_cannot_be_written_is_told_once_and_tried_again(
    log: EventLog, path: Path, caplog: pytest.LogCaptureFixture, expect_log: ExpectedLogs
) -> None:
    expect_log("event log .* cannot be written: Is a directory", logging.ERROR)
    path.mkdir(parents=True)
    log.write(messages.LINK_UP, now_ns=NOW, host="ONE")
    log.write(messages.LINK_UP, now_ns=NOW, host="TWO")
    assert caplog.text.count("cannot be written") == 1
    assert log.unwritten == log.written[messages.LINK_UP.id] == 2
    path.rmdir()
    log.write(messages.LINK_UP, now_ns=NOW, host="THREE")
    assert log.unwritten == 0
    missing, after = lines(path)
    assert "|424177|" in missing
    assert "2 messages are missing" in missing
    assert "THREE" in after
    log.write(messages.LINK_UP, now_ns=NOW, host="FOUR")
    assert len(lines(path)) == 3


def test_a_fifo_without_a_reader_stops_nobody(
    log: EventLog, path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log("cannot be written", logging.ERROR)
    path.parent.mkdir()
    os.mkfifo(path)
    log.write(messages.LINK_UP, now_ns=NOW, host="DEV2")


def test_a_full_disk_is_told(expect_log: ExpectedLogs) -> None:
    """/dev/full answers ENOSPC to every write."""
    expect_log("/dev/full cannot be written: No space left", logging.ERROR)
    log = EventLog(Path("/dev/full"), SYSTEM, program="copyagent")
    log.write(messages.LINK_UP, now_ns=NOW, host="ONE")
    log.close()


def test_a_line_that_was_cut_off_is_ended_before_the_next(tmp_path: Path) -> None:
    """The child's files may have 120 bytes at first: the second line is written in part."""
    path = tmp_path / "event.log"
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from vtsfs.contract.messages import LINK_UP\n"
        "from vtsfs.contract.settings import System\n"
        "from vtsfs.runtime.eventlog import EventLog\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "log = EventLog(Path(sys.argv[1]), System(name='T'), program='copyagent')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (120, -1))\n"
        "log.write(LINK_UP, host='ONE')\n"
        "log.write(LINK_UP, host='TWO')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))\n"
        "log.write(LINK_UP, host='THREE')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, path], check=True, capture_output=True, text=True
    )
    assert "only a part of the line fitted" in ended.stderr
    first, cut, missing, last = lines(path)
    assert LINE.fullmatch(first)
    assert not LINE.fullmatch(cut)
    assert "1 messages are missing" in missing
    assert last.endswith("|EMS link to THREE is up")


@pytest.mark.parametrize("exists", [True, False])
def test_a_symlink_is_not_followed(
    log: EventLog, path: Path, tmp_path: Path, exists: bool, expect_log: ExpectedLogs
) -> None:
    """Whoever owns the log's directory could else have root write, or make, any file."""
    expect_log("cannot be written", logging.ERROR)
    path.parent.mkdir()
    elsewhere = tmp_path / "elsewhere"
    if exists:
        elsewhere.touch()
    path.symlink_to(elsewhere)
    log.write(messages.LINK_UP, now_ns=NOW, host="DEV2")
    assert elsewhere.exists() is exists
    assert not exists or elsewhere.read_bytes() == b""


def test_a_missing_field_is_reported_and_the_message_still_written(
    log: EventLog, path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log(r"message 220101 is written without \['host'\]", logging.ERROR)
    log.write(messages.LINK_UP, now_ns=NOW, hots="DEV2")
    assert lines(path)[0].endswith("|EMS link to ? is up")


def test_no_field_of_a_message_hides_behind_an_argument_of_write() -> None:
    taken = {"self", "message", "now_ns", "ip", "program"}
    assert not [message.id for message in CATALOGUE.values() if taken & set(message.fields)]


def test_the_clock_is_used_when_no_time_is_given(log: EventLog, path: Path) -> None:
    log.write(messages.LINK_UP, host="DEV2")
    assert LINE.fullmatch(lines(path)[0])
