"""A host's event costs the same, however many tapes and mounts are known."""

import gc
from time import perf_counter

from copyagent.core.copying import CopyFailed
from copyagent.core.engine import Engine
from copyagent.core.events import CopyEnded
from copyagent.core.host_events import HostEvent, TapeInUse, TapeOpened
from copyagent.core.tape import Approved
from tests.support.histories import (
    HOST,
    OTHER_TARGET,
    TARGET,
    make_engine,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import START
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity

#: A search through all that is known would make an event hundreds of times as dear.
DEARER_AT_MOST = 10.0


def knowing(tapes: int, mounts: int) -> Engine:
    engine = make_engine()
    for number in range(tapes):
        record = engine.book.record(TapeId("VAULT00", "BILL", f"T{number:05}"))
        record.identity = Identity(1, number, 10, 10, 10)
    for number in range(mounts):
        engine.take(requested(f"F{number}", request=number), START)
    engine.due(START)
    return engine


def seconds(engine: Engine, events: list[HostEvent]) -> float:
    took = []
    for _ in range(3):
        began = perf_counter()
        for event in events:
            engine.take(event, START)
        took.append(perf_counter() - began)
    return min(took)


def owing(copies: int) -> Engine:
    """An engine with so many copies that are due, half of them at a target that is down."""
    engine = make_engine(targets=(TARGET, OTHER_TARGET))
    for number in range(copies):
        record = engine.book.record(TapeId("VAULT00", "BILL", f"T{number:05}"))
        record.generation, record.identity = 1, Identity(1, number, 10, 10, 10)
        engine.book.apply_all(record, Approved(1), START)
    engine.due(START)
    down = CopyFailed("refused", "x", unreachable=True)
    for tape, target in list(engine.book.running):
        if target == OTHER_TARGET:
            engine.take(CopyEnded(tape, target, down), START)
    engine.due(START)
    return engine


def test_deciding_what_starts_is_no_search_either() -> None:
    took = []
    for copies in (100, 10_000):
        engine, now, seconds = owing(copies), START, []
        gc.collect()
        gc.disable()
        try:
            for number in range(60):
                now = now.after(0.001)
                tape, target = next(iter(engine.book.running))
                began = perf_counter()
                if number % 3 == 0:
                    engine.take(CopyEnded(tape, target, CopyFailed("full", "x")), now)
                engine.due(now)
                engine.next_wakeup()
                seconds.append(perf_counter() - began)
        finally:
            gc.enable()
        took.append(sorted(seconds)[len(seconds) // 2])
    assert took[1] < DEARER_AT_MOST * took[0]


def test_no_event_is_answered_with_a_search() -> None:
    events: list[HostEvent] = []
    for number in range(100):
        for name in (f"T{number:05}", f"S{number}"):
            use = [TapeOpened(HOST, name, "$T"), TapeInUse(HOST, name, "$T", "0,1")]
            events += [requested(name, request=number), volume_mounted(name, request=number), *use]
        events.append(tape_dismounted(f"S{number}"))
    gc.collect()
    gc.disable()
    try:
        few, many = knowing(100, 100), knowing(10_000, 9_000)
        assert seconds(many, events) < DEARER_AT_MOST * seconds(few, events)
    finally:
        gc.enable()
