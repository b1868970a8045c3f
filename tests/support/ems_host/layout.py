"""How a printing distributor lays an event out: header, text, width, hanging indent."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(slots=True)
class Layout:
    """Describe one host's print: every host's differs."""

    node: str = "\\DEV2"
    process: str = "$ZSVR"
    ssid: str = "TANDEM.TAPE.G06"
    width: int = 79
    indent: int = 8

    def of(self, process: str, ssid: str) -> Layout:
        """Return the layout of another subsystem's events on the same host."""
        return replace(self, process=process, ssid=ssid)

    def lines(
        self, printed_at: str, number: int, text: str, *, critical: bool = False
    ) -> list[str]:
        """Lay one event out, without line ends."""
        sender = f"{self.node}.{self.process}"
        mark = "* " if critical else "  "
        head = f"{printed_at} {sender:<21}{mark}{self.ssid:<24}{number:06d} "
        return wrap(head + text, self.width, self.indent)


def wrap(line: str, width: int, indent: int) -> list[str]:
    """Break *line* at blanks so that each part fits *width*, a word longer than that apart.

    The blank that a break falls on is dropped; every part but the first is indented.
    """
    parts: list[str] = []
    rest = line
    room = width
    while len(rest) > room:
        cut = rest.rfind(" ", 0, room + 1)
        if cut <= 0:
            cut = rest.find(" ", room)
            if cut < 0:
                break
        parts.append(rest[:cut])
        rest = rest[cut:].lstrip(" ")
        room = max(width - indent, 1)
    parts.append(rest)
    kept = [part for part in parts if part.strip()]
    return [part if i == 0 else " " * indent + part for i, part in enumerate(kept)]
