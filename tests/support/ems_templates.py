"""Printed tape events and what they mean, as Hypothesis strategies.

Texts come from the templates of the event management manual, put together here by hand: nothing
of the agent's own reading is used, but for the types that the answer is given in.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from copyagent.core.host_events import (
    DeviceAccepted,
    DeviceRequested,
    DeviceUse,
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
    VolumeMounted,
    VolumeSubstituted,
)

HOST = "DEV2"
Case = tuple[int, str, HostEvent | None]
"""Event number, text, and the event it means."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
volumes = st.one_of(
    st.text(_LETTERS, min_size=1, max_size=6),
    st.sampled_from(["IBM", "TMF", "NO", "WITH", "TAPE", "REEL", "RING", "X00001"]),
)
plain_volumes = st.text(_LETTERS, min_size=6, max_size=6)
drives = st.sampled_from(["$VTAPE0", "$VTAPE1", "$TAPE", "\\DEV2.$VT"])
requests = st.integers(0, 9999)
_COMMENT_WORDS = (
    *("NIGHTLY", "BACKUP", "NO", "RING", "WITH", "ON", "$VTAPE9"),
    *("PLEASE", "MOUNT", "VOLUME", "MOUNTED", "ABENDED", "9904", "$ZSVR:"),
    *("-", "06-09-14", "22:00:01", "\\DEV2.$ZSVR", "STATUS", "1512", "TAPE"),
    *("DISMOUNTED", "FROM", "DRIVE"),
)
comments = st.lists(st.sampled_from(_COMMENT_WORDS), max_size=12).map(" ".join)


@st.composite
def mount_requests(draw: st.DrawFn) -> Case:
    request, ring = draw(requests), draw(st.sampled_from(Ring))
    label = draw(st.sampled_from([LabelType.ANSI, LabelType.IBM, LabelType.TMF]))
    volume, drive = draw(volumes), draw(st.none() | drives)
    out = ring is Ring.WITH_RING
    number = {
        LabelType.ANSI: (601, 600),
        LabelType.IBM: (604, 603),
        LabelType.TMF: (610, 609),
    }[label][out]
    words = [f"{request:04d} MOUNT", "" if label is LabelType.ANSI else label.value, volume]
    words += [f"REEL {draw(st.integers(1, 255))}"] if draw(st.booleans()) else []
    words += [f"DENSITY {draw(st.sampled_from([800, 1600, 6250]))}"] if draw(st.booleans()) else []
    words += [f"ON {drive}" if drive else "", "WITH RING" if out else "NO RING", draw(comments)]
    drive = drive.upper() if drive else None
    event = MountRequested(HOST, request, volume, ring, drive, label)
    return number, " ".join(words), event


@st.composite
def scratch_requests(draw: st.DrawFn) -> Case:
    request, drive, ibm = draw(requests), draw(st.none() | drives), draw(st.booleans())
    words = [f"{request:04d} MOUNT", "IBM" if ibm else "", "SCRATCH TAPE", "      " if ibm else ""]
    words += [f"ON {drive}" if drive else "", "WITH RING", draw(comments)]
    label = LabelType.IBM if ibm else LabelType.ANSI
    event = MountRequested(HOST, request, None, Ring.WITH_RING, drive, label, scratch=True)
    return 605 if ibm else 602, " ".join(words), event


@st.composite
def esm_requests(draw: st.DrawFn) -> Case:
    volume, drive, ring = draw(plain_volumes), draw(drives), draw(st.sampled_from(Ring))
    alias = draw(st.text(_LETTERS, min_size=1, max_size=20))
    text = f"MOUNT ESM {volume} ON {drive} {ring.value.upper()} ALIAS = {alias}"
    event = MountRequested(HOST, None, volume, ring, drive, LabelType.ESM, alias=alias)
    return 705 if ring is Ring.WITH_RING else 706, text, event


