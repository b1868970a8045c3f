"""``copyagent fetch``: what makes no sense is refused before anything is looked at."""

from pathlib import Path

import pytest

from copyagent.cli.commands import copyagent
from vtsfs.runtime.exits import run_cli

TAPE = "/VAULT00/BILL/X00001"


@pytest.mark.parametrize(
    "args",
    [
        ["X00001"],
        [TAPE, "--replace"],
        [TAPE, "--because", "fun"],
        [TAPE, "--replace", "--because", "  "],
        [TAPE, "--replace", "--because", "disk fault", "--to", "/tmp"],
        [TAPE, "--generation", "-1"],
    ],
)
def test_what_makes_no_sense_is_refused(args: list[str], tmp_path: Path) -> None:
    words = ["--config", str(tmp_path / "none.yaml"), "fetch", *args]
    assert run_cli(copyagent, program="copyagent", args=words) == 2
