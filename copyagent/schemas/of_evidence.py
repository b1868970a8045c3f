"""The shapes of evidence: history, report, verify, audit, generations and drill; pure."""

from collections.abc import Mapping
from typing import Final

from copyagent.core.audit import Flaw
from copyagent.core.copying import HoldReason
from copyagent.core.drill_list import Flaw as DrillFlaw
from copyagent.core.history import Kind
from copyagent.core.proofs import Outcome
from copyagent.core.service_level import PERCENTILES
from copyagent.core.witness import Host, Overlay, Verdict
from copyagent.schemas.shapes import (
    Schema,
    counts,
    flag,
    listed,
    number,
    or_null,
    scalar,
    text,
    texts,
    thing,
    time,
    whole,
    word,
)
from copyagent.transfer.published import Result

#: What every entry has.
_ENTRY: Final = {
    "number": whole("The entry's number, one more than that of the entry before"),
    "at": or_null(time("When the agent decided it")),
    "kind": word(Kind, "What it tells"),
    "tape": text("The tape, empty if it is about none"),
    "target": text("The target, empty if it is about none"),
    "generation": whole("The tape's generation, 0 if it is about none"),
    "settings": text("The SHA-256 of the settings file in force"),
    "chain": text("The entry's value in the chain of digests"),
}

_CHANGE: Final = {
    "verdict": word(Verdict, "The verdict"),
    "row": whole("Its number in the table of verdicts"),
    "overlay": word(Overlay, "What the overlay said, in one word"),
    "host": word(Host, "What the host said, in one word"),
    "mounted": text("Host, request and ring of the mount, empty without one"),
    "changes": text("Changes without a session"),
    "sessions": whole("How many sessions there were"),
    "wrote": flag("Whether any of them wrote"),
    "bytes": whole("Bytes that they wrote"),
    "size": or_null(whole("The tape's size afterwards, null if not known")),
    "modified": or_null(time("When it was changed last")),
    "opened": or_null(time("When the first session began")),
    "ended": or_null(time("When the last one, or the mount, ended")),
    "again": flag("Whether the same sessions were judged before"),
    "copy_to": text("The targets that get a copy by it"),
    "held_at": text("The targets for which it is held"),
    "action": text("What follows, in words"),
}

_COPIED: Final = {
    "size": or_null(whole("The copy's size")),
    "sent": whole("Bytes that were sent"),
    "skipped": whole("Bytes that were at the target already"),
    "resumed": whole("Of those what an earlier attempt had sent"),
    "way": text("How the target came by it"),
    "root": text("The digest of the chunk map"),
    "sha256": text("The SHA-256 in hex, empty where it was not computed"),
    "verified": text("How the target's bytes were compared"),
    "attempts": or_null(whole("Which attempt it was, null if it was superseded meanwhile")),
    "took_s": or_null(number("How long it took, in seconds")),
    "modified": or_null(time("The date of the tape")),
    "published": or_null(time("When it was published")),
}

#: What entries of each kind have besides.
FACTS: Final[Mapping[Kind, Mapping[str, Schema]]] = {
    Kind.COPIED: _COPIED,
    Kind.FAILED: {"attempts": or_null(whole("Attempts made")), "cause": text("Why it failed")},
    Kind.HELD: {"reason": word(HoldReason, "Why it is held"), "cause": text("More about it")},
    Kind.DOUBTED: {"cause": text("What was found wrong"), "user": text("By whom")},
    Kind.CANCELLED: {"user": text("Who cancelled it"), "because": text("Why")},
    Kind.KEPT: {"how": text("What became of the tape here: erased or deleted")},
    Kind.DISMOUNTED: _CHANGE,
    Kind.CHANGED: _CHANGE,
    Kind.ACTION: {
        "user": text("Who acted"),
        "action": text("What was done"),
        "object": text("To what"),
        "because": text("The reason given"),
        "old": text("The state before"),
        "new": text("The state after"),
    },
    Kind.LOADED: {
        "how": text("start, reload or SIGHUP"),
        "user": text("Who asked for it"),
        "redacted": text("The SHA-256 of what is kept of the settings"),
    },
    Kind.STOPPED: {"how": text("What ended the agent")},
    Kind.ALARM: {
        "message": whole("The message's ID"),
        "severity": text("Its severity"),
        "text": text("Its text"),
    },
    Kind.PRUNED: {
        "count": whole("Entries that are kept no longer"),
        "first": whole("The first of them"),
        "last": whole("The last of them"),
        "until": or_null(time("When the last of them was written")),
        "value": text("Its value in the chain"),
    },
    Kind.CHAINED: {
        "first": whole("The first entry that was written without a chain"),
        "last": whole("The last of them"),
        "count": whole("How many there are"),
    },
}
_MAYBE: Final = {
    "done": time("When an act was done of which the agent learned later"),
    "waiting": text("Keys that only a restart brings in"),
    "left": text("Pools that left AutoCopy with unprotected tapes"),
}

