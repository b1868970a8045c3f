"""The shapes of documents about tapes and their copies: status, explain, tapes and queue; pure."""

from typing import Final

from copyagent.core.copying import Errand
from copyagent.core.licence import Standing
from copyagent.core.shown_states import REASONS, Word
from copyagent.core.witness import Host, Overlay, Verdict
from copyagent.schemas.shapes import (
    Schema,
    counts,
    flag,
    listed,
    number,
    or_null,
    text,
    texts,
    thing,
    time,
    whole,
    word,
)
from vtsfs.contract.signals import Access

_REASONS: Final = sorted({reason for reasons in REASONS.values() for reason in reasons})

PUBLISHED: Final = thing(
    {
        "generation": whole("Which generation of the tape the target has"),
        "size": whole("Its size in bytes"),
        "sha256": text("Its SHA-256 in hex, empty where it was not computed"),
        "verified": text("How the target's bytes were compared"),
        "at": or_null(time("When it was published")),
    },
    meaning="What was last published under the tape's name at the target",
)

_COPY: Final = {
    "target": text("The target's name"),
    "state": text("The state as printed, such as retry 3/12 or held (conflict)"),
    "word": word(Word, "The state without what is the tape's own"),
    "reason": or_null(word(_REASONS, "What is waited for, or why it is held or kept")),
    "since": or_null(time("Since when it is in this state")),
    "why": text("Why it is in this state"),
    "next": text("What comes next by itself, or what an operator has to do"),
    "commands": texts("Commands of an operator that mean something for it now"),
    "protected": flag("Whether the target has the tape as it is now, or needs nothing of it"),
    "trouble": or_null(
        word(
            ("transient", "permanent", "held"),
            "Who can mend it: time, somebody at the target, an operator here",
        )
    ),
    "asked": or_null(word(Errand, "What an operator wants of the next copy besides a copy")),
    "kept_back": or_null(
        thing(
            {
                "by": text("Who holds the tape's copies back"),
                "because": text("Why"),
                "since": or_null(time("Since when")),
            },
            meaning="The operator's hold, if there is one",
        )
    ),
}
_COPY_MAYBE: Final = {
    "attempts": whole("Attempts that have failed"),
    "attempts_of": whole("Attempts in all"),
    "published": PUBLISHED,
}
_TAPE: Final = {
    "tape": text("The tape's whole name"),
    "generation": whole("The tape's present generation"),
    "size": or_null(whole("Its size in bytes, null if not known")),
}

_SESSION: Final = thing(
    {
        "access": word(Access, "How the tape was opened"),
        "opened": or_null(time("When it was opened first")),
        "closed": or_null(time("When it was released last")),
        "wrote": flag("Whether anything was written"),
        "bytes": whole("Bytes that were written"),
        "interrupted": flag("Whether the overlay ended before the last release"),
    },
    meaning="A session: from a first open to the last release",
)
_MOUNT: Final = thing(
    {
        "host": text("The host's name"),
        "volume": text("The volume that the host names"),
        "ring": or_null(text("with ring or no ring, null if it was not told")),
        "request": or_null(whole("The number of the mount request")),
        "drive": or_null(text("The drive")),
        "requested": or_null(time("When the mount was asked for")),
        "mounted": or_null(time("When it was met")),
        "opened": or_null(time("When the host opened it")),
        "dismounted": or_null(time("When the host dismounted it")),
        "link_lost_since": flag("Whether the link was lost while it was mounted"),
    },
    meaning="What a host said of one mount",
)

EXPLAIN: Final = thing(
    {
        **_TAPE,
        "at": or_null(time("The time of the answer")),
        "modified": or_null(time("When the tape was changed last")),
        "protected": flag("Whether every target has all there is"),
        "unprotected_since": or_null(time("Since when some target lacks it")),
        "evidence": thing(
            {
                "open": listed(_SESSION, "Sessions that have not ended"),
                "overlay": listed(_SESSION, "Sessions that ended and are not judged"),
                "changes": texts("Changes without a session that are not judged"),
                "host": or_null(_MOUNT),
            },
            meaning="What the witnesses say and nobody has judged yet",
        ),
        "verdict": or_null(
            thing(
                {
                    "verdict": word(Verdict, "The verdict"),
                    "at": or_null(time("When it was reached")),
                    "generation": whole("On which generation"),
                    "overlay_said": word(Overlay, "What the overlay says, in one word"),
                    "host_said": word(Host, "What the host says, in one word"),
                    "sessions": listed(_SESSION, "The sessions it rests on"),
                    "changes": texts("The changes it rests on"),
                    "host_mount": or_null(_MOUNT),
                },
                meaning="The last verdict",
            )
        ),
        "copies": listed(thing(_COPY, _COPY_MAYBE), "How the tape stands at each target"),
        "history": listed(
            thing({"at": or_null(time("When")), "what": text("What happened")}),
            "The last of what happened to it, oldest first",
        ),
    }
)

TAPES: Final = thing({**_TAPE, **_COPY}, _COPY_MAYBE)

QUEUE: Final = thing(
    {
        "at": or_null(time("The time of the answer")),
        "targets": listed(
            thing(
                {
                    "target": text("The target's name"),
                    "running": whole("Copies that run"),
                    "pending": whole("Copies that come"),
                    "bytes": whole("What all of them have to send, at the most"),
                    "left_out": whole("Pending ones that are not listed"),
                    "copies": listed(
                        thing(
                            {
                                **_TAPE,
                                **_COPY,
                                "place": whole("Its place in the order, 0: it runs"),
                                "due": or_null(time("When it is due, null: now")),
                                "bytes": whole("What it has to send, at the most"),
                            },
                            _COPY_MAYBE,
                        ),
                        "Those that run, then the others in the order of their turn",
                    ),
                }
            ),
            "The targets by name",
        ),
    }
)

