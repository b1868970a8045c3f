"""What every terminal's `Wire` does, over Telnet and over SSH (for a file see test_printed_file)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from copyagent.access import open_wire
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.wire import Wire
from copyagent.ssh.bridge import open_bridge
from tests.support.far_ends import FarEnd, ssh_end, telnet_end

ENTER = {"telnet": b"\r\n", "ssh": b"\r"}
BREAK = {"telnet": b"\xff\xf3", "ssh": b"\x03"}


@pytest.fixture(params=["telnet", pytest.param("ssh", marks=pytest.mark.ssh)])
async def far(request: pytest.FixtureRequest, scratch: Path) -> AsyncIterator[FarEnd]:
    if request.param == "telnet":
        async with telnet_end() as end:
            yield end
    else:
        async with open_bridge(), ssh_end(scratch) as end:
            yield end


@pytest.fixture
async def wire(far: FarEnd) -> AsyncIterator[Wire]:
    opened = await open_wire(far.settings)
    assert not isinstance(opened, LinkFailure), opened
    await far.answer()
    yield opened
    await opened.close()


async def read(wire: Wire, length: int) -> str:
    """Read until *length* characters have come."""
    text = ""
    with trio.fail_after(10):
        while len(text) < length:
            piece = await wire.receive(trio.current_time() + 5)
            assert piece is not None, f"the line ended after {text!r}"
            text += piece
    return text


async def test_it_is_a_terminal_that_is_open(wire: Wire) -> None:
    assert (wire.is_terminal, wire.is_open) == (True, True)


async def test_every_byte_is_a_character_of_iso_8859_1(wire: Wire, far: FarEnd) -> None:
    text = "".join(chr(c) for c in range(1, 256) if c not in {0x0D, 0xFF})
    await far.say(text.encode("latin-1"))
    assert await read(wire, len(text)) == text


async def test_line_ends_are_line_feeds_wherever_they_are_cut(wire: Wire, far: FarEnd) -> None:
    await far.say(b"TACL 1>\0 a\r")
    assert await read(wire, 9) == "TACL 1> a"
    await far.say(b"\nb\r\nc\n")
    assert await read(wire, 5) == "\nb\nc\n"


async def test_waiting_ends_with_nothing_and_loses_nothing(wire: Wire, far: FarEnd) -> None:
    started = trio.current_time()
    assert await wire.receive(started + 0.05) == ""
    assert trio.current_time() - started < 2
    await far.say(b"a\n")
    assert await read(wire, 2) == "a\n"


async def test_a_deadline_that_has_passed_still_gives_what_is_there(
    wire: Wire, far: FarEnd
) -> None:
    await far.say(b"a\n")
    text = ""
    with trio.fail_after(10):
        while not text:
            await trio.lowlevel.checkpoint()
            text = await wire.receive(trio.current_time() + 0.01) or ""
    assert text == "a\n"


async def test_a_typed_line_arrives_with_its_end(wire: Wire, far: FarEnd) -> None:
    await wire.type_line("LOGON VTS.EMS\x1b\r\nPURGE caf\xe9 \u2603")
    enter = ENTER[far.settings.access]
    assert await far.heard(enter) == b"LOGON VTS.EMSPURGE caf\xe9 ?" + enter


async def test_what_is_typed_is_not_shown_but_by_the_host(wire: Wire, far: FarEnd) -> None:
    await wire.type_line("secret")
    await far.heard(ENTER[far.settings.access])
    assert await wire.receive(trio.current_time() + 0.1) == ""


async def test_the_break_key_arrives(wire: Wire, far: FarEnd) -> None:
    await wire.interrupt()
    key = BREAK[far.settings.access]
    assert await far.heard(key) == key


async def test_a_ping_is_nothing_that_is_typed(wire: Wire, far: FarEnd) -> None:
    await wire.ping()
    await wire.type_line("x")
    enter = ENTER[far.settings.access]
    assert (await far.heard(b"x" + enter)).replace(b"\xff\xf1", b"") == b"x" + enter


async def test_a_host_that_hangs_up_ends_the_text(wire: Wire, far: FarEnd) -> None:
    await far.say(b"LOGOUT\r\n")
    await far.hang_up()
    assert await read(wire, 7) == "LOGOUT\n"
    assert await wire.receive(trio.current_time() + 5) is None
    assert not wire.is_open
    await wire.type_line("anybody?")
    await wire.interrupt()
    await wire.ping()
    assert await wire.receive(trio.current_time() + 5) is None


async def test_after_closing_there_is_no_text(wire: Wire, far: FarEnd) -> None:
    await wire.close()
    assert not wire.is_open
    assert await wire.receive(trio.current_time() + 5) is None
    with trio.fail_after(10):
        assert await far.stream.receive_some(100) == b""
    await wire.close()


async def test_a_flood_is_not_kept_but_waits_at_the_host(wire: Wire, far: FarEnd) -> None:
    sent = 0

    async def flood() -> None:
        nonlocal sent
        line = b"x" * 99 + b"\n"
        for _ in range(400):
            await far.say(line * 1000)
            sent += 100_000

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        reached = -1
        while reached != sent:
            reached = sent
            await trio.sleep(0.1)
        assert sent < 30_000_000, "nobody reads, and still all was taken"
        length = 0
        with trio.fail_after(60):
            while length < 40_000_000:
                piece = await wire.receive(trio.current_time() + 5)
                assert piece, f"after {length}"
                assert len(piece) <= 600_000
                length += len(piece)
    assert length == sent == 40_000_000
