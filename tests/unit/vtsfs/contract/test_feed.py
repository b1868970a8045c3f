from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.contract.errors import FeedError
from vtsfs.contract.feed import Hello

GOLDEN = Path(__file__).parents[3] / "golden" / "feed-hello.json"


def test_the_hello_of_protocol_1_never_changes() -> None:
    text = GOLDEN.read_text(encoding="ascii").strip()
    assert Hello.from_json(text) == Hello("VAULT00", "o", 3, 9, True, "0.1.0")
    assert Hello.from_json(text).to_json() == text


def test_where_it_lies_is_said_if_it_is_known() -> None:
    hello = Hello("VAULT00", "o", 3, 9, True, "0.1.0", backing="/srv/VAULT00", device="0:40")
    assert Hello.from_json(hello.to_json()) == hello


def test_another_protocol_is_named_with_its_remedy() -> None:
    text = GOLDEN.read_text(encoding="ascii").replace('"protocol":1', '"protocol":2')
    with pytest.raises(FeedError, match=r"VAULT00 speaks feed protocol 2.*same release"):
        Hello.from_json(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"hello":null}',
        '{"hello":{"vault":"V"}}',
        "7",
        pytest.param("[" * 200_000, id="nested"),
    ],
)
def test_no_hello(text: str) -> None:
    with pytest.raises(FeedError, match="not a feed hello"):
        Hello.from_json(text)


@given(st.binary())
def test_garbage_is_a_feed_error(garbage: bytes) -> None:
    with pytest.raises(FeedError):
        Hello.from_json(garbage)
