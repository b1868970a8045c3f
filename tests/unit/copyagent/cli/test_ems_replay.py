"""``copyagent ems replay``: a recorded night, and recordings that are none."""

import json
from pathlib import Path

import pytest

from copyagent.cli.commands import copyagent
from tests.support.documents import check_document
from tests.support.example_settings import EXAMPLE
from vtsfs.contract.settings import ENVIRONMENT
from vtsfs.runtime.exits import run_cli

RECORDINGS = Path(__file__).parent / "recordings"
NIGHT = ("ems", "replay", str(RECORDINGS / "night.session"))
HOSTS = (
    "ems: {hosts: {DEV2: {address: h, user: A.B, password_file: ROOT/password},"
    " PROD: {address: h, user: A.B, password_file: ROOT/password}}}"
)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings with two hosts; none of the files that they name exists."""
    path = tmp_path / "vts-autocopy.yaml"
    text = EXAMPLE.replace("ems: {required: false}", HOSTS).replace("ROOT", str(tmp_path))
    path.write_text(text, encoding="ascii")
    monkeypatch.setenv(ENVIRONMENT, str(path))
    monkeypatch.delenv("COLUMNS", raising=False)
    return path


def run(*arguments: str) -> int:
    return run_cli(copyagent, program="copyagent", args=arguments)


def test_a_recorded_night(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*NIGHT, "--host", "dev2", "--overlay", str(RECORDINGS / "night.overlay")) == 0
    shown = capsys.readouterr().out
    assert shown == (RECORDINGS / "night.shown").read_text(encoding="ascii")


def test_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    overlay = str(RECORDINGS / "night.overlay")
    assert run(*NIGHT, "--host", "DEV2", "--overlay", overlay, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    check_document("ems-replay", document)
    assert document["schema"] == 1
    assert document["other_events"] == {"MHS": 1}
    assert document["garbage"] == ["WELCOME TO DEV2"]
    verdicts = {
        s["details"]["tape"]: s["details"] for s in document["steps"] if s["what"] == "verdict"
    }
    assert verdicts["/VAULT00/BILL/X00002"]["verdict"] == "conflict"
    assert verdicts["/VAULT00/BILL/X00001"]["sessions"][0]["wrote"] is True
    assert [tape["tape"] for tape in document["tapes"]] == list(verdicts)


def test_nothing_is_left_behind(config: Path) -> None:
    assert run(*NIGHT, "--host", "DEV2", "--overlay", str(RECORDINGS / "night.overlay")) == 0
    assert list(config.parent.iterdir()) == [config]


def test_without_the_overlay_the_events_are_read_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*NIGHT, "--host", "DEV2") == 0
    assert "mount of X00001 asked for on $VTAPE0 WITH RING" in capsys.readouterr().out


def test_both_witnesses_may_stand_in_one_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*NIGHT, "--host", "DEV2", "--json") == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    lines = [json.dumps(step["details"]) for step in steps if step["what"] == "host"]
    whole = tmp_path / "case.jsonl"
    signals = (RECORDINGS / "night.overlay").read_text(encoding="ascii")
    whole.write_text("\n".join(lines) + "\n" + signals, encoding="ascii")
    assert run("ems", "replay", str(whole), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    check_document("ems-replay", document)
    verdicts = [
        step["details"]["verdict"] for step in document["steps"] if step["what"] == "verdict"
    ]
    assert verdicts == ["agreed", "conflict"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (NIGHT, "say --host HOST"),
        ((*NIGHT, "--host", "DVE2"), "did you mean DEV2?"),
        ((*NIGHT, "--host", "ELSEWHERE"), "ems.hosts of the settings names them"),
        (("ems", "replay", "/nowhere/file"), "/nowhere/file cannot be read"),
        ((*NIGHT, "--host", "DEV2", "--overlay", "/nowhere/file"), "cannot be read"),
    ],
)
def test_what_cannot_be_played(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert told in capsys.readouterr().err


def test_a_host_that_the_settings_do_not_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line: dict[str, object] = {
        "at": "1",
        "host": "GONE",
        "kind": "link up",
        "text": None,
        "fields": {},
    }
    (tmp_path / "case").write_text(json.dumps(line), encoding="ascii")
    assert run("ems", "replay", str(tmp_path / "case")) == 2
    assert "ems.hosts of the settings has no GONE" in capsys.readouterr().err