@st.composite
def ends_of_requests(draw: st.DrawFn) -> Case:
    n, v, d = draw(requests), draw(volumes), draw(drives)
    number, words, event = draw(
        st.sampled_from(
            [
                (648, f"VOLUME {v} MOUNTED", VolumeMounted(HOST, n, v)),
                (
                    651,
                    f"REQUEST FOR VOLUME {v} REJECTED BY OPERATOR",
                    RequestEnded(HOST, n, v, RequestOutcome.REJECTED),
                ),
                (
                    653,
                    f"REQUEST FOR DEVICE {d} REJECTED BY OPERATOR",
                    RequestEnded(HOST, n, None, RequestOutcome.REJECTED, d),
                ),
                (649, "REQUEST CANCELLED", RequestEnded(HOST, n, None, RequestOutcome.CANCELLED)),
                (652, f"REQUEST FOR DEVICE {d} ACCEPTED BY OPERATOR", DeviceAccepted(HOST, n, d)),
            ]
        )
    )
    return number, f"{n:04d} {words}", event


@st.composite
def device_requests(draw: st.DrawFn) -> Case:
    n, d = draw(requests), draw(drives)
    number, wish, use = draw(
        st.sampled_from(
            [
                (606, "UNLABELED", DeviceUse.UNLABELLED),
                (607, "WITH NO LABEL PROTECTION", DeviceUse.BYPASS_LABELS),
            ]
        )
    )
    text = f"{n:04d} REQUEST TO USE {d} {wish} {draw(comments)}"
    return number, text, DeviceRequested(HOST, n, d, use)


@st.composite
def uses(draw: st.DrawFn) -> Case:
    v, w, d, user = draw(volumes), draw(plain_volumes), draw(drives), "\\DEV2.$Z4F1"
    number, status, words, event = draw(
        st.sampled_from(
            [
                (638, 1504, f"{v} TAPE OPENED ON {d}", TapeOpened(HOST, v, d)),
                (638, 1504, f"TAPE OPENED ON {d}", TapeOpened(HOST, None, d)),
                (699, 1516, f"{v} TAPE ON DRIVE {d} USED BY {user}", TapeInUse(HOST, v, d, user)),
                (659, 1512, f"{v} TAPE DISMOUNTED FROM DRIVE {d}", TapeDismounted(HOST, v, d)),
                (
                    640,
                    1506,
                    f"UNREQUESTED ANSI TAPE {v} ONLINE ON {d}",
                    TapeOnline(HOST, v, d, LabelType.ANSI),
                ),
                (
                    639,
                    1505,
                    f"UNREQUESTED NL TAPE ONLINE ON {d}",
                    TapeOnline(HOST, None, d, LabelType.UNLABELLED),
                ),
                (703, 1518, f"TAPE {w} USED INSTEAD OF TAPE {v}", VolumeSubstituted(HOST, v, w)),
            ]
        )
    )
    return number, f"STATUS {status} - {words}", event


@st.composite
def notices(draw: st.DrawFn) -> Case:
    takeover = "STATUS 1517 - TAKEOVER BY BACKUP $ZSVR PROCESS STATUS: 3"
    failed = f"DISMOUNT OF ACS TAPE, {draw(volumes)}, FAILED"
    return draw(
        st.sampled_from(
            [
                (702, takeover, RequestsForgotten(HOST, takeover)),
                (673, f"ERROR 1015 - {failed}", TapeNotice(HOST, "ERROR", 1015, failed)),
            ]
        )
    )


@st.composite
def printed_cases(draw: st.DrawFn) -> Case:
    """Give any template's text, with or without the sender's prefix."""
    number, text, event = draw(
        st.one_of(
            mount_requests(),
            scratch_requests(),
            esm_requests(),
            device_requests(),
            ends_of_requests(),
            uses(),
            notices(),
        )
    )
    prefix = draw(st.sampled_from(["$ZSVR: ", ""]))
    return number, prefix + text, event


def placed(event: HostEvent | None, node: str, printed_at: str) -> HostEvent | None:
    """Give *event* the header's fields."""
    return event and replace(event, node=node, printed_at=printed_at)
