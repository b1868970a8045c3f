"""Very many tapes at rest cost next to nothing: no start, sweep, status or event looks at their records.

Nothing here measures time; `make bench ONLY=scale` does.
"""

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from copyagent.core import report
from copyagent.core.book import Book
from copyagent.core.engine import Engine
from copyagent.core.events import AgentStarted, VaultSwept
from copyagent.state.store import Store, open_store
from tests.support.example_settings import EXAMPLE, example_settings
from tests.support.histories import TARGET, Overlay
from tests.support.many_tapes import make_state, names
from tests.support.playbook import START, Playbook
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.signals import Identity

TAPES = 20_000
QUEUED = 50
POOLS = 2

#: A tape's label, its row and their place in the mapping; its record has 8,000.
BYTES_EACH = 400.0


@dataclass(slots=True)
class Known:
    """What an agent with very many tapes starts from."""

    store: Store
    settings: Settings
    found: dict[TapeId, Identity]

    def engine(self) -> Engine:
        return Engine(Book(self.settings, records=self.store.load().records))


def pools_of(settings: str) -> str:
    first, rest = settings.split("autocopy:\n")
    entries = [
        f"  - {{pool: /VAULT00/POOL{n}, target: {TARGET}, target_pool: /VAULT00/POOL{n}}}\n"
        for n in range(POOLS)
    ]
    return first + "autocopy:\n" + "".join(entries) + rest.split("\n", 1)[1]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    root = tmp_path_factory.mktemp("known")
    settings = example_settings(root, pools_of(EXAMPLE))
    found = {
        tape: Identity(1, 100 + number, 6, START.wall_ns + number, START.wall_ns)
        for number, tape in enumerate(names(TAPES, POOLS))
    }
    make_state(root / "agent.sqlite", found, QUEUED, "127.0.0.1:/far/VAULT00")
    store, _ = open_store(root / "agent.sqlite", "never")
    yield Known(store, settings, found)
    store.close()


def awake(engine: Engine) -> int:
    return len(engine.book.records.active())


def swept(known: Known, engine: Engine) -> VaultSwept:
    """What a sweep tells when every tape is as it is known."""
    same = {
        f"POOL{n}": frozenset(engine.book.records.files(PoolId("VAULT00", f"POOL{n}")))
        for n in range(POOLS)
    }
    rest = {t: file for t, file in known.found.items() if t.label not in same[t.pool]}
    return VaultSwept("VAULT00", START.mono, rest, same=same)


def test_the_start_reads_no_record_at_rest(known: Known) -> None:
    engine = known.engine()
    assert len(engine.book.records) == TAPES
    assert awake(engine) == QUEUED
    engine.handle(AgentStarted(), START)
    assert awake(engine) == QUEUED
    assert len(engine.book.dirty) <= QUEUED


def test_known_tapes_take_little_memory(known: Known) -> None:
    tracemalloc.start()
    try:
        shelf = known.store.load().records
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(shelf) == TAPES
    assert taken / TAPES < BYTES_EACH


def test_a_sweep_of_what_is_as_it_is_known_reads_no_record(known: Known) -> None:
    engine = known.engine()
    engine.handle(AgentStarted(), START)
    event = swept(known, engine)
    assert event.tapes == TAPES
    engine.handle(event, START)
    assert awake(engine) == QUEUED


def test_what_a_sweep_misses_is_found_among_the_tapes_at_rest(known: Known) -> None:
    engine = known.engine()
    engine.handle(AgentStarted(), START)
    event = swept(known, engine)
    gone = next(tape for tape in names(TAPES, POOLS) if engine.book.records.of(tape) is not None)
    same = dict(event.same) | {gone.pool: event.same[gone.pool] - {gone.label}}
    engine.handle(VaultSwept("VAULT00", START.mono, event.found, same=same), START)
    assert engine.book.records[gone].copies[TARGET].state.kind == "kept"
    assert awake(engine) == QUEUED + 1


def test_the_status_counts_them_all_and_reads_none(known: Known) -> None:
    engine = known.engine()
    engine.handle(AgentStarted(), START)
    document = report.status(engine, {}, "1", START)
    pools = document["pools"]
    assert sum(pool["tapes"] for pool in pools) == TAPES
    assert sum(pool["unprotected"] for pool in pools) == QUEUED
    assert sum(pool["states"]["copied"] for pool in pools) == TAPES - QUEUED
    assert awake(engine) == QUEUED


def test_an_event_reads_the_record_it_is_about(known: Known) -> None:
    engine = known.engine()
    play, overlay = Playbook(engine), Overlay()
    play.hand(AgentStarted())
    play.hand(overlay.hello())
    play.open.clear()
    tape = list(names(TAPES, POOLS))[-1]
    overlay.identities[tape] = known.found[tape]
    play.hand(overlay.mounted(tape))
    play.hand(overlay.dismounted(tape))
    assert awake(engine) == QUEUED + 1
