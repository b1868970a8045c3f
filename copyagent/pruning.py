"""Keeps the history within what the settings allow: a little at a time, and never without a record.

A clock that is wrong for an hour must not take years of evidence along, so no more than so many
entries go in a day, whatever their age seems to be; only a history that has too many entries is
pruned until it has not.
"""

import logging
from functools import partial
from typing import Final

import trio

from copyagent.core.history import Cut
from copyagent.core.time import Moment
from copyagent.runner import Runner
from vtsfs.contract.errors import StateError
from vtsfs.runtime.clock import wall_ns

log = logging.getLogger(__name__)

#: How often it is looked whether entries are too old, and how long after the start, in seconds.
EVERY_S: Final = 86_400.0
FIRST_S: Final = 60.0

#: Entries that go in one commit, the pause between two, and how often in a row.
AT_ONCE: Final = 5000
PAUSE_S: Final = 1.0
IN_A_ROW: Final = 20


async def keep_bounded(runner: Runner, *, first_s: float = FIRST_S) -> None:
    """Prune once a day, by the settings that are in force then, until cancelled."""
    await trio.sleep(first_s)
    while True:
        try:
            await prune(runner)
        except StateError as error:
            log.warning("old entries of the history stay: %s", error)
        await trio.sleep(EVERY_S)


async def prune(runner: Runner, *, at_once: int = AT_ONCE, pause_s: float = PAUSE_S) -> int:
    """Let entries go that are too old or too many; return how many went. Raises `StateError`.

    *at_once* of them go in one commit, and others have *pause_s* seconds between two.
    """
    gone, rounds = 0, 0
    while True:
        book = runner.engine.book
        kept = book.settings.history
        too_many = book.history.newest - kept.most
        by_age = rounds < IN_A_ROW
        before_ns = wall_ns() - int(kept.keep * 1e9) if by_age else 0
        cut = await trio.to_thread.run_sync(runner.store.prunable, before_ns, too_many, at_once)
        if cut is None:
            return gone
        await runner.ask(partial(_prune, runner, cut))
        gone, rounds = gone + cut.count, rounds + 1
        if cut.count < at_once:
            return gone  # the entry that tells of it is one more: never to be chased
        await trio.sleep(pause_s)


def _prune(runner: Runner, cut: Cut, now: Moment) -> None:
    runner.engine.book.history.prune(cut, now.wall_ns)
