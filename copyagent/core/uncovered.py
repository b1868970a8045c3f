"""What is seen at a vault's mount point, and what is remembered of a vault that is not covered."""

from dataclasses import dataclass
from enum import Enum


class Answer(Enum):
    """Whether a mount point answers."""

    LIVE = "live"
    DEAD = "dead"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Mounted:
    """One mount on a vault's mount point: type and source as text, its device, whether it is ours."""

    name: str
    device: str
    ours: bool


@dataclass(frozen=True, slots=True)
class CoverAlarm:
    """That a vault is not covered is an alarm since *since_ns*, for *cause*.

    *told_ns* is when it was told last, 0 if the same was told so shortly before that it was not told
    again; both since the epoch. *looked* tells whether a look at the mount point has shown it.
    """

    since_ns: int
    cause: str = ""
    told_ns: int = 0
    looked: bool = False