_ALL_FACTS: Final = {
    name: scalar("It depends on kind what this is") | {"$comment": "see allOf"}
    for facts in (*FACTS.values(), _MAYBE)
    for name in facts
}


def _by_kind(more: Mapping[str, Schema]) -> Schema:
    """Return an entry of any kind, with *more* keys."""
    return thing({**_ENTRY, **more}, _ALL_FACTS) | {
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": str(kind)}}, "required": ["kind"]},
                "then": {
                    "properties": {name: fact for name, fact in facts.items() if name not in more},
                    "required": list(facts),
                },
            }
            for kind, facts in FACTS.items()
        ]
    }


HISTORY: Final = _by_kind({})

HISTORY_VERIFY: Final = thing(
    {
        "file": text("The state file that was looked at"),
        "intact": flag("Whether everything is as it was written"),
        "count": whole("Entries that there are"),
        "first": whole("The number of the first, 0 without any"),
        "last": whole("The number of the last"),
        "first_at": or_null(time("When the first was written")),
        "last_at": or_null(time("When the last was written")),
        "newest": text("Number and value of the newest: what to note down"),
        "chained_later": whole("The last entry that a release without a chain wrote, 0: none"),
        "pruned": whole("Entries that are kept no longer"),
        "marks": whole("Marks, noted down or in the event log, that agree"),
        "marks_pruned": whole("Marks of entries that are kept no longer"),
        "fault_count": whole("How much is wrong"),
        "faults": texts("What is wrong, the first of it"),
    }
)

_FIGURES: Final = {
    "owed": whole("Copies that dismounts and changes called for"),
    "due": whole("Those of which the time is over, or that are made"),
    "within": whole("Those that were made within the time"),
    "late": whole("Those that were made later"),
    "missing": whole("Those that are due and not made"),
    "not_yet_due": whole("Those that have time yet"),
    "later_generation": whole("Those that a copy of a later generation stands for"),
    "moot": whole("Those whose tape was erased here, or replaced by a peer's, before"),
    "percent": or_null(number("Within of due, cut, not rounded; null if nothing is due")),
    **{
        f"p{percent}_s": or_null(
            number(f"Seconds that {percent} of 100 took at the most; null: not made yet")
        )
        for percent in PERCENTILES
    },
}
_SHOWN: Final = thing(
    {
        "number": whole("The number of the dismount's entry"),
        "tape": text("The tape"),
        "target": text("The target"),
        "generation": whole("The generation"),
        "ended": or_null(time("When it ended")),
        "outcome": word(Outcome, "What became of it"),
        "took_s": or_null(number("Seconds until it was copied")),
        "age_s": or_null(whole("Seconds since then, if it is not copied")),
        "due": flag("Whether its time is over"),
        "why": text("What keeps it"),
    }
)

REPORT: Final = thing(
    {
        "system": text("The system's name"),
        "from": or_null(time("From when on")),
        "to": or_null(time("Up to when")),
        "now": or_null(time("When the report was made")),
        "begins": or_null(time("When the history begins, if that is within the time")),
        "within_s": number("The time that a copy may take, in seconds"),
        "goal_percent": or_null(number("The goal")),
        "met": or_null({"type": "boolean", "description": "Whether it is met; null without one"}),
        "dismounts": whole("Dismounts"),
        "judged_again": whole("Verdicts on the same sessions once more"),
        "changes": whole("Changes without a session"),
        "needed_copy": whole("Those after which at least one target was owed a copy"),
        "needed_none": whole("Those of which nothing needed to be copied"),
        "verdicts": counts("Verdicts"),
        "total": thing(_FIGURES, meaning="The figures of all pools and targets together"),
        "ways": listed(
            thing({"pool": text("The pool"), "target": text("The target"), **_FIGURES}),
            "The figures of each pool and target",
        ),
        "worst": listed(_SHOWN, "What took longest"),
        "open": listed(_SHOWN, "What is not copied"),
        "open_left_out": whole("How many more"),
        "happened": counts("Entries of the history by kind"),
        "causes": counts("Why copies failed or are held"),
        "unseen": counts("Verdicts on what was not seen by both witnesses, or not to the end"),
        "gaps": listed(
            thing({"at": or_null(time("When")), "what": text("What was missed")}),
            "Times at which a witness may have missed something",
        ),
        "gaps_left_out": whole("How many more"),
    }
)

