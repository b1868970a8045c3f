"""SFTP in bytes, as the draft has it; whatever a server sends is read or refused, nothing else."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.ssh import sftp_packets as packets
from copyagent.ssh.sftp_packets import Answer, Attributes, BadAnswer, Refusal


def text(raw: bytes) -> bytes:
    return struct.pack(">I", len(raw)) + raw


def status(code: int, why: bytes = b"why") -> Answer:
    return Answer(101, struct.pack(">I", code) + text(why) + text(b"en"))


READERS: list[Callable[[Answer], object]] = [
    *(packets.done, packets.handle, packets.data, packets.attributes),
    *(packets.names, packets.file_system, packets.largest),
]


def test_a_write_is_composed_as_the_draft_has_it() -> None:
    request = packets.write(b"hand", 2**40, memoryview(b"tape"))
    assert b"".join(request.pieces(7)) == (
        struct.pack(">IBI", 5 + 8 + 8 + 8, 6, 7) + text(b"hand") + struct.pack(">Q", 2**40)
    ) + text(b"tape")


def test_an_extension_says_what_it_needs() -> None:
    request = packets.copy_data(b"a", 1, 2, b"b", 3)
    assert request.needs == b"copy-data"
    assert b"".join(request.pieces(1))[9:] == (
        text(b"copy-data") + text(b"a") + struct.pack(">QQ", 1, 2) + text(b"b")
    ) + struct.pack(">Q", 3)


def test_a_greeting_lists_what_is_offered() -> None:
    offers = text(b"posix-rename@openssh.com") + text(b"1") + text(b"limits@openssh.com")
    assert packets.extensions(struct.pack(">BI", 2, 3) + offers + text(b"1")) == {
        b"posix-rename@openssh.com": b"1",
        b"limits@openssh.com": b"1",
    }


@pytest.mark.parametrize(
    "greeting", [b"", b"\x02", struct.pack(">BI", 2, 4), struct.pack(">BI", 2, 3) + b"\0\0\0\x09x"]
)
def test_another_greeting_is_no_sftp(greeting: bytes) -> None:
    with pytest.raises(BadAnswer):
        packets.extensions(greeting)


def test_attributes_are_read_as_far_as_they_are_there() -> None:
    every = struct.pack(">IQIIIII", 0xF, 5, 1, 2, 0o100640, 3, 4)
    assert packets.attributes(Answer(105, every)) == Attributes(5, 1, 2, 0o100640, 3, 4)
    assert packets.attributes(Answer(105, struct.pack(">I", 0))) == Attributes()
    more = struct.pack(">III", 0x80000004, 0o600, 1) + text(b"name") + text(b"value")
    assert packets.attributes(Answer(105, more)) == Attributes(mode=0o600)


def test_an_end_is_no_refusal_where_something_can_end() -> None:
    assert packets.data(status(1)) == b""
    assert packets.names(status(1)) == []
    with pytest.raises(Refusal):
        packets.done(status(1))


@pytest.mark.parametrize(
    ("code", "kind"),
    [(2, "missing"), (3, "denied"), (4, "silent"), (8, "unsupported"), (14, "full"), (15, "full")],
)
def test_a_refusal_says_what_it_is(code: int, kind: str) -> None:
    kinds = ["missing", "denied", "silent", "unsupported", "full", "at_end"]
    for read in READERS:
        with pytest.raises(Refusal, match=r"^why$") as refused:
            read(status(code))
        assert [one for one in kinds if getattr(refused.value, one)] == [kind]


def test_a_yes_is_no_answer_to_a_question() -> None:
    packets.done(status(0))
    for read in READERS[1:]:
        with pytest.raises(BadAnswer):
            read(status(0))


@given(st.sampled_from(READERS), st.integers(0, 255), st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_none(
    read: Callable[[Answer], object], kind: int, body: bytes
) -> None:
    try:
        read(Answer(kind, body))
    except (BadAnswer, Refusal):
        return


@given(st.sampled_from([101, 102, 103, 104, 105, 201]), st.binary(max_size=60))
def test_any_bytes_of_the_right_kind_are_an_answer_or_none(kind: int, body: bytes) -> None:
    for read in READERS:
        try:
            read(Answer(kind, body))
        except (BadAnswer, Refusal):
            continue
