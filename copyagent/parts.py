"""The tasks of the agent that live by a piece of the settings: host links, and what else is served.

When the settings change, exactly those begin anew whose piece has changed; the others go on.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import trio


@dataclass(frozen=True, slots=True)
class Part:
    """A task, and what it was *made_of*: equal pieces need no other task.

    *run* goes on until it is cancelled. *between* is called when it takes the place of a former one.
    """

    made_of: object
    run: Callable[[], Awaitable[object]]
    between: Callable[[], Awaitable[object]] | None = None


@dataclass(slots=True)
class _Running:
    part: Part
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)

    async def run(self) -> None:
        try:
            with self.scope:
                await self.part.run()
        finally:
            self.ended.set()


@dataclass(slots=True)
class Parts:
    """Runs parts in *nursery*; what one of them raises ends it all, as it should."""

    nursery: trio.Nursery
    _running: dict[str, _Running] = field(default_factory=dict)

    async def follow(self, wanted: Mapping[str, Part]) -> list[str]:
        """Run what is *wanted*, and nothing else; return which parts were ended or begun."""
        changed = [
            name for name, one in self._running.items() if not _is_same(one.part, wanted, name)
        ]
        for name in changed:
            self._running[name].scope.cancel()
        for name in changed:
            await self._running.pop(name).ended.wait()
        begun = [name for name in wanted if name not in self._running]
        for name in begun:
            part = wanted[name]
            if name in changed and part.between is not None:
                await part.between()
            running = self._running[name] = _Running(part)
            self.nursery.start_soon(running.run)
        return sorted({*changed, *begun})


def _is_same(part: Part, wanted: Mapping[str, Part], name: str) -> bool:
    return name in wanted and wanted[name].made_of == part.made_of
