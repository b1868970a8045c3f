"""What a NonStop host said about its tapes, as the decisions see it.

One class per kind of statement. They are made from printed EMS events by ``copyagent.ems`` and
consumed by the pairing of witnesses (DESIGN section 5). Nothing here knows how an event looks in
print, and nothing here carries a time to calculate with: ``printed_at`` is the host's own clock,
two-digit year, unknown zone, and is for display only.

Host events can be lost, repeated, late, reordered, and (over Telnet) forged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final


class Ring(Enum):
    """Say whether the host asked for a tape it may write (with ring) or only read (no ring)."""

    WITH_RING = "with ring"
    NO_RING = "no ring"


class LabelType(Enum):
    """Name the kind of label that a request or a tape found on a drive was printed with."""

    ANSI = "ANSI"
    IBM = "IBM"
    BACKUP = "BACKUP"
    TMF = "TMF"
    ESM = "ESM"
    UNLABELLED = "unlabelled"


class DeviceUse(Enum):
    """Name what a request that gives only a drive wants of it (events 606, 607 and 608)."""

    UNLABELLED = "unlabelled tape"
    BYPASS_LABELS = "no label protection"
    UNKNOWN_TAPE = "unknown tape on the drive"


class RequestOutcome(Enum):
    """Name the ways in which a request ends without a mount."""

    REJECTED = "rejected"
    CANCELLED = "cancelled"


class LinkTrouble(Enum):
    """Name why there is no EMS session, coarse enough to choose an alarm by."""

    UNREACHABLE = "cannot connect"
    TIMED_OUT = "no answer in time"
    HOST_KEY_REJECTED = "host key not accepted"
    NO_AGREEMENT = "no common encryption"
    LOGIN_REFUSED = "log-on refused"
    NO_TERMINAL = "no terminal given"
    UNEXPECTED_PROMPT = "unexpected prompt"
    DISTRIBUTOR_FAILED = "distributor not running"
    DISCONNECTED = "connection lost"
    SILENT = "nothing heard for too long"
    FILE_UNREADABLE = "file of events cannot be read"


NEXT_STEPS: Final[Mapping[LinkTrouble, str]] = {
    LinkTrouble.UNREACHABLE: "Check address and port, and that the host's server runs.",
    LinkTrouble.TIMED_OUT: "Check the host's server, or raise response_timeout or connect_timeout.",
    LinkTrouble.HOST_KEY_REJECTED: (
        "Find out why first. If the host got a new key, compare it over another channel, then put "
        "it into known_hosts."
    ),
    LinkTrouble.NO_AGREEMENT: "Check the ciphers and key exchanges that the host's SSH allows.",
    LinkTrouble.NO_TERMINAL: "Let the SSH user have a terminal and that command at the host.",
    LinkTrouble.LOGIN_REFUSED: (
        "Check user and password file or key, and that the host has not frozen the user."
    ),
    LinkTrouble.UNEXPECTED_PROMPT: (
        "Check login and service, or set that step's expression under prompts."
    ),
    LinkTrouble.DISTRIBUTOR_FAILED: "Try the distributor command by hand at a TACL prompt.",
    LinkTrouble.DISCONNECTED: "Check the network if it stays so; the agent tries again by itself.",
    LinkTrouble.SILENT: "Check the distributor's filter; the agent tries again by itself.",
    LinkTrouble.FILE_UNREADABLE: "Mend that; the agent tries again by itself.",
}
"""What an operator is to do; it ends the sentence that says why there is no session."""


@dataclass(frozen=True, slots=True)
class Printed:
    """Hold an event as the host printed it, for the journal; nothing is decided by it.

    *process* sent it (``$ZSVR``, or ``cpu,pin``), *critical* is the mark before the subsystem ID,
    *text* stands on one line. The password of a link was taken out of it.
    """

    process: str
    ssid: str
    number: int
    text: str
    critical: bool = False


@dataclass(frozen=True, slots=True)
class HostEvent:
    """Hold what every statement of a host has: which host link it came over, and its header.

    *host* is the name of the link in the settings; *node* is the system name in the event's
    header (with its backslash, empty if none was printed), which can differ from it. *printed* is
    None for what the link itself has to say, and where nobody wants to see it.
    """

    host: str
    node: str = field(default="", kw_only=True)
    printed_at: str = field(default="", kw_only=True)
    printed: Printed | None = field(default=None, kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class MountRequested(HostEvent):
    """Tell that a mount was asked for: the only event that says with ring or no ring.

    *volume* is None for a scratch request: the completion with the same *request* number names
    it. *request* wraps from 9999 to 0, and is None where the host printed none (ESM forms).
    """

    request: int | None
    volume: str | None
    ring: Ring
    drive: str | None = None
    label_type: LabelType = LabelType.ANSI
    scratch: bool = False
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceRequested(HostEvent):
    """Tell that a job asked for a drive without naming a volume, nor a ring."""

    request: int | None
    drive: str
    use: DeviceUse


@dataclass(frozen=True, slots=True)
class VolumeMounted(HostEvent):
    """Tell that request number *request* was met by *volume*."""

    request: int | None
    volume: str


@dataclass(frozen=True, slots=True)
class DeviceAccepted(HostEvent):
    """Tell that the operator gave *drive* to the job of request number *request*."""

    request: int | None
    drive: str


@dataclass(frozen=True, slots=True)
class RequestEnded(HostEvent):
    """Tell that a request was rejected or cancelled: no mount comes of it.

    Cancellation's wording is not documented (events 649 and 650), so *volume* and *drive* can
    both be None; the request number is what identifies it.
    """

    request: int | None
    volume: str | None
    how: RequestOutcome
    drive: str | None = None


@dataclass(frozen=True, slots=True)
class TapeOpened(HostEvent):
    """Tell that a job opened a tape; *volume* is None for an unlabelled one."""

    volume: str | None
    drive: str


@dataclass(frozen=True, slots=True)
class TapeInUse(HostEvent):
    r"""Tell which process uses *volume*: ``\NODE.$NAME`` or ``cpu,pin``."""

    volume: str | None
    drive: str
    process: str


@dataclass(frozen=True, slots=True)
class TapeDismounted(HostEvent):
    """Tell that the host has done with *volume*; *volume* is None for an unlabelled tape."""

    volume: str | None
    drive: str | None


@dataclass(frozen=True, slots=True)
class TapeOnline(HostEvent):
    """Tell that a tape nobody had requested was found on *drive*.

    It can serve a later request, without a mount request being printed for it.
    """

    volume: str | None
    drive: str
    label_type: LabelType
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class VolumeSubstituted(HostEvent):
    """Tell that *used* is written or read where *wanted* was asked for; *wanted* is not mounted."""

    wanted: str
    used: str


@dataclass(frozen=True, slots=True)
class TapeRefused(HostEvent):
    """Tell that the tape found on *drive* does not meet the request, and is unloaded unused.

    *volume* is the tape that was found, None if it has no label; *wanted* is the one asked for,
    None where the message does not say. The request stays open: another tape is waited for.
    """

    volume: str | None
    drive: str | None = None
    wanted: str | None = None


@dataclass(frozen=True, slots=True)
class VolumePassedOver(HostEvent):
    """Tell that *volume* was asked for and cannot be used: another one is going to be asked for."""

    volume: str


@dataclass(frozen=True, slots=True)
class DismountFailed(HostEvent):
    """Tell that *volume* could not be dismounted: it may still be on its drive."""

    volume: str


@dataclass(frozen=True, slots=True)
class RequestsForgotten(HostEvent):
    """Tell that the host's tape server lost its pending requests (take-over or abend)."""

    why: str


