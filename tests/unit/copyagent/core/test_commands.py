"""Commands are values: comparable, unchangeable, and all of them are in the union."""

import dataclasses
from typing import get_args

import pytest

from copyagent.core import commands
from tests.support.histories import TAPE, TARGET


def test_every_command_is_in_the_union() -> None:
    here = {
        kind
        for kind in vars(commands).values()
        if getattr(kind, "__module__", "") == commands.__name__
    }
    assert here == set(get_args(commands.Command))


def test_a_command_cannot_be_changed_on_its_way() -> None:
    command = commands.StopCopy(TAPE, TARGET, "now held")
    assert command == commands.StopCopy(TAPE, TARGET, "now held")
    with pytest.raises(dataclasses.FrozenInstanceError):
        command.why = "else"  # type: ignore[misc]  # it is the attempt that is tried
