"""``copyagent support-bundle``: what is in it without an agent, and with settings that are wrong."""

import json
import os
import tarfile
from pathlib import Path

import pytest

from copyagent.cli.commands import copyagent
from copyagent.cli.support_parts import redacted_settings, secrets_of, tail
from copyagent.cli.support_run import NEVER
from tests.support.documents import check_document
from tests.support.example_settings import EXAMPLE
from vtsfs.contract.errors import StateError
from vtsfs.contract.settings import parse_settings
from vtsfs.runtime.exits import run_cli

HOST = """ems:
  hosts:
    DEV2:
      address: dev2.example.com
      user: VTS.EMS
      password_file: ROOT/password  # the old one was s3cret-Old
"""
WITH_HOST = EXAMPLE.replace("ems: {required: false}\n", HOST)
HOOK = "notify: {on: [error], run: [/usr/bin/hook, --token, hook-t0ken-value]}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "vts-autocopy.yaml"
    path.write_text(WITH_HOST.replace("ROOT", str(tmp_path)))
    (tmp_path / "password").write_text("s3cret-Pass\n")
    (tmp_path / "key").write_text("-----BEGIN KEY-----\nAAAAkey-material-line\n-----END-----\n")
    return path


def bundle(config: Path, *more: str) -> tuple[int, dict[str, str]]:
    output = config.parent / "bundle.tar.gz"
    words = ["--config", str(config), "support-bundle", "--output", str(output), *more]
    status = run_cli(copyagent, program="copyagent", args=words)
    found = {}
    with tarfile.open(output) as tar:
        for entry in tar.getmembers():
            content = tar.extractfile(entry)
            assert content is not None
            found[entry.name.partition("/")[2]] = content.read().decode()
    return status, found


def test_without_an_agent(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "event.log").write_text("a line with s3cret-Pass and AAAAkey-material-line\n")
    status, found = bundle(config, "--json")
    assert status == 0
    document = json.loads(capsys.readouterr().out)
    check_document("support-bundle", document)
    assert document["schema"] == 1
    assert document["file"] == str(config.parent / "bundle.tar.gz")
    assert {"versions.json", "settings.yaml", "check.txt", "event.log", "files.jsonl"} <= set(found)
    left_out = {one["name"]: one["why"] for one in document["left_out"]}
    assert "no agent answers" in left_out["status.json"]
    assert {name for name, _ in NEVER} <= set(left_out)
    assert found["event.log"] == "a line with (taken out) and (taken out)\n"
    everything = "".join(found.values())
    for secret in ("s3cret", "key-material", "old one"):
        assert secret not in everything
    assert json.loads(found["versions.json"])["libraries"]["trio"]
    assert "address: dev2.example.com" in found["settings.yaml"]


def test_the_last_known_state_is_put_in(config: Path) -> None:
    (config.parent / "state").mkdir()
    snapshot = config.parent / "state" / "status.json"
    snapshot.write_text(json.dumps({"at": "2026-01-01T00:00:00Z", "pools": []}))
    _, found = bundle(config)
    status = json.loads(found["status.json"])
    assert status["at"] == "2026-01-01T00:00:00Z"
    assert "no agent answers" in status["stale"]
    listed = [json.loads(line) for line in found["files.jsonl"].splitlines()]
    assert any(one["path"] == str(snapshot) and one["mode"] == "-rw-r--r--" for one in listed)


def test_with_settings_that_are_wrong(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text() + "surprise: 1\n")
    status, found = bundle(config)
    assert status == 0
    assert "surprise: no such setting" in found["check.txt"]
    assert "surprise: 1" in found["settings.yaml"]
    assert "event.log" not in found
    out = capsys.readouterr().out
    assert "left out: event.log: FileNotFoundError" in out
    assert "see its MANIFEST.txt before it is sent" in out


@pytest.mark.parametrize("text", ["a: [", "- 1\n", ""])
def test_with_settings_of_which_nothing_can_be_made(config: Path, text: str) -> None:
    config.write_text(text + "# password: s3cret-Pass\n")
    _, found = bundle(config)
    assert "s3cret" not in "".join(found.values())
    assert "versions.json" in found
    assert "the settings cannot be read" in found["MANIFEST.txt"]


def test_without_settings(tmp_path: Path) -> None:
    status, found = bundle(tmp_path / "none.yaml")
    assert status == 0
    assert "cannot be read" in found["check.txt"]


def test_a_file_that_is_there_is_left_alone(config: Path) -> None:
    bundle(config)
    before = (config.parent / "bundle.tar.gz").read_bytes()
    words = ["--config", str(config), "support-bundle"]
    output = str(config.parent / "bundle.tar.gz")
    assert run_cli(copyagent, program="copyagent", args=[*words, "--output", output]) == 2
    assert (config.parent / "bundle.tar.gz").read_bytes() == before


def test_it_is_made_where_one_is_unless_told_otherwise(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (config.parent / "here").mkdir()
    monkeypatch.chdir(config.parent / "here")
    words = ["--config", str(config), "support-bundle"]
    assert run_cli(copyagent, program="copyagent", args=words) == 0
    (name,) = os.listdir(config.parent / "here")
    assert name.startswith("vts-autocopy-support-TAPESRV1-2")
    assert name.endswith("Z.tar.gz")


def test_what_counts_as_secret(config: Path) -> None:
    text = config.read_text() + "x: {api_key: 'k3y-value', url: 'https://u:pw@h/'}\n" + HOOK
    settings = parse_settings(config.read_text(), "x")
    found = set(secrets_of(settings, text))
    assert {"s3cret-Pass", "AAAAkey-material-line", "k3y-value"} <= found
    shown = redacted_settings(text)
    assert not any(word in shown for word in ("k3y-value", "u:pw", "hook-t0ken-value", "s3cret"))
    with pytest.raises(StateError, match="no YAML"):
        redacted_settings("a: [")
    assert set(secrets_of(None, "a: [")) == set()


def test_the_end_of_a_file_begins_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\nsecond\nthird\n")
    assert tail(path, 1000) == b"first\nsecond\nthird\n"
    assert tail(path, 10) == b"third\n"
