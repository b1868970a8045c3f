"""Events are values, all of them are in the union, and the engine takes every one at any time."""

from typing import get_args

import pytest

from copyagent.core import events
from copyagent.core.copying import CopyFailed, CopyJob
from copyagent.core.events import Event
from tests.support.histories import (
    TAPE,
    TARGET,
    VAULT,
    Overlay,
    done,
    ended,
    make_engine,
    published,
)
from tests.support.playbook import Playbook

JOB = CopyJob(TAPE, TARGET, TAPE, 1, None)
EVERY: tuple[Event, ...] = (
    events.AgentStarted(),
    Overlay().hello(),
    Overlay().silent(),
    Overlay().mounted(),
    Overlay().swept(1000.0),
    events.TapesFound(VAULT, 1000.0, {}),
    events.CopyIntended(TAPE, TARGET, published(JOB)),
    ended(JOB, CopyFailed("full", "tidy")),
    events.TargetProbed(TARGET, CopyFailed("timed out", "look", unreachable=True)),
    events.VaultSeen(VAULT),
    events.WakeupDue(),
)


def test_every_event_is_in_the_union() -> None:
    here = {
        kind for kind in vars(events).values() if getattr(kind, "__module__", "") == events.__name__
    }
    assert here == set(get_args(Event)) == {type(event) for event in EVERY}


@pytest.mark.parametrize("event", EVERY, ids=lambda event: type(event).__name__)
def test_an_event_may_come_when_nobody_expects_it(event: Event) -> None:
    play = Playbook(make_engine())
    play.hand(event)
    play.hand(event)


def test_a_copy_nobody_started_cannot_end() -> None:
    play = Playbook(make_engine())
    assert play.hand(done(JOB)) == []
    assert play.engine.book.records == {}
    assert VAULT not in play.engine.book.acks
