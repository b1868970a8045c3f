"""Tasks that live by a piece of the settings: exactly those begin anew whose piece is another."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import trio

from copyagent.parts import Part, Parts


@dataclass
class Seen:
    """What parts did, in order."""

    lines: list[str] = field(default_factory=list)

    def part(self, name: str, made_of: object) -> Part:
        """Make a part that notes its beginning and its end, which takes a moment."""

        async def run() -> None:
            self.lines.append(f"{name} {made_of} begins")
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1.0)
                self.lines.append(f"{name} {made_of} ended")

        return Part(made_of, run, self._note(f"{name} between"))

    def _note(self, line: str) -> Callable[[], Awaitable[None]]:
        async def note() -> None:
            self.lines.append(line)

        return note

    def taken(self) -> list[str]:
        """Hand over what was seen since the last call."""
        lines, self.lines = self.lines, []
        return lines


async def test_what_has_changed_ends_before_it_begins_anew(autojump_clock: object) -> None:
    seen = Seen()
    async with trio.open_nursery() as nursery:
        parts = Parts(nursery)
        assert await parts.follow({"a": seen.part("a", 1), "b": seen.part("b", 1)}) == ["a", "b"]
        await trio.sleep(1.0)
        assert sorted(seen.taken()) == ["a 1 begins", "b 1 begins"]
        assert await parts.follow({"a": seen.part("a", 1), "b": seen.part("b", 1)}) == []
        begun = await parts.follow({"a": seen.part("a", 2), "c": seen.part("c", 1)})
        assert begun == ["a", "b", "c"]
        await trio.sleep(1.0)
        lines = seen.taken()
        assert set(lines[:2]) == {"a 1 ended", "b 1 ended"}
        assert lines[2] == "a between"
        assert set(lines[3:]) == {"a 2 begins", "c 1 begins"}
        nursery.cancel_scope.cancel()


async def test_a_part_that_has_ended_by_itself_is_not_waited_for() -> None:
    async def at_once() -> None:
        pass

    async with trio.open_nursery() as nursery:
        parts = Parts(nursery)
        await parts.follow({"a": Part(1, at_once)})
        assert await parts.follow({}) == ["a"]


async def test_what_a_part_raises_ends_it_all() -> None:
    async def fail() -> None:
        raise OSError("its own fault")

    with pytest.RaisesGroup(OSError):
        async with trio.open_nursery() as nursery:
            await Parts(nursery).follow({"a": Part(1, fail)})
            await trio.sleep_forever()
