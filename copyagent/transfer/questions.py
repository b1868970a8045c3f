"""What an examination of a target is to find out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from copyagent.transfer.agent_mark import AgentMark
from copyagent.transfer.layout import Layout
from copyagent.transfer.pacing import UNPACED, Pace


@dataclass(frozen=True, slots=True)
class Place:
    """One pool at the target; *mode* is what most tapes of its source have, None without any."""

    layout: Layout
    mode: int | None


@dataclass(frozen=True, slots=True)
class Questions:
    """What is to be found out: about which *places*, and what the settings ask of the target.

    *now* is the wall clock, in seconds since the epoch; *target* is named in remedies. The line's speed is tried with at most
    *trial* bytes, within the limits of *pace*. *storages* are the directories here in which nothing
    of the target's must show up.
    """

    places: Sequence[Place]
    mark: AgentMark
    verify: str
    keep_free: float
    now: Callable[[], float]
    target: str = "TARGET"
    patience_s: float = 40.0
    trial: int = 64 * 1024 * 1024
    pace: Pace = UNPACED
    storages: tuple[Path, ...] = ()
