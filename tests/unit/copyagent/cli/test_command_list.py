"""Help says of each command what it does, to the end of the sentence."""

import click
import pytest
from click.testing import CliRunner

from copyagent.cli.command_list import CommandList
from copyagent.cli.commands import copyagent


@pytest.mark.parametrize("words", [[], ["ems"], ["keys"], ["licence"], ["config"]])
def test_no_sentence_is_cut(words: list[str]) -> None:
    told = CliRunner().invoke(copyagent, [*words, "--help"], terminal_width=80)
    assert told.exit_code == 0, told.exception
    assert "..." not in told.output.partition("Commands:")[2]
    assert max(map(len, told.output.splitlines())) <= 80


def test_what_is_hidden_is_not_listed() -> None:
    seen = click.Command(
        "seen", help="Do this and that, " + "at length, " * 12 + "in the end. Not this."
    )
    group = CommandList("group", commands=[seen, click.Command("unseen", hidden=True, help="No.")])
    told = CliRunner().invoke(group, ["--help"]).output
    assert "in the end." in told
    assert "Not this" not in told
    assert "unseen" not in told
