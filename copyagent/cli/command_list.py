"""The list of commands that help prints: a whole sentence of each, on as many lines as it takes."""

import click

#: More than any sentence has; click cuts what is longer in its middle.
_WHOLE = 1000


class CommandList(click.Group):
    """A group whose help says of each command what it does, and not the first half of it."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names of all commands that are not hidden, each with its first sentence."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [
            (name, command.get_short_help_str(_WHOLE))
            for name, command in found
            if command is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
