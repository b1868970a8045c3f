import dataclasses

import pytest

from copyagent.core import host_events
from copyagent.core.host_events import (
    HostEvent,
    LinkLost,
    LinkTrouble,
    LoginRefused,
    TapeDismounted,
)

KINDS = [
    kind
    for kind in vars(host_events).values()
    if isinstance(kind, type) and issubclass(kind, HostEvent)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_names_its_host_first_and_never_changes(kind: type[HostEvent]) -> None:
    names = [field.name for field in dataclasses.fields(kind) if not field.kw_only]
    assert names[0] == "host"
    event = TapeDismounted("DEV2", "X00001", "$VTAPE0")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.host = "DEV3"  # type: ignore[misc] # that it cannot be assigned is the point


def test_the_header_is_no_part_of_what_decisions_must_give() -> None:
    event = TapeDismounted("DEV2", "X00001", None)
    assert (event.node, event.printed_at) == ("", "")
    assert event != TapeDismounted("DEV2", "X00001", None, node="\\DEV2")


def test_a_refused_log_on_is_a_lost_link() -> None:
    event = LoginRefused("DEV2", "no")
    assert isinstance(event, LinkLost)
    assert event.trouble is LinkTrouble.LOGIN_REFUSED
