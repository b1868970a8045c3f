"""What is the file's own; what every key server does is in ``tests/conformance``."""

import os
from pathlib import Path

import pytest

from vtsfs.encryption.key_servers import FileKeyServer, KeyServerFailed


def test_ids_are_compared_in_one_form(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"0A0B\n")
    assert FileKeyServer(tmp_path / "keys", str.lower).has_key("0a0b")
    assert not FileKeyServer(tmp_path / "keys").has_key("0a0b")


@pytest.mark.parametrize("content", [b"KEY1\n\xff", b"a\x01b"])
def test_a_malformed_list_is_no_answer(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(KeyServerFailed, match=rf"^{tmp_path}/keys (is|has)"):
        FileKeyServer(tmp_path / "keys").has_key("KEY1")


def test_what_is_no_file_is_no_answer_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", ".", "missing"):
        with pytest.raises(KeyServerFailed, match=r"regular file|cannot be read"):
            FileKeyServer(tmp_path / name).has_key("KEY1")


def test_changes_in_quick_succession_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    server = FileKeyServer(path)
    for number in range(200):
        path.write_bytes(b"K%03d\n" % number)
        assert server.has_key(f"K{number:03d}")
        assert not server.has_key(f"K{number - 1:03d}")


def test_a_file_that_stays_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"KEY1\n")
    asked: list[str] = []

    def comparable(key_id: str) -> str:
        asked.append(key_id)
        return key_id

    server = FileKeyServer(path, comparable, now_ns=lambda: path.stat().st_ctime_ns + 3 * 10**9)
    assert [server.has_key("KEY1") for _ in range(3)] == [True] * 3
    assert asked == ["KEY1"]
    path.write_bytes(b"KEY2\n")
    assert server.has_key("KEY2")
    assert asked == ["KEY1", "KEY2"]
