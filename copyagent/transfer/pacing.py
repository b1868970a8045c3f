"""Bandwidth limits: who sends or reads asks first, and waits for its turn.

A `Pacer` is one limit, shared by all copies that it concerns; they are served in the order in which
they ask, piece by piece, so that copies that go on together get equal shares. A `Pace` is what one
copy has to keep: its target's limit and that of the whole agent, each direction by itself, because
lines carry both at once and reading back for verification can fill one just as well.
"""

from dataclasses import dataclass, field
from typing import Self

import trio

from vtsfs.contract.settings import Settings

#: What was not used is lost after so many seconds: less would cost rate to the granularity of
#: timers, more would come as a burst that the line's other users notice.
_CREDIT_S = 0.1

#: A request of more bytes than pass in so many seconds would make a slow line jerk.
_SMOOTH_S = 0.25

#: Requests are not made smaller than this, however slow the line.
_LEAST_BLOCK = 4096


@dataclass(slots=True)
class Pacer:
    """A limit of *rate* bytes per second, for as many tasks as there are."""

    rate: float
    #: When the bytes granted so far will have passed (trio's clock).
    _passed: float = field(default=float("-inf"))

    async def take(self, size: int) -> None:
        """Return when *size* bytes more may go; whoever asked before goes before.

        The bytes count even if the wait is cancelled: the next ones come that much later.
        """
        now = trio.current_time()
        start = max(self._passed, now - _CREDIT_S)
        self._passed = start + size / self.rate
        if self._passed > now:
            await trio.sleep_until(self._passed)


@dataclass(frozen=True, slots=True)
class Pace:
    """The limits of one copy, all of which it keeps; without any, asking costs nothing."""

    sending: tuple[Pacer, ...] = ()
    reading: tuple[Pacer, ...] = ()

    async def send(self, size: int) -> None:
        """Return when *size* bytes may go to the target."""
        for pacer in self.sending:
            await pacer.take(size)

    async def read(self, size: int) -> None:
        """Return when *size* bytes may be asked back from the target."""
        for pacer in self.reading:
            await pacer.take(size)

    def block(self, most: int) -> int:
        """Return how many bytes, of *most*, one request should have, so that the flow is smooth."""
        rates = [pacer.rate for pacer in (*self.sending, *self.reading)]
        return min([most, *(max(int(rate * _SMOOTH_S), _LEAST_BLOCK) for rate in rates)])


#: No limit at all.
UNPACED = Pace()


@dataclass(frozen=True, slots=True)
class Paces:
    """All limits of an agent, by target."""

    by_target: dict[str, Pace] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make the limits that the settings ask for, shared as they have to be."""
        whole = _both(settings.traffic.bandwidth)
        paces = {}
        for name, target in settings.targets.items():
            limits = [*_both(target.bandwidth), *whole]
            paces[name] = Pace(tuple(s for s, _ in limits), tuple(r for _, r in limits))
        return cls(paces)

    def to(self, target: str) -> Pace:
        """Return what copies to *target* have to keep."""
        return self.by_target.get(target, UNPACED)


def _both(rate: int | None) -> list[tuple[Pacer, Pacer]]:
    return [] if rate is None else [(Pacer(rate), Pacer(rate))]
