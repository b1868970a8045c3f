"""The encoding of version 1: files that are added to, never edited."""

from pathlib import Path

import pytest

from vtsfs.contract.feed import Hello
from vtsfs.contract.signals import Kind, Signal

HERE = Path(__file__).parent
SIGNALS = sorted(path.name for path in HERE.glob("signal-*.json"))
HELLOS = sorted(path.name for path in HERE.glob("feed-hello*.json"))


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_are_read_and_written_as_ever(name: str) -> None:
    text = (HERE / name).read_text(encoding="ascii").strip()
    assert Signal.from_json(text).to_json() == text


@pytest.mark.parametrize("name", HELLOS)
def test_hellos_are_read_and_written_as_ever(name: str) -> None:
    text = (HERE / name).read_text(encoding="ascii").strip()
    assert Hello.from_json(text).to_json() == text


def test_there_is_one_of_nearly_every_kind() -> None:
    kinds = {Signal.from_json((HERE / name).read_text(encoding="ascii")).kind for name in SIGNALS}
    assert set(Kind) - kinds == {Kind.REMOVED}
