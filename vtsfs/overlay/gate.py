"""Who may open which tape, beyond what permissions say: asked of somebody outside."""

from typing import Protocol

from vtsfs.contract.naming import TapeId
from vtsfs.overlay.caller import Caller


class Gate(Protocol):
    """Asked before a tape that is there is opened; the open has changed nothing so far."""

    async def admit(self, tape: TapeId, fd: int, caller: Caller) -> None:
        """Return if *caller* may have the tape that is open below as *fd*, else raise.

        An OSError or VtsError becomes the answer to the caller's open.
        """