REPORT_PROOFS: Final = _by_kind({}) | {
    "description": "An entry of the history; a dismount, or change, with what became of it"
}
REPORT_PROOFS["properties"] = REPORT_PROOFS["properties"] | {
    "outcome": word(Outcome, "What became of the dismount at the target"),
    "cause": scalar("What keeps an open one; else as in the history"),
    "took_s": or_null(number("Seconds from its end to the publication")),
    "copy": or_null(whole("The number of the copy's entry")),
    "copy_generation": or_null(whole("The generation that was copied")),
    **{name: scalar(f"Of the copy: {name}") for name in ("root", "sha256", "verified", "way")},
}

VERIFY: Final = thing(
    {
        "tape": text("The tape"),
        "target": text("The target"),
        "generation": or_null(whole("The generation on record")),
        "size": or_null(whole("Its size")),
        "result": word(Result, "What was found"),
        "how": text("How it was looked at"),
        "detail": text("What is wrong, or worth knowing"),
        "wrong": listed(
            {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
            "Byte ranges that differ, as far as they could be told: from, up to without",
        ),
        "told": text("What the agent did when it was told"),
    }
)

AUDIT: Final = thing(
    {"pool": text("The pool"), "target": text("The target")},
    {
        "name": text("The file's name"),
        "flaw": word(Flaw, "What is wrong with it"),
        "why": text("More about it"),
        "good": whole("Last line: files that are as they should be"),
        "in_use": whole("Last line: tapes that are in use here"),
        "kept": whole("Last line: copies of tapes that are erased here"),
        "flaws": counts("Last line: flaws by kind"),
        "held": whole("Last line: tapes that are held"),
        "commands": texts("Last line: what mends them"),
    },
) | {
    "oneOf": [
        {"required": ["name", "flaw", "why"]},
        {"required": ["good", "in_use", "kept", "flaws", "held", "commands"]},
    ]
}

_GENERATION: Final = {
    "target": text("The target"),
    "generation": whole("The generation"),
    "published": flag("Whether it stands under the tape's name"),
    "name": or_null(text("The name of a kept one in the staging directory")),
    "size": whole("Its size"),
    "at": or_null(time("When it was published")),
    "modified": or_null(time("The date of the tape")),
    "root": text("The digest of the chunk map"),
    "sha256": text("The SHA-256 in hex, empty where it was not computed"),
    "verified": text("How it was compared"),
    "doubted": flag("Whether it was found wrong since"),
}

FETCH: Final = thing(
    {
        "tape": text("The tape"),
        "path": text("The file that was made"),
        "received": whole("Bytes that came over the line"),
        **_GENERATION,
    }
)

GENERATIONS: Final = thing(
    {
        "tape": text("The tape"),
        "told_by_targets": texts("Targets whose own record was believed for want of the agent"),
        "generations": listed(
            thing(_GENERATION),
            "What each target has, newest first",
        ),
    }
)

DRILL: Final = thing(
    {
        "system": text("The system's name"),
        "target": text("The target"),
        "vaults": listed(
            thing(
                {
                    "vault": text("The vault there"),
                    "at": or_null(time("When it was looked at")),
                    "list": text("The file with the list"),
                    "check": text("The file for sha256sum -c"),
                    "check_sha256": text("The SHA-256 of that file"),
                    "tapes": whole("Tapes in it"),
                    "digests": counts("How their digests were come by"),
                    "flaws": listed(
                        thing(
                            {
                                "tape": text("The tape"),
                                "flaw": or_null(word(DrillFlaw, "What is wrong")),
                                "detail": text("More about it"),
                            }
                        ),
                        "What is not in order",
                    ),
                }
            ),
            "The vaults",
        ),
        "unprotected": listed(
            thing(
                {
                    "tape": text("The tape"),
                    "since": or_null(time("Since when it is lacking")),
                    "state": text("Its state"),
                    "why": text("Why"),
                }
            ),
            "What the target lacks at this moment",
        ),
    }
)
