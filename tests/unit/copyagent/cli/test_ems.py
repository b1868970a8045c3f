"""The commands below ``copyagent ems``."""

import subprocess
import sys

from copyagent.cli.ems import ems

NEEDED_BY_A_LINK = {"asyncssh", "copyagent.core.engine", "copyagent.ems.session"}


def test_its_commands() -> None:
    assert sorted(ems.commands) == ["replay", "status", "test"]


def test_what_a_link_needs_is_imported_by_those_that_need_it() -> None:
    program = "import sys, copyagent.cli.commands; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert NEEDED_BY_A_LINK & set(ended.stdout.split()) == set()
