"""Where records at rest lie: the agent's state, and what stands for it in tests, behave alike."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from copyagent.core.records import TapeRecord
from copyagent.core.shelf import Drawer
from copyagent.state.shelving import RecordDrawer
from copyagent.state.store import Changes, open_store
from tests.support.drawers import TextDrawer
from tests.support.histories import SECOND, TAPE
from tests.support.many_tapes import lived_in


class Filled(Protocol):
    """A drawer into which records can be put."""

    @property
    def drawer(self) -> Drawer:
        """Where they lie."""

    def put(self, record: TapeRecord) -> None:
        """Save *record*."""


class InState:
    def __init__(self, directory: Path) -> None:
        self.store, _ = open_store(directory / "agent.sqlite", "never")
        self.drawer = RecordDrawer(directory / "agent.sqlite")

    def put(self, record: TapeRecord) -> None:
        changes = Changes()
        changes.put_record(record)
        self.store.commit(changes)

    def close(self) -> None:
        self.drawer.close()
        self.store.close()


class InTexts:
    def __init__(self, _directory: Path) -> None:
        self.drawer = TextDrawer()

    def put(self, record: TapeRecord) -> None:
        self.drawer.texts[record.tape] = self.drawer.text(record)

    def close(self) -> None:
        pass


@pytest.fixture(params=[InState, InTexts])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Filled]:
    kind: Callable[[Path], InState | InTexts] = request.param
    made = kind(tmp_path)
    yield made
    made.close()


def test_a_record_is_read_as_it_was_saved(filled: Filled) -> None:
    record = lived_in()
    filled.put(record)
    assert filled.drawer.fetch(TAPE) == record
    assert filled.drawer.fetch(TAPE) is not record


def test_what_was_saved_last_is_read(filled: Filled) -> None:
    record = lived_in()
    filled.put(record)
    assert filled.drawer.fetch(TAPE).generation == record.generation
    record.generation += 1
    filled.put(record)
    assert filled.drawer.fetch(TAPE).generation == record.generation


def test_a_record_is_held_as_long_as_it_is_what_was_saved(filled: Filled) -> None:
    record = lived_in()
    assert not filled.drawer.holds(record)
    filled.put(record)
    assert filled.drawer.holds(record)
    assert filled.drawer.holds(filled.drawer.fetch(TAPE))
    record.note(5, "something else")
    assert not filled.drawer.holds(record)
    record.tape = SECOND
    assert not filled.drawer.holds(record)
