"""The archive for helpers: whole, private, and without what must not be told."""

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from copyagent.cli.support_archive import (
    MANIFEST,
    MOST_BYTES,
    TAKEN_OUT,
    Archive,
    as_secrets,
)
from vtsfs.contract.errors import StateError, UsageError

AT = 1_767_225_600


def archive(*secrets: str) -> Archive:
    return Archive("bundle", AT, as_secrets(secrets))


def fails() -> str:
    raise StateError("the state cannot be read: s3cret-Pass")


def read(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {
            entry.name: found.read()
            for entry in tar.getmembers()
            if (found := tar.extractfile(entry)) is not None
        }


def test_every_kind_of_part_and_the_manifest(tmp_path: Path) -> None:
    made = archive()
    made.add("text.txt", "a text", lambda: "text\n")
    made.add("document.json", "a document", lambda: {"a": 1})
    made.add("lines.jsonl", "lines", lambda: [{"a": 1}, {"b": "\udcff"}])
    made.add("bytes.log", "bytes", lambda: b"\xff\n")
    made.add("missing.json", "fails", fails)
    made.leave_out("keys", "nobody needs them")
    path = tmp_path / "bundle.tar.gz"
    made.write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = read(path)
    assert list(found) == [
        f"bundle/{name}"
        for name in (MANIFEST, "text.txt", "document.json", "lines.jsonl", "bytes.log")
    ]
    assert found["bundle/document.json"] == b'{\n "a": 1\n}\n'
    assert found["bundle/lines.jsonl"] == b'{"a": 1}\n{"b": "\\udcff"}\n'
    manifest = found[f"bundle/{MANIFEST}"].decode()
    assert "text.txt\n    a text\n    5 bytes, sha256 " in manifest
    assert "missing.json\n    StateError: the state cannot be read" in manifest
    assert "keys\n    nobody needs them" in manifest


def test_no_secret_comes_through_in_whatever_form() -> None:
    made = archive('s3cret-"Pass"', "pässwort\n")
    made.add("a", "", lambda: 'told: s3cret-"Pass", pässwort')
    made.add("b", "", lambda: [{"told": 's3cret-"Pass"', "again": "pässwort"}])
    made.add("c", "", lambda: b'bytes s3cret-"Pass"')
    archive_of_pass = archive("s3cret-Pass")
    archive_of_pass.add("d", "", fails)
    for part in made.parts:
        assert b"s3cret" not in part.data
        assert "pässwort".encode() not in part.data
        assert b"p\\u00e4sswort" not in part.data
        assert TAKEN_OUT.encode() in part.data
    assert "s3cret" not in archive_of_pass.manifest()


def test_what_is_too_short_is_no_secret_and_longer_ones_come_first() -> None:
    assert as_secrets(["", "abc", " abcd ", "abcdef", "abcd"]) == ("abcdef", "abcd")


def test_of_what_is_too_long_the_end_is_kept() -> None:
    made = archive()
    made.add("event.log", "", lambda: b"x" * 100 + b"y" * MOST_BYTES)
    assert made.parts[0].data == b"y" * MOST_BYTES
    assert made.left_out == [("event.log", "its first 100 bytes: too long")]


def test_nothing_is_overwritten_and_nothing_half_is_left(tmp_path: Path) -> None:
    path = tmp_path / "there.tar.gz"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is there already"):
        archive().write(path)
    assert path.read_bytes() == b"mine"
    with pytest.raises(UsageError, match="cannot be made"):
        archive().write(tmp_path / "none" / "new.tar.gz")
    broken = archive()
    broken.left_out = None  # type: ignore[assignment]  # whatever may fail while it is written
    with pytest.raises(TypeError):
        broken.write(tmp_path / "new.tar.gz")
    assert os.listdir(tmp_path) == ["there.tar.gz"]


def test_nothing_of_this_machine_is_in_its_heads(tmp_path: Path) -> None:
    made = archive()
    made.add("text.txt", "", lambda: "text")
    path = tmp_path / "bundle.tar.gz"
    made.write(path)
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as tar:
        assert {(e.uid, e.gid, e.uname, e.gname, e.mode, e.mtime) for e in tar.getmembers()} == {
            (0, 0, "", "", 0o600, AT)
        }
    assert path.name.encode() not in path.read_bytes()[:64]
