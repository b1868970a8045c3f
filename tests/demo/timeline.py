"""What the onlooker reads: one line a happening, its evidence below it, and every claim checked."""

import time
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

#: The onlooker's terminal is taken to be no wider than this.
WIDTH = 100
#: Columns before the text of a line: elapsed time and who acts.
INDENT = 19
#: Columns before quoted output, and its mark there.
QUOTE_INDENT = 11
_BAR = "| "
#: Columns that are left for quoted output.
QUOTED_WIDTH = WIDTH - QUOTE_INDENT - len(_BAR)
#: By how much the rest of a broken line is indented.
HANG = 4

_STYLES = {
    "host": "cyan",
    "engine": "blue",
    "agent": "green",
    "target": "magenta",
    "somebody": "red",
    "operator": "yellow",
    "PROVEN": "bold green",
}


class NotSo(Exception):
    """Something that the demonstration claims is not the case."""


class Timeline:
    """Prints to a terminal in colour, and plainly to anything else."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=False)
        self._console.width = (
            min(self._console.width, WIDTH) if self._console.is_terminal else WIDTH
        )
        self._begun = time.monotonic()
        self.proven: list[str] = []

    def elapsed(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self._begun

    def plain(self, text: str = "", style: str = "") -> None:
        """Print *text* as it stands; a line that is to be copied is never broken."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def heading(self, number: int, text: str) -> None:
        """Begin a scene."""
        self._console.print()
        self._console.print(Text(f"{number}  {text}", style="bold"))

    def paragraph(self, text: str, indent: int) -> None:
        """Print running text, wrapped and indented."""
        self._row(Text(" " * indent), Text(text))

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Print what there is: a name and what it stands for, each."""
        for name, text in facts:
            self._row(Text(f"  {name:<{INDENT - 3}} ", style="bold"), Text(text))

    def tell(self, who: str, what: str) -> None:
        """Say that *who* has just done *what*."""
        head = Text(f"{self.elapsed():6.1f} s  ")
        head.append(f"{who:<{INDENT - 11}}  ", style=_STYLES.get(who, ""))
        self._row(head, Text(what))

    def prove(self, claim: str, true: object, otherwise: str = "") -> None:
        """Say *claim* if it is *true*; raise NotSo, with what there is *otherwise*, if not."""
        if not true:
            raise NotSo(f"{claim}: {otherwise}" if otherwise else claim)
        self.proven.append(claim)
        self.tell("PROVEN", claim)

    @staticmethod
    def prove_quietly(claim: str, true: object, otherwise: str) -> None:
        """Raise NotSo unless *true*, but say nothing of what goes without saying."""
        if not true:
            raise NotSo(f"{claim}: {otherwise}")

    def quote(self, lines: Iterable[str], *, command: str = "") -> None:
        """Show lines that one of the programs has written, below the line they are evidence of."""
        if command:
            self._quoted(Text(f"$ {command}", style="bold"))
        for line in lines:
            indent = len(line) - len(line.lstrip())
            self._quoted(Text(line.strip(), style="dim"), indent)

    def quote_events(self, lines: Iterable[str]) -> None:
        """Show lines of the event log as they stand, but for a break before a text that is long."""
        for line in lines:
            columns, bar, text = line.rpartition("|")
            if len(line) <= self._room():
                self._quoted(Text(line, style="dim"))
                continue
            self._quoted(Text(columns + bar, style="dim"))
            self._quoted(Text(text, style="dim"), HANG, hang=0)

    def _room(self) -> int:
        return self._console.width - QUOTE_INDENT - len(_BAR)

    def _quoted(self, text: Text, indent: int = 0, *, hang: int = HANG) -> None:
        width = self._room() - indent - hang
        lines = [text] if len(text) <= width + hang else text.wrap(self._console, width)
        for number, line in enumerate(lines):
            line.rstrip()
            shown = Text(" " * QUOTE_INDENT)
            shown.append(_BAR, style="dim")
            shown.append(" " * (indent + (hang if number else 0)))
            shown.append_text(line)
            shown.rstrip()
            self._console.print(shown, soft_wrap=True)

    def _row(self, head: Text, text: Text) -> None:
        for number, line in enumerate(text.wrap(self._console, self._console.width - len(head))):
            line.rstrip()
            shown = head.copy() if number == 0 else Text(" " * len(head))
            shown.append_text(line)
            self._console.print(shown, soft_wrap=True)