_PAUSE: Final = or_null(
    thing(
        {
            "since": or_null(time("Since when")),
            "until": or_null(time("When it ends by itself, null: never")),
            "by": text("Who paused it"),
            "because": text("Why"),
        },
        meaning="An operator's pause",
    )
)

_POOL: Final = thing(
    {
        "pool": text("The pool"),
        "target": text("The target that gets it"),
        "tapes": whole("Its tapes"),
        "protected": whole("Tapes that the target has as they are now, or needs not"),
        "unprotected": whole("All others"),
        "oldest_unprotected_s": or_null(whole("For how many seconds one is lacking, the longest")),
        "behind_after_s": number("How long one may be owed, in seconds; 0: however long"),
        "owed": whole("Unprotected ones that nobody has had open since"),
        "oldest_owed_s": or_null(whole("For how many seconds one is owed, the longest")),
        "behind_since": or_null(time("Since when the pool has fallen behind")),
        "paused": _PAUSE,
        "states": counts("Tapes by state, as printed, without times of their own"),
    }
)

_RUNNING: Final = thing(
    {
        "tape": text("The tape"),
        "target": text("The target"),
        "phase": text("What the copy is doing"),
        "done": whole("Bytes of the phase that are done"),
        "total": whole("Bytes of the phase"),
        "rate": whole("Bytes per second, of late"),
        "left_s": or_null(whole("Seconds that the phase takes yet, if it goes on so")),
    }
)

_VAULT: Final = thing(
    {
        "vault": text("The vault"),
        "attached": flag("Whether its overlay reports to the agent"),
        "covered": flag("Whether it is under its overlay, by its mount point and by the overlay"),
        "uncovered_why": or_null(text("Why it is not")),
        "uncovered_since": or_null(time("Since when it is not, once that is an alarm")),
        "since": or_null(time("Since when")),
        "trouble": text("What is wrong, or empty"),
        "swept": flag("Whether every tape was looked at since the agent began"),
        "unread_pools": texts("Watched pools that cannot be read"),
        "not_tapes": whole("Names in watched pools that are not tapes'"),
        "not_tapes_examples": texts("Some of them"),
        "version": text("Its overlay's release, or empty before it has reported"),
    }
)

_TARGET: Final = thing(
    {
        "target": text("The target"),
        "up": flag("Whether nothing is known to be wrong with it"),
        "trouble": text("What is wrong, or worth knowing"),
        "since": or_null(time("Since when")),
        "running": whole("Copies that run"),
        "paused": _PAUSE,
        "window": or_null(
            thing(
                {
                    "hours": text("The daily window, local time"),
                    "open": flag("Whether it is open"),
                    "turns_in_s": whole("In how many seconds it opens or closes"),
                },
                meaning="The daily window, null: always open",
            )
        ),
    }
)

LICENCE: Final = thing(
    {
        "standing": word(Standing, "How this system stands with its licence"),
        "copying": flag("Whether copies are made"),
        "why": text("Why, in words"),
        "next": text("What to do"),
        "judged_on": text("The day, in UTC, that it is judged by"),
        "clock_behind": flag("Whether the clock is behind that day"),
        "days_left": or_null({"type": "integer", "description": "Days until it expires"}),
        "installed": or_null(time("When it was installed")),
        "installed_by": or_null(text("By whom")),
        "fault": or_null(text("Why the token cannot be used")),
        "feature": or_null(text("The feature that it is for")),
        "system": or_null(text("The system that it is for")),
        "customer": or_null(text("To whom it was issued")),
        "serial": or_null(text("Its serial number")),
        "issued": or_null(text("The day of its issue")),
        "expires": or_null(text("The last day on which it is valid")),
        "grace_ends": or_null(text("The last day on which copies are made all the same")),
    }
)

SETTINGS: Final = thing(
    {
        "file": text("The settings file"),
        "sha256": text("The SHA-256 of what is in force"),
        "since": or_null(time("Since when it is in force")),
        "by": text("Who had it taken over"),
        "not_in_force": or_null(text("Why the file as it is now is not in force")),
        "waiting_for_restart": texts("Keys that only a restart brings in"),
    }
)

NOTIFY: Final = thing(
    {
        "waiting": whole("Messages that wait for the command"),
        "told": whole("Messages that it was run for"),
        "failed": whole("Times that it failed"),
        "left_out": whole("Messages that were too many, and are told by their count"),
        "trouble": or_null(text("What is wrong with it")),
    },
    meaning="How the site's own command for alarms fares, null without one",
)


def status(host: Schema) -> Schema:
    """Return the shape of the whole state; *host* is that of one link."""
    return thing(
        {
            "system": text("The system's name"),
            "version": text("The agent's release"),
            "at": or_null(time("The time of the answer")),
            "licence": LICENCE,
            "pools": listed(_POOL, "Each watched pool at each of its targets"),
            "attention": listed(
                thing({"tape": text("The tape"), **_COPY}, _COPY_MAYBE),
                "Copies that are lacking, the oldest first",
            ),
            "attention_left_out": whole("How many more are lacking"),
            "copies": listed(_RUNNING, "Copies that run"),
            "hosts": listed(host, "The links to hosts"),
            "vaults": listed(_VAULT, "The vaults with watched pools"),
            "targets": listed(_TARGET, "The targets"),
        },
        {
            "installed": or_null(text("The release that is installed; null from source")),
            "settings": SETTINGS,
            "notify": or_null(NOTIFY),
            "stale": flag("True if the agent does not run, and this is its last known state"),
        },
    )
