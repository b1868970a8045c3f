"""Every text that the tape server is known to print, and what it means.

Put together by hand from the manuals' templates: nothing of the agent's own reading is used, but
for the types that the answer is given in. `tests.support.ems_cases` draws from this for Hypothesis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from copyagent.core.host_events import (
    DeviceAccepted,
    DeviceRequested,
    DeviceUse,
    DismountFailed,
    HostEvent,
    LabelType,
    MountRequested,
    RequestEnded,
    RequestOutcome,
    RequestsForgotten,
    Ring,
    TapeDismounted,
    TapeInUse,
    TapeNotice,
    TapeOnline,
    TapeOpened,
    TapeRefused,
    VolumeMounted,
    VolumePassedOver,
    VolumeSubstituted,
)

HOST = "DEV2"
Case = tuple[int, str, HostEvent | None]
"""Event number, text, and the event it means."""


@dataclass(frozen=True, slots=True)
class Words:
    """What is put into a template; what is None or empty is left out of the text."""

    request: int = 42
    volume: str = "X00001"
    other: str = "N00014"
    drive: str = "$VTAPE0"
    reel: int | None = None
    density: int | None = None
    on: str | None = None
    comment: str = ""
    alias: str = "X00001.NIGHTLY.BACKUP"
    process: str = "\\DEV2.$Z4F1"


@dataclass(frozen=True, slots=True)
class Template:
    """One text of the manuals: its event number, its words, and what they mean.

    *numbered* texts begin with the request's number, *mounts* have the optional fields and the
    comment of a mount request. *sent_by_drive* texts are also printed with the name of the tape
    process that found the error in front, which then is the drive they are about.
    """

    number: int
    name: str
    text: Callable[[Words], str]
    meant: Callable[[Words], HostEvent | None]
    numbered: bool = False
    mounts: bool = False
    sent_by_drive: bool = False

    def case(self, words: Words) -> Case:
        """Give the text with *words* filled in, without a sender in front, and its meaning."""
        text = " ".join(self.text(words).split())
        return (
            self.number,
            f"{words.request:04d} {text}" if self.numbered else text,
            self.meant(words),
        )


def _mount(
    number: int, name: str, label: LabelType, ring: Ring, *, scratch: bool = False
) -> Template:
    kind = "" if label is LabelType.ANSI else label.value
    esm = label is LabelType.ESM

    def text(w: Words) -> str:
        tape = "SCRATCH TAPE" if scratch else w.volume
        fields = f"REEL {w.reel}" if w.reel is not None else ""
        fields += f" DENSITY {w.density}" if w.density is not None else ""
        fields += f" ON {w.on}" if w.on is not None else ""
        end = f"ALIAS = {w.alias}" if esm else w.comment
        return f"MOUNT {kind} {tape} {fields} {ring.value.upper()} {end}"

    def meant(w: Words) -> HostEvent:
        return MountRequested(
            HOST,
            None if esm else w.request,
            None if scratch else w.volume,
            ring,
            w.on.upper() if w.on else None,
            label,
            scratch,
            w.alias if esm else None,
        )

    return Template(number, name, text, meant, numbered=not esm, mounts=True)


def _device(number: int, name: str, wish: str, use: DeviceUse) -> Template:
    return Template(
        number,
        name,
        lambda w: f"REQUEST TO USE {w.drive} {wish} {w.comment}",
        lambda w: DeviceRequested(HOST, w.request, w.drive.upper(), use),
        numbered=True,
    )


def _online(number: int, status: int, words: str, label: LabelType) -> Template:
    return Template(
        number,
        f"online, {words}",
        lambda w: f"STATUS {status} - UNREQUESTED {words} TAPE {w.volume} ONLINE ON {w.drive}",
        lambda w: TapeOnline(HOST, w.volume, w.drive.upper(), label),
    )


def _notice(
    number: int, kind: str, code: int, text: Callable[[Words], str], **named: str
) -> Template:
    """Make a message that decides nothing; *named* says which of `Words` it names."""

    def meant(w: Words) -> HostEvent:
        values = {field: getattr(w, name) for field, name in named.items()}
        if "drive" in values:
            values["drive"] = values["drive"].upper()
        words = " ".join(text(w).split())
        return TapeNotice(HOST, kind.upper(), code, words, **values)

    return Template(
        number,
        f"{kind} {code}".lower(),
        lambda w: f"{kind} {code} - {text(w)}",
        meant,
        sent_by_drive=kind != "STATUS" and "drive" not in named,
    )


def _refused(
    number: int,
    code: int,
    text: Callable[[Words], str],
    *,
    found: bool = True,
    wanted: bool = False,
) -> Template:
    return Template(
        number,
        f"refused, error {code}",
        lambda w: f"ERROR {code} - {text(w)}",
        lambda w: TapeRefused(HOST, w.volume if found else None, None, w.other if wanted else None),
        sent_by_drive=True,
    )


def _ended(number: int, text: str, how: RequestOutcome, *, device: bool = False) -> Template:
    def meant(w: Words) -> HostEvent:
        drive = w.drive.upper() if device else None
        volume = w.volume if "{volume}" in text else None
        return RequestEnded(HOST, w.request, volume, how, drive)

    return Template(
        number,
        f"ended, {text}",
        lambda w: text.format(volume=w.volume, drive=w.drive),
        meant,
        numbered=True,
    )


_WITH, _NO = Ring.WITH_RING, Ring.NO_RING
_REJECTED, _CANCELLED = RequestOutcome.REJECTED, RequestOutcome.CANCELLED

MOUNTS = (
    _mount(600, "ZTAP-EVT-MOUNTOUT", LabelType.ANSI, _WITH),
    _mount(601, "ZTAP-EVT-MOUNTIN", LabelType.ANSI, _NO),
    _mount(602, "ZTAP-EVT-MOUNTSCRATCH", LabelType.ANSI, _WITH, scratch=True),
    _mount(603, "ZTAP-EVT-MTIBMOUT", LabelType.IBM, _WITH),
    _mount(604, "ZTAP-EVT-MTIBMIN", LabelType.IBM, _NO),
    _mount(605, "ZTAP-EVT-MTIBMSCRATCH", LabelType.IBM, _WITH, scratch=True),
    _mount(609, "ZTAP-EVT-MTTMFOUT", LabelType.TMF, _WITH),
    _mount(610, "ZTAP-EVT-MTTMFIN", LabelType.TMF, _NO),
    _mount(705, "ZTAP-EVT-MTESMOUT", LabelType.ESM, _WITH),
    _mount(706, "ZTAP-EVT-MTESMIN", LabelType.ESM, _NO),
)

REQUESTS = (
    _device(606, "ZTAP-EVT-REQNL", "UNLABELED", DeviceUse.UNLABELLED),
    _device(607, "ZTAP-EVT-REQBLP", "WITH NO LABEL PROTECTION", DeviceUse.BYPASS_LABELS),
    Template(
        608,
        "ZTAP-EVT-REQUNKNOWN",
        lambda w: f"UNKNOWN TAPE ON {w.drive}, ACCEPT OR MOUNT CORRECT TAPE TO PROCEED",
        lambda w: DeviceRequested(HOST, w.request, w.drive.upper(), DeviceUse.UNKNOWN_TAPE),
        numbered=True,
    ),
    Template(
        648,
        "ZTAP-EVT-ACCEPTMOUNT",
        lambda w: f"VOLUME {w.volume} MOUNTED",
        lambda w: VolumeMounted(HOST, w.request, w.volume),
        numbered=True,
    ),
    # No manual at hand has the words of 649, 650 and 653: these follow those of 651 and 652.
    _ended(649, "REQUEST CANCELLED", _CANCELLED),
    _ended(649, "REQUEST FOR VOLUME {volume} CANCELED", _CANCELLED),
    _ended(649, "MOUNT REQUEST FOR {volume} HAS BEEN CANCELLED", _CANCELLED),
    _ended(650, "REQUEST FOR DEVICE {drive} CANCELLED", _CANCELLED, device=True),
    _ended(651, "REQUEST FOR VOLUME {volume} REJECTED BY OPERATOR", _REJECTED),
    _ended(653, "REQUEST FOR DEVICE {drive} REJECTED BY OPERATOR", _REJECTED, device=True),
    Template(
        652,
        "ZTAP-EVT-ACCEPTDEVICE",
        lambda w: f"REQUEST FOR DEVICE {w.drive} ACCEPTED BY OPERATOR",
        lambda w: DeviceAccepted(HOST, w.request, w.drive.upper()),
        numbered=True,
    ),
    Template(
        634,
        "ZTAP-EVT-VOLUMEREJECT",
        lambda w: f"STATUS 502 - VOLUME {w.volume} REJECTED",
        lambda w: RequestEnded(HOST, None, w.volume, _REJECTED),
    ),
)

USES = (
    Template(
        638,
        "ZTAP-EVT-TAPEOPENED",
        lambda w: f"STATUS 1504 - {w.volume} TAPE OPENED ON {w.drive}",
        lambda w: TapeOpened(HOST, w.volume, w.drive.upper()),
    ),
    Template(
        638,
        "ZTAP-EVT-TAPEOPENED, no label",
        lambda w: f"STATUS 1504 - TAPE OPENED ON {w.drive}",
        lambda w: TapeOpened(HOST, None, w.drive.upper()),
    ),
    Template(
        639,
        "ZTAP-EVT-NLTAPEONLINE",
        lambda w: f"STATUS 1505 - UNREQUESTED NL TAPE ONLINE ON {w.drive}",
        lambda w: TapeOnline(HOST, None, w.drive.upper(), LabelType.UNLABELLED),
    ),
    _online(640, 1506, "ANSI", LabelType.ANSI),
    _online(641, 1507, "IBM", LabelType.IBM),
    _online(642, 1508, "OLD TMF", LabelType.TMF),
    _online(643, 1509, "BACKUP", LabelType.BACKUP),
    _online(644, 1510, "NEW TMF", LabelType.TMF),
    Template(
        704,
        "ZTAP-EVT-ESMTAPEONLINE",
        lambda w: (
            f"STATUS 1519 - UNREQUESTED ESM TAPE {w.volume} ONLINE ON {w.drive} ALIAS = {w.alias}"
        ),
        lambda w: TapeOnline(HOST, w.volume, w.drive.upper(), LabelType.ESM, w.alias),
    ),
    Template(
        659,
        "ZTAP-EVT-DISMOUNTED",
        lambda w: f"STATUS 1512 - {w.volume} TAPE DISMOUNTED FROM DRIVE {w.drive}",
        lambda w: TapeDismounted(HOST, w.volume, w.drive.upper()),
    ),
    Template(
        659,
        "ZTAP-EVT-DISMOUNTED, no label",
        lambda w: f"STATUS 1512 - TAPE DISMOUNTED FROM DRIVE {w.drive}",
        lambda w: TapeDismounted(HOST, None, w.drive.upper()),
    ),
    Template(
        699,
        "ZTAP-EVT-TAPEINUSE",
        lambda w: f"STATUS 1516 - {w.volume} TAPE ON DRIVE {w.drive} USED BY {w.process}",
        lambda w: TapeInUse(HOST, w.volume, w.drive.upper(), w.process.upper()),
    ),
    Template(
        703,
        "ZTAP-EVT-FSEQMATCH",
        lambda w: f"STATUS 1518 - TAPE {w.other} USED INSTEAD OF TAPE {w.volume}",
        lambda w: VolumeSubstituted(HOST, w.volume, w.other),
    ),
    Template(
        702,
        "takeover",
        lambda _: "STATUS 1517 - TAKEOVER BY BACKUP $ZSVR PROCESS STATUS: 3",
        lambda _: RequestsForgotten(
            HOST, "STATUS 1517 - TAKEOVER BY BACKUP $ZSVR PROCESS STATUS: 3"
        ),
    ),
)

REFUSALS = (
    _refused(612, 1, lambda _: "CANNOT PERFORM VOLUME RECOGNITION. ERROR 218", found=False),
    _refused(614, 3, lambda w: f"WRONG TAPE, {w.volume} MOUNTED, SHOULD BE {w.other}", wanted=True),
    _refused(
        615, 4, lambda w: f"WRONG TAPE, NOT LABELED, SHOULD BE {w.other}", found=False, wanted=True
    ),
    _refused(616, 5, lambda w: f"WRONG TAPE, {w.volume} MOUNTED, USE UNLABELED TAPE"),
    _refused(617, 6, lambda w: f"VOLUME {w.volume} IS ANSI TAPE, NOT IBM TAPE AS REQUIRED"),
    _refused(618, 7, lambda w: f"VOLUME {w.volume} IS IBM TAPE, NOT ANSI TAPE AS REQUIRED"),
    _refused(622, 11, lambda w: f"VOLUME {w.volume} IS IBM TAPE, NOT BACKUP TAPE AS REQUESTED"),
    _refused(623, 12, lambda w: f"VOLUME {w.volume} IS ANSI TAPE, NOT TMF TAPE AS REQUESTED"),
    _refused(629, 18, lambda _: "WRONG TAPE, NOT LABELED, USE SCRATCH TAPE", found=False),
    _refused(666, 19, lambda w: f"WRONG TAPE, {w.volume} MOUNTED, MOUNT CORRECT TAPE"),
    _refused(
        672,
        1014,
        lambda w: f"Ejecting mismatched tape, internal: {w.volume}, external {w.other}",
        wanted=True,
    ),
    Template(
        674,
        "ZTAP-EVT-SSIWRONGTYPE",
        lambda w: f"ERROR 1016 - ACS TAPE {w.volume} MOUNTED ON {w.drive} IS WRONG LABEL TYPE",
        lambda w: TapeRefused(HOST, w.volume, w.drive.upper()),
    ),
    Template(
        673,
        "ZTAP-EVT-SSIDISMOUNT",
        lambda w: f"ERROR 1015 - DISMOUNT OF ACS TAPE, {w.volume}, FAILED",
        lambda w: DismountFailed(HOST, w.volume),
    ),
    *(
        Template(
            number,
            f"passed over, {words}",
            lambda w, words=words: f"ERROR {words.format(w.volume)}, SELECTING ALTERNATE",  # type: ignore[misc]  # a default binds the loop's value
            lambda w: VolumePassedOver(HOST, w.volume),
        )
        for number, words in (
            (679, "1021 - VOLUME {} CAN NOT BE USED"),
            (679, "1021 - Volume {} cannot be used"),
            (680, "1022 - VOLUME {} IS NOT ASSIGNED"),
        )
    ),
)

NOTICES = (
    _notice(626, "ERROR", 15, lambda w: f"BAD TRAILER LABELS {w.volume} NIGHTLY", volume="volume"),
    _notice(628, "ERROR", 17, lambda _: "TAPE PROCESS INTERNAL ERROR, BAD NUMBER: 9"),
    _notice(
        637, "STATUS", 1503, lambda w: f"EXECUTED TAPECOM ACCEPT {w.request:04d}", request="request"
    ),
    _notice(645, "WARNING", 901, lambda _: "FILE NIGHTLY TRAILER LABELS ERROR"),
    _notice(
        654,
        "WARNING",
        904,
        lambda w: f"VOLUME {w.volume} DENSITY CHANGED TO 1600 FROM 6250",
        volume="volume",
    ),
    _notice(
        656, "WARNING", 906, lambda w: f"VOLUME {w.volume} IS 6250 INSTEAD OF 1600", volume="volume"
    ),
    _notice(
        657,
        "WARNING",
        907,
        lambda w: f"VOLUME {w.volume} IS STREAM INSTEAD OF STARTSTOP",
        volume="volume",
    ),
    _notice(
        658,
        "WARNING",
        908,
        lambda w: f"VOLUME {w.volume} ON {w.drive} IS NOT EXPIRED",
        volume="volume",
        drive="drive",
    ),
    _notice(669, "Error", 1011, lambda _: "SSI retryable error: 12"),
    _notice(670, "Error", 1012, lambda _: "SSI non-retryable error: 13"),
    _notice(671, "Error", 1013, lambda _: "All tape drives busy, queuing ACS request"),
    _notice(
        687,
        "STATUS",
        1514,
        lambda w: f"Connection to {w.drive} completed successfully",
        drive="drive",
    ),
    _notice(688, "Error", 1029, lambda _: "Tapefile NIGHTLY.BACKUP terminated abnormally"),
    _notice(689, "STATUS", 1515, lambda _: "Connection to TPTM completed successfully"),
    _notice(689, "ERROR", 1515, lambda _: "CONNECTION TO TPTM COMPLETED SUCCESSFULLY"),
    _notice(693, "Error", 1033, lambda _: "TPTM rejected labeling request with error 7."),
    _notice(
        695,
        "WARNING",
        909,
        lambda w: f"{w.volume} ON {w.drive} DOES NOT ALLOW REQUESTED DENSITY/TAPEMODE",
        volume="volume",
        drive="drive",
    ),
    _notice(
        696,
        "ERROR",
        1035,
        lambda w: f"NO TAPE FOUND IN CORRECT ACS FOR {w.drive}, WILL RETRY",
        drive="drive",
    ),
    _notice(
        697,
        "ERROR",
        1036,
        lambda w: f"ALTER TAPEMOUNT {w.request:04d} FAILED WITH ERROR -3",
        request="request",
    ),
    _notice(698, "ERROR", 1037, lambda _: "TAPE AUTO SUBSTITUTE FOR =TAPE FAILED WITH ERROR -4"),
    _notice(702, "ERROR", 1039, lambda _: "LOCAL MEDIADBM VERSION IS INCOMPATIBLE WITH ZSERVER"),
    _notice(707, "ERROR", 1040, lambda _: "TPTM WRITEREAD ERROR: 14"),
    _notice(709, "ERROR", 1042, lambda _: "TPTM IS NOT CONFIGURED, REQUEST ABORTED"),
    _notice(
        713,
        "STATUS",
        1520,
        lambda w: f"ACS DRIVE {w.drive} is busy, will retry the continuation",
        drive="drive",
    ),
)

TEMPLATES = (*MOUNTS, *REQUESTS, *USES, *REFUSALS, *NOTICES)


def every_form(template: Template) -> Iterator[Words]:
    """Go through all combinations of a template's optional fields."""
    if not template.mounts:
        yield Words()
        yield Words(
            request=7, comment="PLEASE MOUNT WITH NO RING", process="2,171", drive="\\DEV2.$VT"
        )
        return
    comments = ("", "NO RING", "WITH RING PLEASE", "-", "06-09-14 22:00:01 \\DEV2.$ZSVR NO RING")
    for reel, density, on, comment in product(
        (None, 1, 255), (None, 800, 6250), (None, "$VTAPE0", "\\DEV2.$VTAPE1"), comments
    ):
        yield Words(reel=reel, density=density, on=on, comment=comment)


def placed(event: HostEvent | None, node: str, printed_at: str) -> HostEvent | None:
    """Give *event* the header's fields."""
    return event and replace(event, node=node, printed_at=printed_at)
