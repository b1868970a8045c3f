"""The table of `copyagent.core.tape.TRANSITIONS`, written out for the design notes.

``python -m tests.support.transition_rows`` writes it into ``copyagent/DESIGN.md``, between the
markers; a test compares.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from copyagent.core import tape as states

HEADING = "## 6. Copy states and their transitions"
BEGIN = "<!-- begin of the table made from TRANSITIONS -->"
END = "<!-- end of the table made from TRANSITIONS -->"
DESIGN = Path(__file__).parents[2] / "copyagent" / "DESIGN.md"

STATES: tuple[type[states.State], ...] = get_args(states.State)
EVENTS: tuple[type[states.Event], ...] = get_args(states.Event)


def transition_rows() -> list[str]:
    """Return the table as lines of Markdown: one row per event, one column per state.

    A cell names the function of ``core/tape.py`` that decides; *stay* changes nothing, and an empty
    cell cannot happen.
    """
    head = ["event", *(state.__name__ for state in STATES)]
    rows = [_row(head), _row("---" for _ in head)]
    for event in EVENTS:
        cells = (_cell(state, event) for state in STATES)
        rows.append(_row([f"**{event.__name__}**", *cells]))
    return rows


def section() -> str:
    """Return what stands between the markers, markers included."""
    return "\n".join([BEGIN, *transition_rows(), END])


def write(path: Path = DESIGN) -> None:
    """Put the table into *path*; a file without the markers gets the section at its end."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if BEGIN in text:
        before, rest = text.split(BEGIN, 1)
        text = before + section() + rest.split(END, 1)[1]
    else:
        text = f"{text.rstrip()}\n\n{HEADING}\n\n{section()}\n".lstrip()
    path.write_text(text, encoding="utf-8")


def _cell(state: type[states.State], event: type[states.Event]) -> str:
    step = states.TRANSITIONS.get((state, event))
    if step is None:
        return ""
    name = getattr(step, "__name__", "").strip("_").replace("_", " ")
    return "*stay*" if name == "stay" else name


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    write()
