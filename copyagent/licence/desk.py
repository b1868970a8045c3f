"""Installing and removing the licence of a running agent: verified, in its place, and then in force.

In that order: a crash in between leaves the new file, which the agent finds at its next start and
puts on record then.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from copyagent.core.licence import Installed
from copyagent.core.licensing import Licensing
from copyagent.core.time import Moment
from copyagent.licence.place import store_licence, verified
from vtsfs.contract.settings import Service

#: Lets a question work on the engine between two events, and returns its answer.
Ask = Callable[[Callable[[Moment], object]], Awaitable[object]]


@dataclass(slots=True)
class LicenceDesk:
    """Changes the licence in *path*; *ask* reaches the engine, whose part *licensing* is.

    *service* are the settings that tell who may look at it.
    """

    path: Path
    issuers: Sequence[str]
    licensing: Licensing
    ask: Ask
    wall_ns: Callable[[], int]
    service: Service = field(default_factory=Service)
    _one_at_a_time: trio.Lock = field(default_factory=trio.Lock)

    async def install(self, text: str, because: str, user: str) -> object:
        """Install the licence *text*; return what to tell the operator.

        Raises `RequestFailed` where that is no licence, or one that would let nothing be copied.
        """
        found = verified(text, self.issuers, user, because, self.wall_ns())
        async with self._one_at_a_time:
            await self.ask(partial(self.licensing.expect_useful, found))
            return await self._put(text, found)

    async def remove(self, because: str, user: str) -> object:
        """Take the licence away; return what to tell the operator."""
        found = Installed(user=user, because=because, at_ns=self.wall_ns())
        async with self._one_at_a_time:
            await self.ask(self.licensing.expect_any)
            return await self._put("", found)

    async def _put(self, text: str, found: Installed) -> object:
        await trio.to_thread.run_sync(store_licence, self.path, text, found, self.service)
        return await self.ask(partial(self.licensing.take, found))
