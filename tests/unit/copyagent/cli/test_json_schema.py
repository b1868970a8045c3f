"""``copyagent json-schema`` works for whoever has the program, and nothing else."""

import json

import pytest

from copyagent.cli.commands import copyagent
from copyagent.schemas.catalogue import DOCUMENTS
from vtsfs.runtime.exits import run_cli


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = run_cli(copyagent, program="copyagent", args=["--config", "/no/such", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_every_kind_is_listed_with_its_version_and_its_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, err = run(capsys, "json-schema")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == list(DOCUMENTS)
    assert "history 1 (one a line): history\n" in out
    assert "status 1 (one document): status\n" in out


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_schema_is_printed(capsys: pytest.CaptureFixture[str], name: str) -> None:
    status, out, err = run(capsys, "json-schema", name)
    assert (status, err) == (0, "")
    assert json.loads(out) == DOCUMENTS[name].schema()


def test_what_may_have_been_meant_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "json-schema", "statsu")
    assert (status, out) == (2, "")
    assert "did you mean status?" in err
