import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.ems.plain_text import LineEnds, typed


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a\r\nb", b"a\nb"),
        (b"a\r\0b", b"a\rb"),
        (b"a\nb", b"a\nb"),
        (b"a\r\r\nb", b"a\r\nb"),
        (b"\0a\0", b"a"),
    ],
)
def test_line_ends_become_line_feeds(raw: bytes, text: bytes) -> None:
    assert LineEnds().feed(raw) == text


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\0", b"a", b"\xff"]), max_size=30), st.data())
def test_where_the_stream_is_cut_makes_no_difference(
    atoms: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(atoms)
    cut = data.draw(st.integers(0, len(stream)))
    whole, cut_up = LineEnds(), LineEnds()
    assert whole.feed(stream) == cut_up.feed(stream[:cut]) + cut_up.feed(stream[cut:])


@given(st.text())
def test_a_typed_line_is_one_line_of_bytes(line: str) -> None:
    data = typed(line)
    assert not set(data) & (set(range(0x20)) | {0x7F})
    assert len(data) <= len(line)
