"""A file as a wire: waiting, waking, ending, and a file system that hangs."""

import os
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
import trio.testing

from copyagent.access import dial_of, open_wire
from copyagent.core.host_events import LinkTrouble
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.following import TRUNCATED
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.printed_file import LOOK_S, FileDial, PrintedFile
from copyagent.ems.rotation import FileTrouble
from tests.support.far_ends import link_settings
from tests.support.waiting import wait_until_async


def of_file(path: Path) -> LinkSettings:
    return link_settings(access="file", file=path, connect_timeout=0.3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ems.log"
    path.write_bytes(b"old\n")
    return path


@pytest.fixture
async def wire(path: Path) -> AsyncIterator[PrintedFile]:
    wire = await open_wire(of_file(path))
    assert isinstance(wire, PrintedFile)
    yield wire
    await wire.close()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


async def read(wire: PrintedFile) -> str | None:
    """Read until something comes, or the wire ends."""
    with trio.fail_after(10):
        while not (text := await wire.receive(trio.current_time() + 5)):
            if text is None:
                return None
    return text


@dataclass
class Script:
    """A reading that gives what it is told, and counts."""

    gives: list[bytes] = field(default_factory=list)
    gap: str = ""
    reads: int = 0
    closed: int = 0
    hangs: threading.Event | None = None

    def read(self, now: float) -> bytes:
        self.reads += 1
        if self.hangs is not None:
            self.hangs.wait(20)
        return self.gives.pop(0) if self.gives else b""

    def close(self) -> None:
        self.closed += 1


def scripted(script: Script, *, look_s: float = LOOK_S, hang_s: float = 10.0) -> PrintedFile:
    return PrintedFile(script, trio.CapacityLimiter(2), look_s=look_s, hang_s=hang_s)


async def test_what_is_printed_comes_as_text(wire: PrintedFile, path: Path) -> None:
    assert (wire.is_terminal, wire.is_open) == (False, True)
    append(path, b"caf\xe9 \xff\xfe\0\r\n")
    assert await read(wire) == "caf\xe9 \xff\xfe\n"


async def test_there_is_nobody_to_type_to(wire: PrintedFile, path: Path) -> None:
    await wire.type_line("STOP")
    await wire.interrupt()
    await wire.ping()
    assert path.read_bytes() == b"old\n"
    assert wire.is_open


async def test_a_gap_is_told_with_the_text_after_it(wire: PrintedFile, path: Path) -> None:
    append(path, b"1\n")
    assert await read(wire) == "1\n"
    path.write_bytes(b"")
    append(path, b"22\n")
    assert await read(wire) == "22\n"
    assert wire.gap == TRUNCATED


async def test_an_idle_file_is_looked_at_once_a_second() -> None:
    script = Script()
    wire = scripted(script, look_s=0.05)
    started = trio.current_time()
    while trio.current_time() < started + 0.4:
        # As the session does, whose alarms ring more often.
        assert await wire.receive(trio.current_time() + 0.01) == ""
    assert 2 <= script.reads <= 9
    await wire.close()


async def test_a_flood_is_read_without_waiting() -> None:
    script = Script([b"x\n"] * 100)
    wire = scripted(script, look_s=100.0)
    with trio.fail_after(5):
        for _ in range(100):
            assert await wire.receive(trio.current_time() + 5) == "x\n"
    await wire.close()


async def test_a_deadline_is_kept(wire: PrintedFile) -> None:
    await wire.receive(trio.current_time() + 5)
    started = trio.current_time()
    assert await wire.receive(started + 0.05) == ""
    assert trio.current_time() - started < LOOK_S / 2


async def test_closed_there_is_no_text(wire: PrintedFile, path: Path) -> None:
    append(path, b"1\n")
    await wire.close()
    assert await wire.receive(trio.current_time() + 5) is None
    await wire.close()


async def test_a_file_that_becomes_something_else_ends_it(wire: PrintedFile, path: Path) -> None:
    path.unlink()
    path.mkdir()
    assert await read(wire) is None
    assert wire.ended is not None
    assert wire.ended.trouble is LinkTrouble.FILE_UNREADABLE
    assert wire.ended.sentence("DEV2").startswith(
        f"EMS link to DEV2: file of events cannot be read ({path} is a directory"
    )
    assert not wire.is_open


async def test_a_file_system_that_goes_away_ends_it(path: Path) -> None:
    script = Script()

    def fail(now: float) -> bytes:
        raise FileTrouble(f"{path}: Input/output error")

    wire = scripted(script)
    script.read = fail  # type: ignore[method-assign]  # the file system's doing
    assert await read(wire) is None
    assert wire.ended == LinkFailure(LinkTrouble.FILE_UNREADABLE, f"{path}: Input/output error")
    assert script.closed == 1


async def test_a_file_system_that_hangs_ends_it_and_is_left_behind() -> None:
    hangs = threading.Event()
    script = Script(hangs=hangs)
    wire = scripted(script, hang_s=0.1)
    assert await read(wire) is None
    assert wire.ended is not None
    assert "did not answer within 0.1 s" in wire.ended.step
    assert script.closed == 0, "a thread reads still"
    hangs.set()
    await wait_until_async(lambda: script.closed, 5.0, "the thread lets go of it")
    assert script.closed == 1


async def test_waiting_for_what_hangs_is_cancelled_promptly() -> None:
    hangs = threading.Event()
    wire = scripted(Script(hangs=hangs))
    started = trio.current_time()
    with trio.move_on_after(0.1):
        await wire.receive(trio.current_time() + 5)
    assert trio.current_time() - started < 2
    await wire.close()
    hangs.set()


# ---- opening, time and again ----------------------------------------------------------------------


async def opened(dial: FileDial, path: Path, since: int | None = None) -> PrintedFile:
    wire = await dial(of_file(path), since)
    assert isinstance(wire, PrintedFile), wire
    return wire


async def test_without_a_file_there_is_no_link(tmp_path: Path) -> None:
    found = await open_wire(of_file(tmp_path / "ems.log"))
    assert found == LinkFailure(
        LinkTrouble.FILE_UNREADABLE, f"{tmp_path}/ems.log: No such file or directory"
    )


async def test_a_file_that_came_after_a_vain_attempt_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "ems.log"
    dial = dial_of(of_file(path))
    assert isinstance(dial, FileDial)
    assert isinstance(await dial(of_file(path), None), LinkFailure)
    path.write_bytes(b"new\n")
    wire = await opened(dial, path)
    assert await read(wire) == "new\n"
    await wire.close()
    wire = await opened(dial, path)
    append(path, b"newer\n")
    assert await read(wire) == "newer\n"
    await wire.close()


async def test_a_file_that_came_after_it_had_been_away_is_read_whole(path: Path) -> None:
    dial = FileDial()
    wire = await opened(dial, path)
    path.unlink()
    assert await read(wire) is None
    path.write_bytes(b"new\n")
    wire = await opened(dial, path)
    assert await read(wire) == "new\n"
    await wire.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up its rights, which only root can")
async def test_permission_denied_then_granted(path: Path) -> None:
    path.chmod(0)
    dial = FileDial()
    os.seteuid(65534)
    try:
        found = await dial(of_file(path), None)
        assert isinstance(found, LinkFailure)
        assert "Permission denied" in found.step
    finally:
        os.seteuid(0)
    path.chmod(0o644)
    wire = await opened(dial, path)
    append(path, b"new\n")
    assert await read(wire) == "new\n", "it was there all the time: only what is new"
    await wire.close()


async def test_it_begins_where_the_host_s_clock_says(path: Path) -> None:
    append(path, b"26-11-22 17:00:00 a\n26-11-22 17:00:01 b\n")
    wire = await opened(FileDial(), path, 1795366801)
    assert await read(wire) == "26-11-22 17:00:01 b\n"
    await wire.close()


async def test_absent_for_longer_than_a_connection_may_take_it_ends(
    wire: PrintedFile, path: Path
) -> None:
    path.unlink()
    assert await read(wire) is None
    assert wire.ended is not None
    assert "No such file" in wire.ended.step
