"""The figures of a running agent, offered where the settings say."""

import trio

from copyagent.core.time import Moment
from copyagent.metrics.reading import Reader
from copyagent.metrics.server import offer
from copyagent.runner import Runner
from vtsfs.contract import messages
from vtsfs.contract.errors import StateError
from vtsfs.contract.settings import Settings


async def offer_figures(settings: Settings, runner: Runner) -> None:
    """Offer what *runner* does until cancelled; returns at once where the settings name no place."""
    place = settings.metrics.place
    if place is None:
        return
    await _remember_last_copies(runner)

    async def failed(cause: str) -> None:
        def tell(now: Moment) -> None:
            where = settings.metrics.listen
            runner.engine.book.say_once(
                messages.METRICS_UNAVAILABLE, where, now, place=where, cause=cause
            )

        await runner.ask(tell)

    await offer(place, Reader(runner).read, failed, group=settings.service.group)


async def _remember_last_copies(runner: Runner) -> None:
    """Counters begin anew with each run; when a pool was last copied is known from before."""
    book = runner.engine.book
    try:
        found = await trio.to_thread.run_sync(runner.store.last_copies, list(book.ways))
    except StateError:
        return  # the journal and everybody else have more to say of a state that cannot be read
    for way, at_ns in found.items():
        counted = book.counters.ways[way]
        counted.last_ns = max(counted.last_ns, at_ns)
