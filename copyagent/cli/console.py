"""How answers are printed: with a terminal's width, or for a pipe; as JSON where that is asked for."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TextIO

import click
from rich.console import Console

#: Columns of what goes into a pipe.
PIPE_WIDTH = 200

#: How long an agent may take to tell how things stand, in seconds; one that hangs tells nothing.
LOOK_S = 10.0


def console() -> Console:
    """A terminal has a width; a pipe has none, and whoever greps wants whole lines.

    What is not a terminal gets neither colours nor other codes, whatever the environment says.
    """
    width = None if is_screen() else PIPE_WIDTH
    system: Literal["auto"] | None = "auto" if has_colours() else None
    return Console(width=width, color_system=system, force_terminal=sys.stdout.isatty())


def has_colours() -> bool:
    """Tell whether what is printed may be coloured: on a terminal that can, unless NO_COLOR is set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not is_dumb()


def is_dumb() -> bool:
    """Tell whether the terminal can only print one character after the other."""
    return os.environ.get("TERM", "").lower() in {"dumb", "unknown"}


def has_progress(stream: TextIO) -> bool:
    """Tell whether *stream* is a terminal on which a line can be written over another."""
    return stream.isatty() and not is_dumb()


def is_screen() -> bool:
    """Tell whether what is printed has a width to be kept to."""
    return sys.stdout.isatty() or "COLUMNS" in os.environ


def print_document(document: Any, shown: Any, *, as_json: bool) -> None:
    """Print *document* as JSON, or what it looks like to people: *shown*."""
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        console().print(shown)


def print_lines(document: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """Print *document* as JSON, or *lines*, each as it is, for people."""
    for line in [json.dumps(document, indent=1)] if as_json else lines:
        click.echo(line)


def line_of(document: Mapping[str, Any]) -> str:
    """Return *document* as JSON on a line of its own, with the version of its kind."""
    return json.dumps({"schema": 1, **document})


def print_answers(answers: Sequence[str], *, as_json: bool) -> None:
    """Print what a command that acts has to say: a line each, or one JSON document."""
    if as_json:
        click.echo(json.dumps({"schema": 1, "answers": list(answers)}, indent=1))
        return
    for line in answers:
        click.echo(line)


def printable(text: str) -> str:
    """Make a host's text harmless for a terminal: no escape sequence of its passes."""
    return "".join(c if c.isprintable() else "?" for c in text)
