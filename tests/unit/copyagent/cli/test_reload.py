"""What people are told of a reload."""

from typing import Any

import pytest

from copyagent.cli.reload import lines_of

PLAIN = {"key": "retry.attempts", "old": 12, "new": 6, "takes_effect": "at once"}
LATER = {"key": "system.model", "old": "VTS", "new": "X", "takes_effect": "restart, and attach"}


@pytest.mark.parametrize(
    ("result", "changes", "waiting", "told"),
    [
        ("dry run", [], [], "no setting differs from those in force; nothing would change"),
        ("dry run", [PLAIN], [], "not in force; this only tells what it would mean"),
        ("unchanged", [], [], "in force already; nothing was to be done"),
        ("applied", [PLAIN], [], "in force now"),
        ("applied", [PLAIN, LATER], ["system.model"],
         "in force now, but for what waits until the agent is started again"),
        ("applied", [LATER], ["system.model"],
         "read; all that has changed waits until the agent is started again"),
        ("applied", [], ["system.model"],
         "in force now, but for what waits until the agent is started again"),
    ],
)  # fmt: skip
def test_the_first_line_says_what_came_of_it(
    result: str, changes: list[dict[str, Any]], waiting: list[str], told: str
) -> None:
    document = {
        "file": "/etc/a.yaml",
        "result": result,
        "changes": changes,
        "consequences": [],
        "waiting": waiting,
        "begun_anew": [],
    }
    lines = list(lines_of(document))
    assert lines[0] == f"/etc/a.yaml: {told}"
    assert len(lines) == 1 + len(changes)
