"""Companions of tapes over real files, and what is told of them."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.support.overlay_rig import ME, backing_directory, find
from tests.support.signal_sink import FixedClock, Sink
from vtsfs.contract.errors import OutboxError
from vtsfs.contract.naming import NamePatterns
from vtsfs.contract.notes import CompanionClosed, CompanionOpened
from vtsfs.contract.signals import ALL_COMPANIONS, Access, Kind, Signal
from vtsfs.overlay import store
from vtsfs.overlay.overlay import Overlay, VaultView
from vtsfs.overlay.store import Changes
from vtsfs.overlay.usage import Settling

TAPE, META = "BILL/X00001", "BILL/X00001.meta"


@pytest.fixture
def backing() -> Iterator[Path]:
    with backing_directory() as top:
        for name in (TAPE, META):
            (top / name).write_bytes(b"content")
        yield top


@asynccontextmanager
async def watching(
    backing: Path, *, sink: Sink | None = None, refuse: bool = False
) -> AsyncIterator[tuple[Overlay, Sink]]:
    sink = Sink() if sink is None else sink
    async with trio.open_nursery() as nursery:
        patterns = NamePatterns(companions={"BILL": ("{label}.*",)})
        view = VaultView("VAULT00", backing, patterns, refuse=refuse)
        overlay = Overlay(view, sink, FixedClock(), nursery)
        yield overlay, sink
    opened = [note.opening for note in sink.notes if isinstance(note, CompanionOpened)]
    closed = [note.opening for note in sink.notes if isinstance(note, CompanionClosed)]
    assert sorted(opened) == sorted(closed), "no note outlives what it is about"
    overlay.close()


async def write(overlay: Overlay, path: str, data: bytes) -> None:
    handle = await overlay.files.open(find(overlay, path), os.O_WRONLY, ME)
    if data:
        await overlay.files.write(handle, 0, data)
    overlay.files.release(handle)


def the_change(sink: Sink, name: str = "X00001.meta") -> Signal:
    (signal,) = sink.signals
    assert (signal.kind, signal.label, signal.cause) == (Kind.CHANGED, "X00001", "companion")
    assert (signal.wrote, signal.extents) == (False, ())
    assert signal.identity is not None
    assert signal.companions == (name,)
    return signal


async def test_a_companion_written_without_its_tape(backing: Path) -> None:
    async with watching(backing) as (overlay, sink):
        before = store.identity_of(os.stat(backing / META))
        handle = await overlay.files.open(find(overlay, META), os.O_WRONLY, ME)
        (noted,) = sink.notes
        assert isinstance(noted, CompanionOpened)
        assert (noted.name, noted.identity) == ("X00001.meta", before)
        await overlay.files.write(handle, 0, b"new")
        assert sink.signals == []
        overlay.files.release(handle)
    assert the_change(sink).identity == store.identity_of(os.stat(backing / TAPE))


async def test_a_companion_that_nobody_changed(backing: Path) -> None:
    async with watching(backing) as (overlay, sink):
        await write(overlay, META, b"")
        handle = await overlay.files.open(find(overlay, META), os.O_RDONLY, ME)
        overlay.files.release(handle)
    assert sink.signals == []


async def test_within_a_session_of_the_tape_it_belongs_to_the_session(backing: Path) -> None:
    async with watching(backing) as (overlay, sink):
        tape = await overlay.files.open(find(overlay, TAPE), os.O_WRONLY, ME)
        await write(overlay, META, b"new")
        pool = find(overlay, "BILL")
        created, _, _ = await overlay.files.create(pool, b"X00001.idx", 0o600, os.O_WRONLY, ME)
        overlay.files.release(created)
        with trio.fail_after(10):
            while len(sink.notes) < 4:
                await trio.lowlevel.checkpoint()
        overlay.files.release(tape)
    mounted, dismounted = sink.signals
    assert (mounted.kind, mounted.companions) == (Kind.MOUNTED, ())
    assert (dismounted.kind, dismounted.wrote) == (Kind.DISMOUNTED, False)
    assert dismounted.companions == ("X00001.idx", "X00001.meta")


async def test_a_reader_s_session_is_none_that_it_could_belong_to(backing: Path) -> None:
    async with watching(backing) as (overlay, sink):
        tape = await overlay.files.open(find(overlay, TAPE), os.O_RDONLY, ME)
        await write(overlay, META, b"new")
        overlay.files.release(tape)
    the_change(sink)


async def test_what_is_done_to_a_companion_by_name(backing: Path) -> None:
    async with watching(backing) as (overlay, sink):
        pool = find(overlay, "BILL")
        meta = find(overlay, META)

        async def tells(name: str = "X00001.meta") -> None:
            await trio.lowlevel.checkpoint()
            the_change(sink, name)
            sink.signals.clear()

        await overlay.attributes.set(meta, Changes(size=3), None, 0)
        await tells()
        await overlay.attributes.set(meta, Changes(mtime_ns=5), None, 0)
        await tells()
        await overlay.attributes.set(meta, Changes(mode=0o600), None, 0)
        assert sink.signals == []
        await overlay.names.rename((pool, b"X00001.meta"), (pool, b"stray.tmp"), 0, ME)
        await tells()
        await overlay.names.rename((pool, b"stray.tmp"), (pool, b"X00001.m2"), 0, ME)
        await tells("X00001.m2")
        await overlay.names.link(find(overlay, "BILL/X00001.m2"), pool, b"X00001.m3", ME)
        await tells("X00001.m3")
        await overlay.names.mknod(pool, b"X00001.m4", 0o100600, 0, ME)
        await tells("X00001.m4")
        await overlay.names.unlink(pool, b"X00001.m4")
        await tells("X00001.m4")
        overlay.names.mkdir(pool, b"X00001.dir", 0o700, ME)
        await overlay.names.rename((pool, b"X00001.dir"), (pool, b"X00001.d2"), 0, ME)
    assert sink.signals == []


async def test_where_there_is_no_tape_nothing_is_told(backing: Path) -> None:
    (backing / "BILL" / "X00002.meta").write_bytes(b"waits for its tape")
    (backing / "BILL" / "X00003").mkdir()
    async with watching(backing) as (overlay, sink):
        await write(overlay, "BILL/X00002.meta", b"new")
        await overlay.names.unlink(find(overlay, "BILL"), b"X00002.meta")
        await overlay.names.mknod(find(overlay, "BILL"), b"X00003.meta", 0o100600, 0, ME)
    assert sink.signals == []


async def test_what_a_peer_publishes_is_no_change_here(backing: Path) -> None:
    stage = backing / ".vts-autocopy" / "PEER"
    stage.mkdir(parents=True)
    (stage / "a.stage").write_bytes(b"published")
    async with watching(backing) as (overlay, sink):
        here = find(overlay, ".vts-autocopy/PEER")
        pool = find(overlay, "BILL")
        await overlay.names.rename((here, b"a.stage"), (pool, b"X00001.meta"), 0, ME)
    assert sink.signals == []


async def test_a_file_that_becomes_a_companion_while_it_is_written(backing: Path) -> None:
    (backing / "BILL" / "new.tmp").write_bytes(b"")
    async with watching(backing) as (overlay, sink):
        pool = find(overlay, "BILL")
        handle = await overlay.files.open(find(overlay, "BILL/new.tmp"), os.O_WRONLY, ME)
        await overlay.names.rename((pool, b"new.tmp"), (pool, b"X00001.meta"), 0, ME)
        the_change(sink)
        sink.signals.clear()
        await overlay.files.write(handle, 0, b"late")
        overlay.files.release(handle)
    the_change(sink)


async def test_a_companion_that_becomes_a_tape_while_it_is_written(backing: Path) -> None:
    async with watching(backing) as (overlay, sink):
        pool = find(overlay, "BILL")
        handle = await overlay.files.open(find(overlay, META), os.O_WRONLY, ME)
        await overlay.names.rename((pool, b"X00001.meta"), (pool, b"X00002"), 0, ME)
        await overlay.files.write(handle, 0, b"late")
        overlay.files.release(handle)
    assert [s.kind for s in sink.signals if s.label == "X00002"] == [
        Kind.MOVED,
        Kind.MOUNTED,
        Kind.DISMOUNTED,
    ]


async def test_a_site_may_have_the_open_refused(backing: Path) -> None:
    async with watching(backing, sink=Sink(failing=True), refuse=True) as (overlay, _):
        with pytest.raises(OutboxError):
            await overlay.files.open(find(overlay, META), os.O_WRONLY, ME)
        assert len(overlay.files) == 0


async def test_too_many_to_be_named(backing: Path) -> None:
    async with watching(backing) as (overlay, sink):
        tape = await overlay.files.open(find(overlay, TAPE), os.O_WRONLY, ME)
        pool = find(overlay, "BILL")
        for number in range(70):
            await overlay.names.mknod(pool, b"X00001.%d" % number, 0o100600, 0, ME)
        overlay.files.release(tape)
    assert sink.signals[-1].companions == ALL_COMPANIONS
    assert sink.signals[-1].access is Access.WRITE


async def test_a_settling_tape_that_is_cut_off_by_path_is_synced_once_more(backing: Path) -> None:
    sink = Sink()
    async with trio.open_nursery() as nursery:
        view = VaultView("VAULT00", backing, NamePatterns(), settle_s=3600.0)
        overlay = Overlay(view, sink, FixedClock(), nursery)
        await write(overlay, TAPE, b"new")
        (session,) = overlay.sessions
        with trio.fail_after(10):
            while not (isinstance(session.usage.state, Settling) and session.usage.state.synced):
                await trio.lowlevel.checkpoint()
        await overlay.attributes.set(find(overlay, TAPE), Changes(size=1), None, 0)
        state = session.usage.state
        assert isinstance(state, Settling)
        assert not state.synced
        overlay.sessions.hurry()
    overlay.close()
    assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED, Kind.DISMOUNTED]
    assert sink.signals[1].synced
