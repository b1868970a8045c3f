"""The warnings and errors a test says it will cause; every other one fails it."""

import logging
import re
from collections.abc import Iterable


class ExpectedLogs:
    """What the fixture ``expect_log`` gives: call it once per expected message."""

    def __init__(self) -> None:
        self._expected: list[tuple[re.Pattern[str], int]] = []

    def __call__(self, pattern: str, level: int = logging.WARNING) -> None:
        """Expect one record or more whose text matches *pattern*, at exactly *level*."""
        self._expected.append((re.compile(pattern), level))

    def complaints(self, records: Iterable[logging.LogRecord]) -> list[str]:
        """List the records nobody expected and the expectations nothing fulfilled."""
        unfulfilled = dict.fromkeys(self._expected)
        found: list[str] = []
        for record in records:
            text = record.getMessage()
            if not _can_be_written(text):
                found.append(f"logged what is no UTF-8: {record.name}: {text!a}")
            matching = [
                (pattern, level)
                for pattern, level in self._expected
                if record.levelno == level and pattern.search(text)
            ]
            for expectation in matching:
                unfulfilled.pop(expectation, None)
            if not matching and record.levelno >= logging.WARNING:
                found.append(f"logged without expect_log: {record.levelname} {record.name}: {text}")
        found.extend(
            f"expected by expect_log, never logged: {logging.getLevelName(level)} {pattern.pattern}"
            for pattern, level in unfulfilled
        )
        return found


def _can_be_written(text: str) -> bool:
    """Tell whether a journal can hold *text*: what a peer sends can have half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
