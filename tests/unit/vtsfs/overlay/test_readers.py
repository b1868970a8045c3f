from dataclasses import replace

import trio
import trio.testing

from tests.support.signal_sink import TAPE, FixedClock, Sink, identity
from vtsfs.contract.signals import Access, Kind
from vtsfs.overlay.readers import GATHERING_S, Readers
from vtsfs.overlay.reports import Reporter


def readers_and_sink() -> tuple[Readers, Sink]:
    sink = Sink()
    return Readers(Reporter("VAULT00", sink, FixedClock())), sink


async def test_a_scan_of_one_tape_is_one_report(autojump_clock: trio.testing.MockClock) -> None:
    readers, sink = readers_and_sink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(readers.hand_over_forever)
        for _ in range(1000):
            readers.released(readers.opened(TAPE, identity(1), 0, 1), TAPE, identity(1))
        assert sink.signals == []
        await trio.sleep(GATHERING_S * 2)
        nursery.cancel_scope.cancel()
    (only,) = sink.signals
    assert (only.kind, only.access, only.merged) == (Kind.DISMOUNTED, Access.READ, 999)
    assert not only.wrote


async def test_readers_side_by_side_are_one_session() -> None:
    readers, sink = readers_and_sink()
    first = readers.opened(TAPE, identity(1), 0, 1)
    second = readers.opened(TAPE, identity(1), 0, 2)
    assert first is second
    readers.released(first, TAPE, identity(1))
    readers.hand_over()
    assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED]
    assert readers.sessions()[0].pids == {1, 2}
    readers.released(second, TAPE, identity(1))
    readers.hand_over()
    assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED, Kind.DISMOUNTED]
    assert readers.sessions() == []


async def test_an_end_and_a_new_beginning_are_both_told() -> None:
    readers, sink = readers_and_sink()
    readers.released(readers.opened(TAPE, identity(1), 0, 1), TAPE, identity(1))
    readers.opened(TAPE, identity(1), 0, 1)
    readers.hand_over()
    assert [signal.kind for signal in sink.signals] == [Kind.DISMOUNTED, Kind.MOUNTED]
    readers.hand_over()
    assert len(sink.signals) == 2


async def test_a_tape_renamed_or_removed_while_it_is_read() -> None:
    readers, sink = readers_and_sink()
    other = replace(TAPE, label="X00002")
    session = readers.opened(TAPE, identity(1), 0, 1)
    readers.released(session, other, identity(1))
    readers.hand_over()
    (ended,) = sink.signals
    assert (ended.kind, ended.label, ended.identity) == (Kind.DISMOUNTED, "X00002", identity(1))
    readers.released(readers.opened(TAPE, identity(1), 0, 1), None, identity(1))
    readers.hand_over()
    gone = sink.signals[-1]
    assert (gone.label, gone.identity, gone.cause) == ("X00001", None, "removed")
