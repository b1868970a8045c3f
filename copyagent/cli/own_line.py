"""A command's own way to a target, which works also while the agent does not.

It needs what the agent needs: whoever runs it has to be able to read the target's key.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from copyagent.ssh.bridge import open_bridge
from copyagent.ssh.sftp import connect
from copyagent.transfer.pacing import Pace, Paces
from copyagent.transfer.target import HostKeyRejected as PinnedKeyDiffers
from copyagent.transfer.target import LoginRefused, Target, TargetError
from vtsfs.contract.errors import (
    HostKeyRejected,
    LinkFailed,
    LogOnRefused,
    RequestFailed,
    VtsError,
)
from vtsfs.contract.settings import Settings

_T = TypeVar("_T")

#: A request without an answer for this many keep-alive intervals means that the link is dead.
_PATIENCE = 4


class OwnLine:
    """One connection to the target *name*; *patience_s* and *pace* as for copies to it."""

    def __init__(self, settings: Settings, name: str, target: Target) -> None:
        self.name = name
        self.target = target
        self.patience_s = _PATIENCE * settings.targets[name].keepalive
        self.pace: Pace = Paces.of(settings).to(name)


@asynccontextmanager
async def own_line(settings: Settings, name: str) -> AsyncIterator[OwnLine]:
    """Log in to the target *name* of the settings; raises `TargetError`."""
    async with connect(settings.targets[name]) as target:
        yield OwnLine(settings, name, target)


def run_with_asyncio(work: Callable[[], Awaitable[_T]]) -> _T:
    """Run *work* with what SSH needs around it; a target's failure ends with an exit status."""

    async def run() -> _T | VtsError:
        async with open_bridge():
            # Raised below: what leaves the bridge comes out in a group.
            try:
                return await work()
            except TargetError as error:
                return as_ours(error)
            except VtsError as error:
                return error

    result = trio.run(run, strict_exception_groups=True)
    if isinstance(result, VtsError):
        raise result
    return result


def as_ours(error: TargetError) -> VtsError:
    """Say what a target's failure is for whoever called the command."""
    text = f"{error}; {error.next_step}"
    if isinstance(error, PinnedKeyDiffers):
        return HostKeyRejected(text)
    if isinstance(error, LoginRefused):
        return LogOnRefused(text)
    return LinkFailed(text) if error.unreachable else RequestFailed(text)
