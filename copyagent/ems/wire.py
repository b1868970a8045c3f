"""What the session asks of the line to a host, whichever way in it is.

Losing the line is no exception but the end of the text: to the session it makes no difference who
closed it, and there is one path for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link_settings import LinkSettings


class Wire(Protocol):
    """Carry text between a host and us; one way in each implements it.

    *is_terminal* tells whether there is somebody to type to: a log-in, a distributor's start, a
    farewell. A file has none of these and prints from the first `receive` on.

    *gap* says why text may be missing before what `receive` has given last, and is empty if none
    is; whoever reads it empties it. *ended* says why the line is gone, where more is known than
    that it is.
    """

    is_terminal: bool
    is_open: bool
    gap: str
    ended: LinkFailure | None

    async def receive(self, deadline: float) -> str | None:
        """Wait for text until *deadline* on trio's clock.

        Empty when none came, or when what came was not text; None once the line is gone. Line ends
        are single line feeds.
        """

    async def type_line(self, line: str) -> None:
        """Type *line* and its end; should the line be gone, the next `receive` tells."""

    async def interrupt(self) -> None:
        """Press the Break key: the host's TACL takes the terminal back."""

    async def ping(self) -> None:
        """Prove the line to whatever lies between, without the host's user seeing anything."""

    async def close(self) -> None:
        """Close at once, whatever has not been sent."""


Dial = Callable[[LinkSettings, int | None], Awaitable[Wire | LinkFailure]]
"""Open the line to a host, or say why it cannot be had.

The second argument is the second of the host's clock (`copyagent.core.host_clock`) from which on
events are wanted again, None for only new ones. A terminal gets it in the distributor's start
command and ignores it here; a file begins there.
"""
