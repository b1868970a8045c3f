"""Everything the engine can ask for, in the imperative. Only the runner carries them out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from copyagent.core.copying import CopyJob
from vtsfs.contract.messages import Message
from vtsfs.contract.naming import TapeId


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Ask the overlay of *vault* for every signal after number *after*."""

    vault: str
    after: int


@dataclass(frozen=True, slots=True)
class SweepVault:
    """Look at every watched tape of *vault*."""

    vault: str
    why: str


@dataclass(frozen=True, slots=True)
class StartCopy:
    """Make the copy that *job* describes."""

    job: CopyJob


@dataclass(frozen=True, slots=True)
class StopCopy:
    """Stop the running copy of *tape* to *target* before it publishes anything."""

    tape: TapeId
    target: str
    why: str


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """Find out whether *target* answers."""

    target: str


@dataclass(frozen=True, slots=True)
class Say:
    """Write *message* to the event log."""

    message: Message
    fields: Mapping[str, str] = field(default_factory=dict)


Command = Subscribe | SweepVault | StartCopy | StopCopy | ProbeTarget | Say
