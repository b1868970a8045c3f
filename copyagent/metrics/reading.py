"""Takes the figures from a running agent, without holding it up.

What is looked at tape by tape is asked for in slices, each a question of its own between two events;
the rest is a few numbers and is asked for at once.
"""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import trio

from copyagent.core.book import Book
from copyagent.core.census import SHOWN, Census, Standing
from copyagent.core.counters import RESULTS, WayCounters
from copyagent.core.licence import start_of
from copyagent.core.owed import Way
from copyagent.core.shown_states import REASONS, Word
from copyagent.core.time import Moment
from copyagent.core.windows import is_open
from copyagent.core.witness import Verdict
from copyagent.ems.link_settings import LinkTally
from copyagent.metrics import catalogue
from copyagent.metrics.exposition import Sheet
from copyagent.runner import Runner
from copyagent.transfer.progress import Phase
from vtsfs.contract.messages import CATALOGUE
from vtsfs.runtime.releases import running_release

#: Pools and targets whose figures are put together at once; some milliseconds of the engine's time.
WAYS = 25

_NS = 1e9
_DAY_NS = 86_400_000_000_000


@dataclass(slots=True)
class Reader:
    """Reads the figures of *runner*."""

    runner: Runner

    async def read(self) -> Sheet:
        """Return the figures of now."""
        book, census = self.runner.engine.book, Census()
        await self.runner.ask(lambda _: census.begin(book))
        for records in census.slices():
            await self.runner.ask(partial(census.count, book, records, self.runner.progress))
        await trio.to_thread.run_sync(census.count_rest)
        sheet, counted = Sheet(), list(census.ways.items())
        await self.runner.ask(partial(self._put_all, sheet))
        for start in range(0, len(counted), WAYS):
            part = counted[start : start + WAYS]
            await self.runner.ask(partial(self._put_ways, sheet, part))
        return sheet

    def _put_ways(self, sheet: Sheet, ways: Sequence[tuple[Way, Standing]], now: Moment) -> None:
        book = self.runner.engine.book
        for way, standing in ways:
            if way not in book.ways:
                continue  # other settings came into force meanwhile
            _put_standing(sheet, way, standing, now)
            _put_owed(sheet, book, way, now)
            _put_copies(sheet, way, book.counters.ways[way])

    def _put_all(self, sheet: Sheet, now: Moment) -> None:
        book = self.runner.engine.book
        self._put_agent(sheet)
        for pool in sorted(book.pools):
            sheet.put(catalogue.POOL_PAUSED, _is_paused(book, str(pool), now), str(pool))
            for verdict in Verdict:
                count = book.counters.verdicts[str(pool), verdict]
                sheet.put(catalogue.VERDICTS, count, str(pool), verdict)
        for target in book.health:
            self._put_target(sheet, target, now)
        self._put_witnesses(sheet)
        self._put_licence(sheet, now)

    def _put_agent(self, sheet: Sheet) -> None:
        book = self.runner.engine.book
        sheet.put(catalogue.BUILD, 1, running_release(), platform.python_version())
        sheet.put(catalogue.SETTINGS, 1, book.settings.digest)
        sheet.put(catalogue.STARTED, book.counters.started_ns / _NS)
        sheet.put_histogram(catalogue.BATCHES, book.counters.batches)
        sheet.put(catalogue.UNWRITTEN, self.runner.event_log.unwritten)
        sheet.put(catalogue.HISTORY, book.history.newest)
        sheet.put(catalogue.SETTINGS_CURRENT, not self.runner.settings_file.trouble)
        sheet.put(catalogue.SETTINGS_AWAITED, len(self.runner.settings_file.waiting))
        hook = self.runner.hook.queue
        sheet.put(catalogue.NOTIFY_TOLD, hook.ran)
        sheet.put(catalogue.NOTIFY_FAILED, hook.failed)
        sheet.put(catalogue.NOTIFY_WAITING, len(hook.waiting))
        for number, message in CATALOGUE.items():
            count = self.runner.event_log.written[number]
            sheet.put(catalogue.MESSAGES, count, f"{number:06}", message.severity.name.lower())

    def _put_target(self, sheet: Sheet, target: str, now: Moment) -> None:
        book = self.runner.engine.book
        health, window = book.health[target], book.settings.targets[target].window
        sheet.put(catalogue.TARGET_UP, not health.trouble, target)
        sheet.put(catalogue.TARGET_UNFIT, len(health.unfit), target)
        sheet.put(catalogue.WINDOW_OPEN, window is None or is_open(window, now), target)
        sheet.put(catalogue.TARGET_PAUSED, _is_paused(book, target, now), target)
        running = [key for key in book.running if key[1] == target]
        seen = [self.runner.progress.get(key) for key in running]
        sending = [each.rate or 0.0 for each in seen if each and each.phase == Phase.SENDING]
        sheet.put(catalogue.RUNNING, len(running), target)
        sheet.put(catalogue.RATE, sum(sending), target)

    def _put_witnesses(self, sheet: Sheet) -> None:
        engine = self.runner.engine
        for vault, feed in engine.vaults.feeds.items():
            sheet.put(catalogue.ATTACHED, feed.up, vault)
            sheet.put(catalogue.COVERED, not engine.vaults.cover.trouble(vault), vault)
            sheet.put(catalogue.UNREAD, len(feed.unread), vault)
        for host, link in engine.links.state.items():
            tally = self.runner.tallies.get(host, LinkTally())
            sheet.put(catalogue.LINK_UP, link.up, host)
            sheet.put(catalogue.LINK_LOSSES, link.losses, host)
            sheet.put(catalogue.LINK_GAPS, link.gaps, host)
            sheet.put(catalogue.LINK_EVENTS, link.events, host)
            sheet.put(catalogue.LINK_LAST, link.last_ns / _NS, host)
            sheet.put(catalogue.LINK_UNRECOGNISED, tally.unrecognised, host)
            writer = self.runner.writers.get(host)
            sheet.put(catalogue.HOST_UNTOLD, writer.waiting if writer else 0, host)
            sheet.put(catalogue.HOST_DROPPED, writer.dropped if writer else 0, host)

    def _put_licence(self, sheet: Sheet, now: Moment) -> None:
        licensing = self.runner.engine.licensing
        terms = licensing.licence.found.terms
        last_day = terms.expires if terms is not None else None
        end_ns = 0 if last_day is None else start_of(last_day) + _DAY_NS
        sheet.put(catalogue.LICENCE_REQUIRED, licensing.licence.required)
        sheet.put(catalogue.LICENCE_COPIES, licensing.judged(now).standing.copies)
        sheet.put(catalogue.LICENCE_EXPIRES, end_ns / _NS)


