"""Each dismount leaves an entry of its own: what the witnesses said of it, and what follows.

That is what an auditor counts: a tape that was mounted with no ring, or in which nothing was
written, needs no copy, but it has to be seen that somebody knew.
"""

from collections.abc import Mapping
from typing import Final

from copyagent.core import tape as states
from copyagent.core.dates import iso, iso_ms
from copyagent.core.history import History, Kind
from copyagent.core.host_mount import HostMount
from copyagent.core.records import Judgement, TapeRecord
from copyagent.core.time import Moment
from copyagent.core.witness import NUMBERS, Evidence, Verdict

#: Verdicts from which nothing follows, however the copies stand.
_NOTHING_FOLLOWS: Final = frozenset(
    {Verdict.READ_ONLY, Verdict.UNCONFIRMED, Verdict.RECEIVED, Verdict.NONE}
)

_GOES_ON: Final = (*states.PENDING, states.Copying)


def put_on_record(
    history: History,
    record: TapeRecord,
    evidence: Evidence,
    before: Mapping[str, states.State],
    now: Moment,
) -> None:
    """Write down the judgement of *record* that was just reached by *evidence*, and what followed.

    *before* is how its copies stood. Sessions that were judged before, without the host or by
    another mount, are entered again when that is judged anew, and the entry says so.
    """
    judged = record.judgement
    if judged is None:
        return
    sessions, mount, identity = evidence.sessions, judged.mount, record.identity
    closed_ns = max((session.closed_ns for session in sessions), default=0)
    copies, holds, kept = _followed(judged, record, before)
    history.add(
        Kind.DISMOUNTED if sessions or mount is not None else Kind.CHANGED,
        now.wall_ns,
        tape=record.tape,
        generation=record.generation,
        verdict=judged.verdict.value,
        row=NUMBERS[judged.verdict],
        overlay=judged.overlay,
        host=judged.host,
        mounted=_described(mount),
        changes=", ".join(dict.fromkeys(evidence.changes)),
        sessions=len(sessions),
        wrote=any(session.wrote for session in sessions),
        bytes=sum(session.bytes_written for session in sessions),
        size=None if identity is None else identity.size,
        modified=None if identity is None else iso(identity.mtime_ns),
        opened=iso_ms(min((session.opened_ns for session in sessions), default=0)),
        ended=iso_ms(max(closed_ns, mount.dismounted_ns if mount is not None else 0)),
        again=bool(evidence.judged_ns),
        copy_to=" ".join(copies),
        held_at=" ".join(holds),
        action="; ".join([*(f"copy to {each}" for each in copies), *holds.values(), *kept])
        or "none",
    )


def _followed(
    judged: Judgement, record: TapeRecord, before: Mapping[str, states.State]
) -> tuple[list[str], dict[str, str], list[str]]:
    """Return the targets that are to get a copy by this, and in words what is held or kept."""
    copies: list[str] = []
    holds: dict[str, str] = {}
    kept: list[str] = []
    for target, copy in record.copies.items():
        after = copy.state
        if judged.verdict in _NOTHING_FOLLOWS and after is before.get(target):
            continue
        if isinstance(after, _GOES_ON) and after.generation == record.generation:
            copies.append(target)
        elif isinstance(after, states.Held):
            holds[target] = f"hold at {target} ({after.reason})"
        elif isinstance(after, states.Kept):
            kept.append(f"copy at {target} kept ({after.how} here)")
    return copies, holds, kept


def _described(mount: HostMount | None) -> str:
    """Name the host's mount as it was told: host, request, ring."""
    if mount is None:
        return ""
    request = "" if mount.request is None else f" request {mount.request:04}"
    ring = "" if mount.ring is None else f" {mount.ring.value}"
    return f"{mount.host}{request}{ring}"
