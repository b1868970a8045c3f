import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.ems.telnet import encode_line
from vtsfs.contract.password_file import MAX_BYTES, MAX_CHARACTERS, password_in, read_password


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"Tape.4Two", "Tape.4Two"),
        (b"Tape.4Two\n", "Tape.4Two"),
        (b"Tape.4Two\r\n", "Tape.4Two"),
        (b" with blanks \n", " with blanks "),
        ("Größe-7\n".encode(), "Größe-7"),
        (b"x" * MAX_CHARACTERS, "x" * MAX_CHARACTERS),
    ],
)
def test_what_is_a_password(content: bytes, password: str) -> None:
    assert password_in(content) == password
    # It can be typed, every character as one byte.
    assert encode_line(password) == password.encode("latin-1") + b"\r\n"


BAD = {
    b"": "is empty",
    b"\r\n\n": "is empty",
    b"Tape.4Two\nmore": "more than one line",
    b"Tape.4Two\rmore": "more than one line",
    b"Tape.\x084Two\n": "control character",
    b"Tape.4Two\x00": "control character",
    "Tape.4Two\x85\n".encode(): "control character",
    "Tape.4Two€\n".encode(): "ISO 8859-1",
    "\ufeffTape.4Two\n".encode(): "byte order mark",
    b"Tape.4Two\xfc": "not UTF-8",
    b"Tape.4Two,": "comma",
    b"Tape.4Two" * 15: "more than the 128",
    b"Tape.4Two" * MAX_BYTES: "more than the 128",
}


@pytest.mark.parametrize(("content", "reason"), BAD.items(), ids=BAD.values())
def test_what_is_none_is_told_without_quoting_it(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        password_in(content)
    assert "Tape" not in str(refused.value)
    assert refused.value.__cause__ is None


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_whatever_is_taken_can_be_typed(content: bytes) -> None:
    try:
        password = password_in(content)
    except ValueError:
        return
    assert encode_line(password)[:-2].replace(b"\xff\xff", b"\xff").decode("latin-1") == password


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read_password(tmp_path / "none")
    with pytest.raises(ValueError, match="is not a regular file"):
        read_password(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match="is not a regular file"):
        read_password(tmp_path / "fifo")
    (tmp_path / "password").write_bytes(b"Tape.4Two\n")
    assert read_password(tmp_path / "password") == "Tape.4Two"