def _put_standing(sheet: Sheet, way: Way, standing: Standing, now: Moment) -> None:
    labels = str(way[0]), way[1]
    for state in SHOWN:
        sheet.put(catalogue.TAPES, standing.states[state], *labels, state)
    for reason in REASONS[Word.HELD]:
        sheet.put(catalogue.HELD, standing.holds[reason], *labels, reason)
    for reason in REASONS[Word.WAITING]:
        sheet.put(catalogue.WAITING, standing.waits[reason], *labels, reason)
    sheet.put(catalogue.UNPROTECTED, standing.unprotected, *labels)
    age = (now.wall_ns - standing.oldest_ns) / _NS if standing.unprotected else 0.0
    sheet.put(catalogue.OLDEST, max(age, 0.0), *labels)
    sheet.put(catalogue.PENDING, standing.size, *labels)


def _put_owed(sheet: Sheet, book: Book, way: Way, now: Moment) -> None:
    labels, oldest = (str(way[0]), way[1]), book.owed.oldest(way)
    sheet.put(catalogue.OWED, book.owed.count(way), *labels)
    sheet.put(catalogue.OLDEST_OWED, max(now.mono - oldest[1], 0) if oldest else 0.0, *labels)
    sheet.put(catalogue.BEHIND, way in book.behind, *labels)
    sheet.put(catalogue.BEHIND_AFTER, book.ways[way].behind_after, *labels)


def _put_copies(sheet: Sheet, way: Way, counted: WayCounters) -> None:
    labels = str(way[0]), way[1]
    for result in RESULTS:
        sheet.put(catalogue.COPIES, counted.results[result], *labels, result)
    sheet.put(catalogue.ATTEMPTS, counted.succeeded, *labels, "succeeded")
    sheet.put(catalogue.ATTEMPTS, counted.failed, *labels, "failed")
    sheet.put(catalogue.GIVEN_UP, counted.given_up, *labels)
    sheet.put(catalogue.SENT, counted.sent, *labels)
    sheet.put(catalogue.SKIPPED, counted.skipped, *labels)
    sheet.put(catalogue.RESUMED, counted.resumed, *labels)
    sheet.put_histogram(catalogue.DURATION, counted.took, *labels)
    sheet.put(catalogue.LAST_COPY, counted.last_ns / _NS, *labels)


def _is_paused(book: Book, about: str, now: Moment) -> bool:
    pause = book.pauses.get(about)
    return pause is not None and not pause.over(now)
