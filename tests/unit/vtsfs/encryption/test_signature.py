import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.contract.settings_encryption import KeyIdField, Signature
from vtsfs.encryption.signature import (
    Piece,
    comparable_key_id,
    decoded_key_id,
    key_id_in,
    magic_in,
)


def field(encoding: str, length: int = 8) -> KeyIdField:
    return KeyIdField.model_validate({"offset": 16, "length": length, "encoding": encoding})


def signature(offset: int, key_offset: int, relative_to: str = "magic") -> Signature:
    key_id = {"offset": key_offset, "length": 8, "relative_to": relative_to}
    return Signature.model_validate({"magic": "SVTS", "offset": offset, "key_id": key_id})


@pytest.mark.parametrize(
    ("known_by", "size", "magic", "key_id"),
    [
        (signature(0, 4), 0, None, None),
        (signature(0, 4), 3, None, None),
        (signature(0, 4), 4, Piece(0, 4), None),
        (signature(0, 4), 11, Piece(0, 4), None),
        (signature(0, 4), 12, Piece(0, 4), Piece(4, 8)),
        (signature(100, -8), 104, Piece(100, 4), Piece(92, 8)),
        (signature(-12, 4), 11, None, None),
        (signature(-12, 4), 12, Piece(0, 4), Piece(4, 8)),
        (signature(-12, 4), 1 << 42, Piece((1 << 42) - 12, 4), Piece((1 << 42) - 8, 8)),
        (signature(-4, -8), 4, Piece(0, 4), None),
        (signature(0, -8, "file"), 100, Piece(0, 4), Piece(92, 8)),
        (signature(-4, 0, "file"), 100, Piece(96, 4), Piece(0, 8)),
        (signature(-4, 0, "file"), 7, Piece(3, 4), None),
    ],
)
def test_where_to_look(
    known_by: Signature, size: int, magic: Piece | None, key_id: Piece | None
) -> None:
    assert magic_in(known_by, size) == magic
    assert key_id_in(known_by, size) == key_id


@given(
    st.integers(0, 40),
    st.integers(-60, 60),
    st.sampled_from(["magic", "file"]),
    st.integers(0, 200),
)
def test_nothing_is_looked_for_outside_the_file(
    offset: int, key_offset: int, relative_to: str, size: int
) -> None:
    try:
        known_by = signature(offset, key_offset, relative_to)
    except ValueError:
        return
    for piece in (magic_in(known_by, size), key_id_in(known_by, size)):
        assert piece is None or 0 <= piece.offset <= piece.offset + piece.length <= size


@pytest.mark.parametrize(
    ("encoding", "stored", "key_id"),
    [
        ("text", b"KEY1\0\0\0\0", "KEY1"),
        ("text", b"KEY1    ", "KEY1"),
        ("text", b"\0 KEY 1 \0", "KEY 1"),
        ("text", "Schlüss".encode(), "Schlüss"),
        ("text", bytes(8), None),
        ("text", b"        ", None),
        ("text", b"\xff\xfe\xfd", None),
        ("text", b"KEY\n1", None),
        ("hex", b"\x0a\xbc\0\0", "0abc0000"),
        ("integer", b"\0\0\x01\x02", "258"),
        ("integer-le", b"\x02\x01\0\0", "258"),
        ("integer", b"\0\0", "0"),
    ],
)
def test_a_key_id_is_written_as_people_do(encoding: str, stored: bytes, key_id: str | None) -> None:
    assert decoded_key_id(field(encoding, len(stored)), stored) == key_id


@pytest.mark.parametrize(
    ("encoding", "written", "comparable"),
    [
        ("text", "Key1", "Key1"),
        ("hex", "0x0ABC", "0abc"),
        ("hex", "0ABC", "0abc"),
        ("integer", "00258", "258"),
        ("integer-le", "000", "0"),
        ("integer", "0", "0"),
    ],
)
def test_a_key_id_of_a_list_may_be_written_otherwise(
    encoding: str, written: str, comparable: str
) -> None:
    assert comparable_key_id(field(encoding), written) == comparable


@given(st.sampled_from(["hex", "integer", "integer-le", "text"]), st.binary(min_size=1, max_size=9))
def test_what_is_shown_can_be_put_into_the_list(encoding: str, stored: bytes) -> None:
    shown = decoded_key_id(field(encoding, len(stored)), stored)
    if shown is not None:
        assert comparable_key_id(field(encoding, len(stored)), shown) == shown
