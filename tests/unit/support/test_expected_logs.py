import logging

from tests.support.expected_logs import ExpectedLogs


def record(level: int, text: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("vtsfs.outbox", level, __file__, 1, text, arguments, None)


def test_what_is_below_a_warning_is_nobodys_business() -> None:
    assert ExpectedLogs().complaints([record(logging.INFO, "attached")]) == []


def test_a_warning_nobody_expected_is_a_complaint() -> None:
    complaints = ExpectedLogs().complaints([record(logging.WARNING, "commit took %d s", 3)])
    assert complaints == ["logged without expect_log: WARNING vtsfs.outbox: commit took 3 s"]


def test_an_expected_warning_is_none_however_often_it_comes() -> None:
    expect_log = ExpectedLogs()
    expect_log(r"took \d s")
    assert expect_log.complaints([record(logging.WARNING, "commit took 3 s")] * 2) == []


def test_an_error_is_not_the_warning_that_was_expected() -> None:
    expect_log = ExpectedLogs()
    expect_log("disk full", logging.WARNING)
    assert expect_log.complaints([record(logging.ERROR, "disk full")]) == [
        "logged without expect_log: ERROR vtsfs.outbox: disk full",
        "expected by expect_log, never logged: WARNING disk full",
    ]


def test_an_expectation_that_nothing_fulfils_is_a_complaint() -> None:
    expect_log = ExpectedLogs()
    expect_log("disk full", logging.CRITICAL)
    assert expect_log.complaints([]) == ["expected by expect_log, never logged: CRITICAL disk full"]
