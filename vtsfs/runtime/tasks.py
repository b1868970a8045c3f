"""Running a daemon until it ends or is told to."""

import signal
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVarTuple

import trio

Ts = TypeVarTuple("Ts")


class Starter(Protocol):
    """Something that starts tasks: a trio nursery, or what stands between it and them."""

    def start_soon(self, work: Callable[[*Ts], Awaitable[object]], /, *args: *Ts) -> None:
        """Start ``work(*args)``."""


async def run_until_signalled(
    run: Callable[[], Awaitable[object]],
    *,
    stopping: Callable[[signal.Signals], None] | None = None,
) -> signal.Signals | None:
    """Run *run* until it returns, or cancel it at the first SIGTERM or SIGINT.

    Returns the signal, or None when *run* ended by itself. *stopping* is called with the signal
    before the cancellation, which is the moment to tell systemd. Whatever must still be done on
    the way out belongs in a shielded, time-limited scope of *run*.
    """
    received: signal.Signals | None = None
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as arriving:
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                nonlocal received
                async for number in arriving:
                    received = signal.Signals(number)
                    if stopping is not None:
                        stopping(received)
                    nursery.cancel_scope.cancel()
                    return

            nursery.start_soon(watch)
            await run()
            nursery.cancel_scope.cancel()
    return received
