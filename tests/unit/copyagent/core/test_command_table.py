"""The table of commands is what the commands do: each is carried out on a copy in each state."""

import pytest

from copyagent.core.command_table import (
    COMMANDS,
    EFFECTS,
    MEANINGS,
    OF_MANY,
    Effect,
    commands_for,
    row_of,
)
from copyagent.core.records import CopyRecord, OperatorHold
from copyagent.core.shown_states import REASONS, Word
from copyagent.core.tape import Copied, State
from tests.support import command_rows, transition_rows

EVERY = list(command_rows.every_state())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_cell_is_what_the_command_does_to_a_copy_in_that_state(command: str) -> None:
    for state, hold in EVERY:
        row = row_of(CopyRecord(state, hold=hold))
        assert EFFECTS[row][command] is command_rows.effect(command, state, hold), (row, command)


def test_the_table_has_every_state_every_reason_and_every_letter() -> None:
    assert {type(state) for state, _ in EVERY} == set(transition_rows.STATES)
    assert list(EFFECTS) == [row_of(CopyRecord(state, hold=hold)) for state, hold in EVERY]
    for reason in REASONS[Word.HELD]:
        assert f"held ({reason})" in EFFECTS
    assert {effect for row in EFFECTS.values() for effect in row.values()} == set(MEANINGS)


@pytest.mark.parametrize(("state", "hold"), EVERY, ids=lambda value: getattr(value, "kind", ""))
def test_what_is_offered_for_a_copy_works(state: State, hold: OperatorHold | None) -> None:
    offered = commands_for(CopyRecord(state, hold=hold))
    for command in offered:
        assert command not in OF_MANY
        done = command_rows.effect(command, state, hold)
        assert done not in (Effect.NOTHING, Effect.REFUSED)


def test_what_is_copied_can_be_kept_back_and_rolled_back() -> None:
    assert commands_for(CopyRecord(Copied(1, 5))) == ["sync TAPE", "hold", "rollback"]


def test_the_module_holds_the_table_as_it_is() -> None:
    assert command_rows.as_code(EFFECTS) in command_rows.CODE.read_text(encoding="utf-8")
