"""Conversations with an engine whose traffic is directed: windows, pauses, rests."""

from typing import Any

from copyagent.core import pausing
from copyagent.core.book import Book
from copyagent.core.copying import CopyFailed
from copyagent.core.engine import Engine
from copyagent.core.events import WakeupDue
from copyagent.core.pausing import PauseWanted
from copyagent.core.report import explain
from tests.support.histories import (
    TAPE,
    TARGET,
    Overlay,
    link_lost,
    make_settings,
)
from tests.support.playbook import Playbook
from vtsfs.contract.naming import TapeId
from vtsfs.contract.setting_values import DailyWindow

#: START is at 11:06:40 UTC: so many seconds later it is noon.
NOON = 3200.0
HOUR = 3600.0
AFTERNOON = DailyWindow(12 * 60, 18 * 60)
MORNING = DailyWindow(6 * 60, 12 * 60)
REFUSED = CopyFailed("connection refused", "Start sshd.", unreachable=True)
POOL = str(TAPE.pool_id)


def conversation(
    *,
    window: DailyWindow | None = None,
    hold_down: float = 0.0,
    targets: tuple[str, ...] = (TARGET,),
    **changes: Any,
) -> Playbook:
    """Talk to an engine whose first target has a *window*, and all of whose pools a *hold_down*."""
    settings = make_settings(targets=targets, **changes)
    first = settings.targets[TARGET].model_copy(update={"window": window})
    entries = tuple(e.model_copy(update={"hold_down": hold_down}) for e in settings.autocopy)
    settings = settings.model_copy(
        update={"targets": settings.targets | {TARGET: first}, "autocopy": entries}
    )
    play = Playbook(Engine(Book(settings)))
    play >> link_lost()
    return play


def changed(play: Playbook, overlay: Overlay, *tapes: TapeId) -> None:
    """Some tapes are written, and what is due starts."""
    for tape in tapes or (TAPE,):
        play >> overlay.mounted(tape) >> overlay.dismounted(tape)
    play.wait(2.0)


def words(play: Playbook, tape: TapeId = TAPE, target: str = TARGET) -> tuple[str, str, str]:
    """Return how a copy is explained: its state, why, and what comes next."""
    copies = explain(play.engine, tape, play.now)["copies"]
    (copy,) = [c for c in copies if c["target"] == target]
    return copy["state"], copy["why"], copy["next"]


def pause(play: Playbook, about: str, **wanted: Any) -> list[str]:
    answer = pausing.pause(
        play.engine.book, PauseWanted(about, "line works", **wanted), "root", play.now
    )
    play.hand(WakeupDue())
    return answer


def resume(play: Playbook, about: str) -> list[str]:
    answer = pausing.resume(play.engine.book, about, "root", play.now)
    play.hand(WakeupDue())
    return answer
