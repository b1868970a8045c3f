"""``copyagent licence`` without an agent, in a build from source; with one: tests/end_to_end."""

import json
from pathlib import Path

import pytest

from copyagent.cli.commands import copyagent
from copyagent.cli.licence import licence
from copyagent.control.licences import MAX_LICENCE
from copyagent.core.licence import Installed
from copyagent.licence.place import store_licence
from copyagent.licence.token import MAX_TEXT
from tests.support.documents import check_document
from tests.support.example_settings import EXAMPLE
from tests.support.licences import Issuer
from vtsfs.contract.settings import ENVIRONMENT, Service
from vtsfs.runtime.exits import run_cli


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vts-autocopy.yaml"
    path.write_text(EXAMPLE.replace("ROOT", str(tmp_path)))
    monkeypatch.setenv(ENVIRONMENT, str(path))
    (tmp_path / "state").mkdir()


def run(*arguments: str) -> int:
    return run_cli(copyagent, program="copyagent", args=("licence", *arguments))


def test_they_are_commands() -> None:
    assert licence in copyagent.commands.values()
    assert MAX_LICENCE == MAX_TEXT


def test_a_build_from_source_says_that_it_needs_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show") == 0
    shown = capsys.readouterr()
    assert "licence: not required: this build requires no licence" in shown.out
    assert "copies:  are made" in shown.out
    assert "what is shown is what the file says" in shown.err
    assert run("show", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    check_document("licence-show", document)
    assert (document["schema"], document["standing"], document["copying"]) == (
        1, "not required", True,
    )  # fmt: skip


def test_what_is_installed_can_be_removed_without_an_agent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state" / "licence.json"
    store_licence(path, Issuer().issue(), Installed(digest="d"), Service())
    assert run("remove", "--yes", "--because", "sold") == 0
    assert "it counts, and goes on record, at its start" in capsys.readouterr().out
    assert json.loads(path.read_text())["because"] == "sold"
    assert run("remove", "--yes", "--because", "sold", "--json") == 42
    assert "nothing to remove" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "said", "status"),
    [
        (None, "cannot be read: No such file", 2),
        (b"x" * 5000, "more than 4096 characters", 42),
        (b"\xff\xfe", "not plain text", 42),
        (Issuer().issue().encode(), "knows no issuer", 42),
        (b"", "it is no licence", 42),
    ],
)
def test_what_is_no_licence(
    data: bytes | None,
    said: str,
    status: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "licence"
    if data is not None:
        file.write_bytes(data)
    assert run("install", str(file)) == status
    assert said in capsys.readouterr().err
    assert not (tmp_path / "state" / "licence.json").exists()


@pytest.mark.parametrize("arguments", [("remove",), ("install",), ("install", "a", "b"), ()])
def test_what_says_too_little_ends_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert capsys.readouterr().err
