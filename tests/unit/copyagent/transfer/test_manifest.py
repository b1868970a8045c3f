import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.copying import PublishedCopy, TargetStamp
from copyagent.transfer.manifest import MAX_BYTES, decode, encode
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity

TAPE = TapeId("VAULT00", "BILL", "X00001")
NUMBERS = st.integers(0, 2**63)
COPIES = st.builds(
    PublishedCopy,
    generation=NUMBERS,
    source=st.builds(Identity, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    size=NUMBERS,
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    blake3=st.text("0123456789abcdef", min_size=64, max_size=64),
    stamp=st.builds(TargetStamp, NUMBERS, NUMBERS, st.text(max_size=40)),
    verified=st.sampled_from(["command", "read-back", "adopted"]),
    published_ns=NUMBERS,
)


def example() -> PublishedCopy:
    source = Identity(dev=1, ino=2, size=3, mtime_ns=4, ctime_ns=5)
    return PublishedCopy(1, source, 3, "ab", "cd", TargetStamp(3, 4), "command", 6)


@given(COPIES)
def test_what_was_written_is_read(copy: PublishedCopy) -> None:
    written = encode(TAPE, copy)
    assert len(written) < MAX_BYTES
    assert decode(TAPE, written) == copy


def test_a_record_is_of_one_tape() -> None:
    assert decode(TapeId("VAULT00", "BILL", "X00002"), encode(TAPE, example())) is None


@given(st.binary(max_size=200))
def test_anything_else_is_no_record(data: bytes) -> None:
    assert decode(TAPE, data) is None


@pytest.mark.parametrize("key", ["version", "tape", "source", "stamp", "sha256", "size"])
@pytest.mark.parametrize("value", [None, [], {}, {"size": 1}])
def test_a_record_with_a_wrong_field_is_none(key: str, value: object) -> None:
    data = json.loads(encode(TAPE, example()))
    data[key] = value
    found = decode(TAPE, json.dumps(data).encode())
    assert found is None or found.sha256 != example().sha256
    del data[key]
    assert decode(TAPE, json.dumps(data).encode()) is None


def test_nesting_without_end_is_no_record() -> None:
    assert decode(TAPE, b"[" * 60_000) is None
