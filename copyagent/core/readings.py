"""What a host's event was taken to mean, and what an overlay reported, in an operator's words."""

import re
from dataclasses import fields
from enum import Enum
from typing import Final

from copyagent.core.host_events import (
    CaughtUp,
    DeviceAccepted,
    DeviceRequested,
    DismountFailed,
    EventsMissed,
    HostEvent,
    LinkLost,
    LinkUp,
    MountRequested,
    OthersHeard,
    PolicyCommand,
    RequestEnded,
    RequestsForgotten,
    SetAside,
    TapeDismounted,
    TapeInUse,
    TapeNotice,
    TapeOnline,
    TapeOpened,
    TapeRefused,
    Unrecognised,
    VolumeMounted,
    VolumePassedOver,
    VolumeSubstituted,
)
from vtsfs.contract.signals import Access, Kind, Signal

#: What one field of a host event is in a document.
Scalar = str | int | bool | None

_HEADER: Final = {field.name for field in fields(HostEvent)}
#: A flood of events is written down, too: each kind is looked at once.
_FORMS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {}
_NO_TAPE: Final = "a tape without a label"


def kind_of(event: HostEvent) -> str:
    """Name the kind of *event* in lower case: ``mount requested``."""
    return _form(event)[0]


def _form(event: HostEvent) -> tuple[str, tuple[str, ...]]:
    """Return a kind's name in words, and the names of its fields beside header and printed text."""
    name = type(event).__name__
    form = _FORMS.get(name)
    if form is None:
        names = (field.name for field in fields(event))
        words = re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
        read = tuple(name for name in names if name not in _HEADER and name != "text")
        form = _FORMS[name] = words, read
    return form


def fields_of(event: HostEvent) -> dict[str, Scalar]:
    """Return what was read from *event* beside its header, by name; texts as printed are left out."""
    found: dict[str, Scalar] = {}
    for name in _form(event)[1]:
        value = getattr(event, name)
        if value is not None and value is not False:
            found[name] = _scalar(value)
    return found


def volumes_in(event: HostEvent) -> tuple[str, ...]:
    """Return the volumes that *event* names."""
    named = (getattr(event, name, None) for name in ("volume", "wanted", "used"))
    return tuple(volume for volume in named if volume)


def in_words(event: HostEvent) -> str:
    """Say what *event* was understood to mean."""
    match event:
        case MountRequested():
            return _mount_requested(event)
        case DeviceRequested(drive=drive, use=use):
            return f"{drive} asked for: {use.value}{_by_number(event.request)}"
        case VolumeMounted(volume=volume):
            return f"{volume} mounted{_by_number(event.request)}"
        case DeviceAccepted(drive=drive):
            return f"{drive} given by the operator{_by_number(event.request)}"
        case RequestEnded(how=how):
            what = event.volume or event.drive
            of = f" of {what}" if what else ""
            return f"request{of} {how.value}{_by_number(event.request)}"
        case TapeOpened(volume=volume, drive=drive):
            return f"{volume or _NO_TAPE} opened on {drive}"
        case TapeInUse(volume=volume, drive=drive, process=process):
            return f"{volume or _NO_TAPE} on {drive} in use by {process}"
        case TapeDismounted(volume=volume, drive=drive):
            return f"{volume or _NO_TAPE} dismounted{f' from {drive}' if drive else ''}"
        case TapeOnline(volume=volume, drive=drive):
            return f"{volume or _NO_TAPE} found on {drive}, not asked for"
        case VolumeSubstituted(wanted=wanted, used=used):
            return f"{used} used in place of {wanted}"
        case TapeRefused(volume=volume, drive=drive, wanted=wanted):
            place = f" on {drive}" if drive else ""
            meant = f", {wanted} is wanted" if wanted else ""
            return f"{volume or _NO_TAPE}{place} refused and unloaded{meant}"
        case VolumePassedOver(volume=volume):
            return f"{volume} cannot be used, another tape is going to be asked for"
        case DismountFailed(volume=volume):
            return f"{volume} could not be dismounted"
        case _:
            return _of_no_tape(event)


def signal_in_words(signal: Signal) -> str:
    """Say what an overlay reported."""
    what = f"/{signal.vault}/{signal.pool}" if signal.tape is None else str(signal.tape)
    match signal.kind:
        case Kind.MOUNTED:
            how = "to be read" if signal.access is Access.READ else "to be written"
            return f"{what} opened {how}"
        case Kind.DISMOUNTED | Kind.INTERRUPTED:
            end = "closed" if signal.kind is Kind.DISMOUNTED else "cut off"
            wrote = f"{signal.bytes_written} bytes written" if signal.wrote else "nothing written"
            return f"{what} {end}, {wrote}"
        case _:
            of = f" from {signal.origin}" if signal.origin else ""
            cause = f" ({signal.cause})" if signal.cause else ""
            return f"{what} {signal.kind.value}{of}{cause}"


def _of_no_tape(event: HostEvent) -> str:
    match event:
        case RequestsForgotten():
            return "the tape server has lost its open requests"
        case TapeNotice(kind=kind, code=code):
            return f"{kind.lower()} {code} of the tape server, decides nothing"
        case PolicyCommand():
            return "VTSPolicy command"
        case Unrecognised():
            return "not understood"
        case SetAside(why=why):
            return f"set aside: {why}"
        case LinkUp():
            return "the link is up"
        case CaughtUp():
            return "nothing was missed while the link was down"
        case OthersHeard(count=count):
            return f"{count} events of other subsystems"
        case EventsMissed(why=why):
            return f"events may be missing: {why}"
        case LinkLost(why=why):
            return why.removeprefix(f"EMS link to {event.host}: ")
        case _:
            return kind_of(event)


def _mount_requested(event: MountRequested) -> str:
    volume = "a scratch tape" if event.volume is None else event.volume
    if event.scratch and event.volume is not None:
        volume = f"scratch tape {event.volume}"
    drive = f" on {event.drive}" if event.drive else ""
    alias = f", alias {event.alias}" if event.alias else ""
    label = f", {event.label_type.value} label" if event.label_type.value != "ANSI" else ""
    request = _by_number(event.request)
    return f"mount of {volume} asked for{drive} {event.ring.value.upper()}{label}{alias}{request}"


def _by_number(request: int | None) -> str:
    return "" if request is None else f" (request {request})"


def _scalar(value: object) -> Scalar:
    if isinstance(value, Enum):
        value = value.value
    return value if isinstance(value, str | int | bool | None) else str(value)
