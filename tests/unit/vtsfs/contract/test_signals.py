import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.contract.errors import FeedError
from vtsfs.contract.extents import MAX_RANGES, ExtentSet
from vtsfs.contract.feed import MAX_LINE
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import LATER, Access, Identity, Kind, Signal, merge

GOLDEN = Path(__file__).parents[3] / "golden"
SMALL = st.integers(0, 3)
IDENTITIES = st.builds(Identity, SMALL, SMALL, SMALL, SMALL, SMALL)
EXTENTS = st.lists(
    st.tuples(SMALL, SMALL).map(lambda r: (r[0] * 8, r[0] * 8 + r[1] + 1)), max_size=4
).map(lambda ranges: tuple(ExtentSet(ranges)))
SIGNALS = st.builds(
    Signal,
    kind=st.sampled_from(Kind),
    vault=st.just("VAULT00"),
    pool=st.just("BILL"),
    label=st.text(max_size=4),
    boot_id=st.text(max_size=3),
    wall_ns=st.integers(0, 2**63),
    mono_ns=st.integers(0, 2**63),
    identity=st.none() | IDENTITIES,
    seq=st.integers(0, 2**40),
    session=st.text(max_size=3),
    access=st.sampled_from(Access),
    opened=st.none() | IDENTITIES,
    wrote=st.booleans(),
    bytes_written=st.integers(0, 2**50),
    extents=st.none() | EXTENTS,
    synced=st.booleans(),
    merged=SMALL,
    origin=st.text(max_size=3),
    cause=st.text(max_size=3),
)


@given(SIGNALS)
def test_json_round_trip(signal: Signal) -> None:
    text = signal.to_json()
    assert "\n" not in text
    assert Signal.from_json(text) == signal
    assert Signal.from_json(text.encode()) == signal


@pytest.mark.parametrize("name", ["signal-dismounted", "signal-pool-moved"])
def test_the_encoding_of_version_1_never_changes(name: str) -> None:
    text = (GOLDEN / f"{name}.json").read_text(encoding="ascii").strip()
    assert Signal.from_json(text).to_json() == text


def test_a_newer_overlay_may_say_more() -> None:
    text = (GOLDEN / "signal-dismounted.json").read_text(encoding="ascii")
    data = json.loads(text) | {"added_later": 1}
    data["identity"]["added_later"] = 1
    assert Signal.from_json(json.dumps(data)) == Signal.from_json(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "1",
        '{"kind":"mounted"}',
        "\x00",
        '{"kind":"mounted","vault":"V"',
        b"\xff\xfe\xfd",
        pytest.param("[" * 200_000, id="endless nesting"),
    ],
)
def test_anything_else_is_a_feed_error(text: str | bytes) -> None:
    with pytest.raises(FeedError, match="not a signal"):
        Signal.from_json(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("identity", {}),
        ("identity", {"dev": 1}),
        ("extents", [[1]]),
        ("extents", [[1, 2, 3]]),
        ("extents", 5),
        ("extents", [[-4, 3]]),
        ("extents", [[5, 3]]),
        ("wall_ns", "now"),
        ("seq", None),
        ("seq", float("inf")),
    ],
)
def test_a_wrong_field_is_a_feed_error(key: str, value: object) -> None:
    data = json.loads((GOLDEN / "signal-dismounted.json").read_text(encoding="ascii"))
    with pytest.raises(FeedError):
        Signal.from_json(json.dumps(data | {key: value}))


def test_a_signal_names_its_tape_or_its_whole_pool() -> None:
    tape = Signal(Kind.CHANGED, "VAULT00", "BILL", "X1", "b", 0, 0)
    assert tape.tape == TapeId("VAULT00", "BILL", "X1")
    pool = replace(tape, label="")
    assert pool.tape is None
    assert pool.pool_id == PoolId("VAULT00", "BILL")
    assert pool.with_seq(4).seq == 4


def test_ctime_alone_changes_no_byte() -> None:
    tape = Identity(1, 2, 3, 4, 5)
    assert tape.same_bytes(replace(tape, ctime_ns=9))
    assert tape.same_bytes(replace(tape, dev=9)), "devices are renumbered by reboots"
    assert not tape.same_bytes(replace(tape, mtime_ns=9))
    assert not tape.same_bytes(replace(tape, ino=9))
    assert not tape.same_bytes(replace(tape, size=9))
    assert not tape.same_bytes(None)


@given(SIGNALS, SIGNALS)
def test_a_merged_report_forgets_nothing(earlier: Signal, later: Signal) -> None:
    both = merge(earlier, later)
    assert both.opened == earlier.opened
    assert both.identity == later.identity
    assert both.wrote == (earlier.wrote or later.wrote)
    assert both.bytes_written == earlier.bytes_written + later.bytes_written
    assert both.merged == earlier.merged + later.merged + 1
    if both.extents is not None:
        assert earlier.identity is not None
        assert earlier.identity == later.opened
        known = ExtentSet(both.extents)
        for part in (earlier.extents, later.extents):
            assert part is not None
            assert all(known.covers(start, end) for start, end in part)


@given(SIGNALS, SIGNALS, SIGNALS)
def test_merging_is_associative(a: Signal, b: Signal, c: Signal) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


def test_a_change_between_two_sessions_makes_the_extents_unknown() -> None:
    seen, other = Identity(1, 1, 1, 1, 1), Identity(1, 1, 1, 2, 2)
    first = Signal(Kind.DISMOUNTED, "V", "P", "T", "b", 0, 0, seen, extents=((0, 1),))
    second = replace(first, opened=other, identity=other)
    assert merge(first, second).extents is None
    assert merge(first, replace(second, opened=seen)).extents == ((0, 1),)


@pytest.mark.parametrize("ranges", [4096, 4097, 10_000])
def test_many_extents_are_written_as_few_are(ranges: int) -> None:
    extents = tuple((at * 10, at * 10 + 5) for at in range(ranges))
    # The label is what the pieces must not be put into.
    signal = Signal(
        Kind.CHANGED,
        "V",
        "P",
        '"extents":[]',
        "b",
        0,
        0,
        extents=extents,
        quiet_ns=1,
        companions=("c",),
    )
    data = json.loads(signal.to_json())
    assert list(data) == [field.name for field in fields(Signal)]
    assert data["extents"] == [list(pair) for pair in extents]
    assert Signal.from_json(signal.to_json()) == signal


def test_a_signal_with_all_extents_fits_into_a_line_of_the_feed() -> None:
    widest = ((2**63 - 2, 2**63 - 1),) * MAX_RANGES
    signal = Signal(Kind.DISMOUNTED, "V", "P", "T", "b", 0, 0, extents=widest)
    assert len(f'{{"signal":{signal.to_json()}}}\n') < MAX_LINE / 2


@pytest.mark.parametrize(("key", "value"), [("kind", "exploded"), ("access", "append")])
def test_a_word_that_only_a_later_release_knows_is_a_change_of_any_byte(
    key: str, value: object
) -> None:
    data = json.loads((GOLDEN / "signal-dismounted.json").read_text(encoding="ascii"))
    signal = Signal.from_json(json.dumps(data | {key: value}))
    assert (signal.kind, signal.access) == (Kind.CHANGED, Access.WRITE)
    assert (signal.extents, signal.session, signal.synced) == (None, "", False)
    assert (signal.seq, signal.label) == (data["seq"], data["label"])
    assert signal.cause.startswith(LATER)
    assert str(value) in signal.cause
