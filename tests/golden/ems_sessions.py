"""The command that writes golden sessions: ``python -m tests.golden.ems_sessions [--expect NAME]``.

Without arguments it makes up the sessions of `MADE` that are not there yet, each as ``ems/NAME.txt``,
what came over the line byte for byte, and ``ems/NAME.jsonl``, what it means as the making knows it.
Nothing that is there is written over. With ``--expect NAME`` it writes ``ems/NAME.jsonl`` for a session that was put
there by hand, from what is read now: look at it line by line before it is committed.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any

from copyagent.core.host_events import HostEvent, PolicyCommand
from copyagent.ems.lines import EmsLineDecoder
from copyagent.ems.tape_events import read_host_event
from tests.support.ems_host.layout import Layout
from tests.support.ems_sessions import Night
from tests.support.ems_templates import HOST

SESSIONS = Path(__file__).with_name("ems")

#: Printed as they are, in the letters that the host prints.
_AS_PRINTED = {"text", "why", "alias"}
_UNSHOWN = {"host", "printed"}


def document(event: HostEvent) -> dict[str, Any]:
    """Say what was read as a JSON object: its type, and every field that is set."""
    shown: dict[str, Any] = {"event": type(event).__name__}
    for field in fields(event):
        value = getattr(event, field.name)
        if field.name in _UNSHOWN or value is None or value is False:
            continue
        value = value.value if isinstance(value, Enum) else value
        as_printed = field.name in _AS_PRINTED and not isinstance(event, PolicyCommand)
        shown[field.name] = value.upper() if as_printed else value
    return shown


def as_lines(events: Iterable[HostEvent]) -> str:
    """Write events as JSON lines."""
    return "".join(json.dumps(document(event)) + "\n" for event in events)


def read_session(printed: bytes, *, piece: int = 4096) -> Iterator[HostEvent]:
    """Go through what a session means that comes in pieces of so many bytes."""
    decoder = EmsLineDecoder()
    events = [
        event
        for at in range(0, len(printed), piece)
        for event in decoder.feed(printed[at : at + piece].decode("latin-1"))
    ]
    for event in [*events, *decoder.flush()]:
        found = read_host_event(HOST, event)
        if found is not None:
            yield found


def _terminal(night: Night) -> str:
    """Print a night as a terminal shows it: greeting, echo, prompts, pages, doubled line ends."""
    chance = Random(night.seed)
    noise = (
        *("", "", "\f", "\0\0", "\r\n", "\x07", "TACL 2> "),
        *("TACL 3> STATUS *, USER\r\n", "\r\n\r\n", "\\MTL.$SYSTEM.VTS 4> ", "\x1b[0m"),
    )
    text = (
        "WELCOME TO mtl\r\nAvailable Services:\r\n\r\nTACL EXIT\r\nEnter Choice> TACL\r\nTACL 1> "
    )
    for lines, _ in night.printed:
        text += chance.choice(noise)
        end = chance.choice(("\r\n", "\r\r\n", "\r\n", " \r\n", "\n"))
        text += "".join(line + end for line in lines)
    return text


def _made(
    text: Callable[[Night], str] = Night.text, jobs: int = 30, **options: Any
) -> Callable[[], tuple[str, Night]]:
    def make() -> tuple[str, Night]:
        night = Night(**options)
        night.jobs(jobs)
        return text(night), night

    return make


MADE: dict[str, Callable[[], tuple[str, Night]]] = {
    "night-79-columns": _made(seed=1),
    "night-132-columns-default-indent": _made(
        seed=2, layout=Layout("\\SAGE", ssid="TANDEM.TAPE.D20", width=132, indent=36)
    ),
    "night-80-columns-default-indent": _made(
        seed=3, layout=Layout("\\NONSTOP", ssid="tandem.tape.j00", width=80, indent=36), prefix=""
    ),
    "night-40-columns": _made(seed=4, layout=Layout("\\MTL", width=40, indent=3)),
    "night-20-columns-no-indent": _made(
        seed=5, jobs=12, layout=Layout("\\A", width=20, indent=0), quiet=True
    ),
    "night-in-small-letters": _made(
        seed=6,
        layout=Layout("\\dev2", "$zsvr", "tandem.tape.g06", 64, 7),
        prefix="$zsvr: ",
        spell=str.lower,
    ),
    "night-in-mixed-letters-no-prefix": _made(
        seed=7,
        layout=Layout("\\Dev2", ssid="TANDEM.TAPE.L01", width=100),
        prefix="",
        spell=str.title,
    ),
    "night-on-a-terminal": _made(_terminal, seed=8, layout=Layout("\\MTL", width=72, indent=8)),
    "night-of-another-number": _made(
        seed=9, layout=Layout("\\BER", ssid="TANDEM.46.G06", width=90)
    ),
}


def main(arguments: list[str]) -> None:
    """Write the sessions that are missing, or the meaning of one that was put there by hand."""
    if arguments[:1] == ["--expect"]:
        for name in arguments[1:]:
            found = read_session((SESSIONS / f"{name}.txt").read_bytes())
            (SESSIONS / f"{name}.jsonl").write_text(as_lines(found), encoding="ascii")
        return
    for name, make in MADE.items():
        if not (SESSIONS / f"{name}.txt").exists():
            text, night = make()
            (SESSIONS / f"{name}.txt").write_bytes(text.encode("latin-1"))
            (SESSIONS / f"{name}.jsonl").write_text(as_lines(night.meanings()), encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
