"""Puts on record what was done without the agent; see `vtsfs.runtime.late_acts`."""

import logging
from functools import partial
from pathlib import Path
from typing import Final

import trio

from copyagent.core.book import Book
from copyagent.core.dates import iso
from copyagent.core.history import Kind
from copyagent.core.operator import record_action
from copyagent.core.time import Moment
from copyagent.runner import Runner
from vtsfs.runtime.late_acts import LateAct, left

log = logging.getLogger(__name__)

#: How often it is looked whether something was left, in seconds: an agent may have been unreachable.
EVERY_S: Final = 60.0


async def keep_taking_up(runner: Runner, directory: Path) -> None:
    """Put on record what is left in *directory*, at the start and every minute, until cancelled."""
    stuck: set[str] = set()
    while True:
        await take_up(runner, directory, stuck)
        await trio.sleep(EVERY_S)


async def take_up(runner: Runner, directory: Path, stuck: set[str]) -> None:
    """Put on record what is left in *directory*: first that, durably, then the file goes.

    *stuck* are the names of files that did not go: what they say is on record already.
    """
    for path, act in await trio.to_thread.run_sync(lambda: list(left(directory))):
        if path.name in stuck:
            continue
        try:
            if act is None:
                log.warning("%s says of no act that can be read; it is kept as %s.unreadable", path,
                            path.name)  # fmt: skip
                path.rename(path.with_name(f"{path.name}.unreadable"))
                continue
            await runner.ask(partial(_record, runner.engine.book, act))
            path.unlink()
        except OSError as error:
            stuck.add(path.name)
            log.warning("%s cannot be taken away: %s; remove it, or it is on record once more at the "
                        "agent's next start", path, error)  # fmt: skip


def _record(book: Book, act: LateAct, now: Moment) -> None:
    at = iso(act.at_ns)
    if not act.told:
        because = f"{act.because} (done at {at}, when no agent answered)"
        record_action(book, act.user, act.action, act.about, because, old=act.old, new=act.new)
        return
    book.history.add(
        Kind.ACTION,
        now.wall_ns,
        user=act.user,
        action=act.action,
        object=act.about,
        because=act.because,
        old=act.old,
        new=act.new,
        done=at,
    )
