from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.contract.errors import FeedError
from vtsfs.contract.feed import Hello
from vtsfs.contract.signals import PROTOCOL

GOLDEN = Path(__file__).parents[3] / "golden" / "feed-hello.json"


def test_the_hello_of_protocol_1_never_changes() -> None:
    text = GOLDEN.read_text(encoding="ascii").strip()
    assert Hello.from_json(text) == Hello("VAULT00", "o", 3, 9, True, "0.1.0")
    assert Hello.from_json(text).to_json() == text


def test_where_it_lies_is_said_if_it_is_known() -> None:
    hello = Hello("VAULT00", "o", 3, 9, True, "0.1.0", backing="/srv/VAULT00", device="0:40")
    assert Hello.from_json(hello.to_json()) == hello


@pytest.mark.parametrize("oldest", ["", ',"oldest":2', ',"oldest":3'])
def test_an_overlay_that_speaks_none_of_our_protocols_is_named_with_the_remedy(oldest: str) -> None:
    text = GOLDEN.read_text(encoding="ascii").replace('"protocol":1', f'"protocol":3{oldest}')
    wanted = (
        r"VAULT00 is of release 0\.1\.0 and speaks feed protocol 3, this agent 1.*attach the vault"
    )
    with pytest.raises(FeedError, match=wanted):
        Hello.from_json(text)


def test_of_the_protocols_that_both_speak_the_highest_is_taken() -> None:
    text = GOLDEN.read_text(encoding="ascii")
    later = text.replace('"protocol":1', '"protocol":3,"oldest":1,"also":"this"')
    assert Hello.from_json(later).common == PROTOCOL
    assert Hello.from_json(text).common == 1
    with pytest.raises(FeedError, match="protocol 0"):
        Hello.from_json(text.replace('"protocol":1', '"protocol":0'))


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
