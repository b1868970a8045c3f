import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.copying import PublishedCopy, TargetStamp
from copyagent.transfer.manifest import MAX_BYTES, Manifest, decode, encode
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity

TAPE = TapeId("VAULT00", "BILL", "X00001")
NUMBERS = st.integers(0, 2**63)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


def copies(name: st.SearchStrategy[str]) -> st.SearchStrategy[PublishedCopy]:
    return st.builds(
        PublishedCopy,
        generation=NUMBERS,
        source=st.builds(Identity, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
        size=NUMBERS,
        sha256=HEX,
        stamp=st.builds(TargetStamp, NUMBERS, NUMBERS, st.text(max_size=40)),
        verified=st.sampled_from(["size", "readback", "adopted"]),
        published_ns=NUMBERS,
        root=HEX,
        sole=st.booleans(),
        name=name,
    )


PUBLISHED = copies(st.just(""))
KEPT = copies(st.from_regex(r"BILL\.X00001\.g[0-9]+\.[0-9a-f]{16}\.kept", fullmatch=True))


def example() -> PublishedCopy:
    source = Identity(dev=1, ino=2, size=3, mtime_ns=4, ctime_ns=5)
    return PublishedCopy(1, source, 3, "ab", TargetStamp(3, 4), "command", 6, root="ef")


@given(PUBLISHED, st.lists(KEPT, max_size=3))
def test_what_was_written_is_read(copy: PublishedCopy, kept: list[PublishedCopy]) -> None:
    assert decode(TAPE, encode(TAPE, copy, kept)) == Manifest(copy, tuple(kept))


def test_as_many_generations_as_may_be_kept_are_read_back() -> None:
    longest = replace(
        example(),
        source=Identity(2**63, 2**63, 2**63, 2**63, 2**63),
        sha256="a" * 64,
        root="b" * 64,
        stamp=TargetStamp(2**63, 2**32, f"{2**63} 2026-11-22 10:11:12.123456789 +0000"),
        verified="readback of what was sent",
        published_ns=2**63,
        name=f"{'P' * 48}.{'L' * 48}.0123456789abcdef.g{2**40}.0123456789abcdef.kept",
    )
    written = encode(TAPE, example(), [longest] * 120)
    assert len(written) <= MAX_BYTES
    assert decode(TAPE, written) == Manifest(example(), (longest,) * 99)


def test_a_record_of_the_first_release_is_read() -> None:
    data = {
        "version": 1,
        "tape": str(TAPE),
        "generation": 7,
        "source": {"dev": 1, "ino": 2, "size": 3, "mtime_ns": 4, "ctime_ns": 5},
        "size": 3,
        "sha256": "ab",
        "blake3": "cd",
        "stamp": {"size": 3, "mtime": 4, "token": ""},
        "verified": "sha256",
        "published_ns": 6,
    }
    found = decode(TAPE, json.dumps(data).encode())
    assert found is not None
    assert (found.copy.generation, found.copy.root, found.copy.sole, found.kept) == (
        7,
        "",
        False,
        (),
    )


def test_a_record_is_of_one_tape() -> None:
    assert decode(TapeId("VAULT00", "BILL", "X00002"), encode(TAPE, example())) is None


@pytest.mark.parametrize("name", ["", ".", "..", "../../BILL/X00001", "/etc/passwd", ".x", "a\0b"])
def test_a_kept_file_that_would_lie_elsewhere_makes_it_no_record(name: str) -> None:
    assert decode(TAPE, encode(TAPE, example(), [replace(example(), name=name)])) is None


def test_a_published_copy_has_no_other_name() -> None:
    assert decode(TAPE, encode(TAPE, replace(example(), name="x.kept"))) is None


@given(st.binary(max_size=200))
def test_anything_else_is_no_record(data: bytes) -> None:
    assert decode(TAPE, data) is None


@pytest.mark.parametrize("key", ["version", "tape", "source", "stamp", "sha256", "size"])
@pytest.mark.parametrize("value", [None, [], {}, {"size": 1}])
def test_a_record_with_a_wrong_field_is_none(key: str, value: object) -> None:
    data = json.loads(encode(TAPE, example()))
    data[key] = value
    found = decode(TAPE, json.dumps(data).encode())
    assert found is None or found.copy.sha256 != example().sha256
    del data[key]
    assert decode(TAPE, json.dumps(data).encode()) is None


@pytest.mark.parametrize("kept", [None, 7, [None], [{"generation": 1}], "abc"])
def test_a_damaged_list_of_what_is_kept_makes_it_no_record(kept: object) -> None:
    data = json.loads(encode(TAPE, example()))
    data["kept"] = kept
    assert decode(TAPE, json.dumps(data).encode()) is None


def test_nesting_without_end_is_no_record() -> None:
    assert decode(TAPE, b"[" * 60_000) is None