@dataclass(frozen=True, slots=True)
class TapeNotice(HostEvent):
    """Hold an ERROR, WARNING or STATUS message that was understood and decides nothing.

    *kind* is the first word in capitals and *code* the number after it, as printed. *volume* and
    *drive* are what it names, *request* the request it speaks of.
    """

    kind: str
    code: int
    text: str
    volume: str | None = None
    drive: str | None = None
    request: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyCommand(HostEvent):
    """Hold a ``VTSPolicy`` command as printed, from the word VTSPolicy on. Not yet trusted."""

    text: str


@dataclass(frozen=True, slots=True)
class Unrecognised(HostEvent):
    """Hold the text of a tape-subsystem event that no known template fits.

    It may be a mount, a dismount, or nothing of importance: count it and show it.
    *number* is the event number of the header.
    """

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class SetAside(HostEvent):
    """Tell that an event was understood and is to change nothing; *why* is a phrase.

    So are the events that a replay brings a second time. *told* tells that it was told before in
    this session, in a form that was not whole yet.
    """

    why: str
    told: bool = False


@dataclass(frozen=True, slots=True)
class LinkUp(HostEvent):
    """Tell that the session to *host* is logged on and its distributor prints events.

    What was said while there was no session is either replayed after this, or told to be missing
    by `EventsMissed`.
    """


@dataclass(frozen=True, slots=True)
class CaughtUp(HostEvent):
    """Tell that what comes after it follows on the last event seen before the link was lost.

    All that *host* said meanwhile was said since the `LinkUp`, or comes next: nothing is missing.
    """


@dataclass(frozen=True, slots=True)
class OthersHeard(HostEvent):
    """Tell that *count* events of other subsystems were printed since the last time this was told.

    The header is that of the latest of them: how far the host was heard. Nothing is decided by it.
    """

    count: int


@dataclass(frozen=True, slots=True)
class EventsMissed(HostEvent):
    """Tell that events of *host* may have been missed, up to this point: a gap.

    What the host said before it may be incomplete from here on, so its silence is no denial.
    *why* is a phrase for the operator.
    """

    why: str


@dataclass(frozen=True, slots=True)
class LinkLost(HostEvent):
    """Tell that there is no session to *host*, and why; events may be missed from now on.

    *why* is a sentence for the operator with the cause and the next step. It never holds a
    password.
    """

    why: str
    trouble: LinkTrouble


@dataclass(frozen=True, slots=True)
class LoginRefused(LinkLost):
    """Tell that there is no session because *host* refused the log-on.

    Somebody has to act: unlike other trouble of a link, this seldom goes away by itself.
    """

    trouble: LinkTrouble = LinkTrouble.LOGIN_REFUSED
