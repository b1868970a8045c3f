import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.contract.key_list import MAX_BYTES, parse_key_list


@pytest.mark.parametrize(
    ("data", "key_ids"),
    [
        (b"", set()),
        (b"KEY1\nKEY2", {"KEY1", "KEY2"}),
        (b"  KEY1\t\r\n\r\nKEY1\r\n", {"KEY1"}),
        (b"# of 2026\nKEY1 # the first\n\t#KEY2\n", {"KEY1"}),
        (b"KEY#1\nTWO WORDS\n", {"KEY#1", "TWO WORDS"}),
        (b"\xef\xbb\xbfKEY1\n", {"KEY1"}),
        ("Schlüssel\n".encode(), {"Schlüssel"}),
    ],
)
def test_a_list(data: bytes, key_ids: set[str]) -> None:
    assert parse_key_list(data) == key_ids


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"KEY1\n\xff\n", "not UTF-8 at byte 5"),
        (b"KEY1\nKEY\0002\n", "control character in line 2"),
        (bytes(MAX_BYTES + 1), "larger"),
    ],
)
def test_no_list(data: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_key_list(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list_or_refused(data: bytes) -> None:
    try:
        key_ids = parse_key_list(data)
    except ValueError:
        return
    assert parse_key_list("\n".join(key_ids).encode()) <= key_ids
    assert all(key_id.isprintable() and key_id == key_id.strip() for key_id in key_ids)
