"""The shapes of documents about hosts: their events, their links, trials and rehearsals; pure."""

from typing import Final

from copyagent.core.host_events import LinkTrouble
from copyagent.schemas.of_tapes import EXPLAIN
from copyagent.schemas.shapes import (
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

_TROUBLES: Final = [trouble.value for trouble in LinkTrouble]

_EVENT: Final = {
    "number": whole("The event's number in the agent's journal"),
    "at": or_null(time("When it arrived")),
    "host": text("The host"),
    "kind": text("What it is taken for"),
    "reading": text("How it was read, in words"),
    "fields": {"type": "object", "description": "What was read from it, by name"},
    "tapes": texts("The tapes that it can be about"),
    "node": or_null(text("The host's node")),
    "printed_at": or_null(text("The time that the host printed, by its own clock")),
    "printed_at_utc": or_null(text("The same in UTC, where its zone is known")),
    "process": or_null(text("The process that reported it")),
    "ssid": or_null(text("The subsystem")),
    "event": or_null({"type": "integer", "description": "The event number"}),
    "critical": or_null({"type": "boolean", "description": "Whether it was printed as critical"}),
    "text": or_null(text("The text as printed")),
}

#: An event within another document; it has the version, too.
_WITHIN: Final = thing({"schema": {"const": 1}, **_EVENT})

EVENTS: Final = {
    "type": "object",
    "required": ["at"],
    "properties": {
        **_EVENT,
        "signal": {"type": "object", "description": "What an overlay reported, as the feed has it"},
    },
    "oneOf": [{"required": list(_EVENT)}, {"required": ["signal"]}],
}

LINK: Final = thing(
    {
        "host": text("The host's name in the settings"),
        "access": text("telnet, ssh or file"),
        "address": text("Its address, or the file"),
        "up": flag("Whether the link is up"),
        "since": or_null(time("Since when")),
        "trouble": text("Why it is down, or empty"),
        "trouble_kind": or_null(word(_TROUBLES, "The same in one word")),
        "alarm": or_null(time("When its loss was told last")),
        "lost_since": or_null(time("Since when it is lost")),
        "events": whole("What it said about tapes since the agent began"),
        "last_event": or_null(time("When it said something last")),
        "last_printed_at": or_null(text("What its clock showed then")),
        "last_printed_at_utc": or_null(text("The same in UTC, where its zone is known")),
        "silent_s": or_null(whole("Seconds since then")),
        "losses": whole("How often the link was lost since the agent began"),
        "gaps": whole("How often events may have been missed, in all"),
        "last_gap": or_null(time("When that was last")),
        "last_gap_why": or_null(text("Why")),
        "caught_up": flag("Whether what was missed is told, or told to be missing"),
        "vaults": texts("The vaults that it can mean; empty: all"),
        "policy": flag("Whether its VTSPolicy commands are obeyed"),
        "connections": whole("Connections since the agent began"),
        "events_of_all_kinds": whole("Events of whatever subsystem"),
        "heartbeats": whole("Keep-alives that came back"),
        "unrecognised": whole("Events of the tape server that were not understood"),
        "garbage_lines": whole("Lines that are no event"),
        "garbage": texts("The last of them"),
        "asked": thing(
            {
                "obeyed": whole("Commands that were obeyed"),
                "refused": whole("Commands that were wrong"),
                "too_many": whole("Commands beyond the limit of an hour"),
                "elsewhere": whole("Commands for another system"),
                "left_alone": whole("Commands that are not AutoCopy's"),
                "latest": or_null(text("The latest, and what came of it")),
                "latest_at": or_null(time("When that was")),
            },
            meaning="What became of its VTSPolicy commands",
        ),
        "notify": or_null(
            thing(
                {
                    "waiting": whole("Messages that wait to be told"),
                    "told": whole("Messages that were told"),
                    "refused": whole("Messages that the host did not take"),
                    "dropped": whole("Messages that were dropped"),
                    "sessions": whole("Sessions for it"),
                    "trouble": or_null(text("What is wrong")),
                },
                meaning="How telling the host of alarms fares, null where it is not told",
            )
        ),
        "other_events": counts("Events of other subsystems, by subsystem"),
    }
)

EMS_STATUS: Final = thing(
    {
        "system": text("The system's name"),
        "at": or_null(time("The time of the answer")),
        "hosts": listed(LINK, "The links"),
    },
    {"stale": flag("True if the agent does not run, and this is its last known state")},
)

EMS_TEST: Final = thing(
    {
        "host": text("The host"),
        "access": text("telnet, ssh or file"),
        "ok": flag("Whether the link can be made"),
        "steps": listed(
            thing(
                {
                    "at_s": number("Seconds since the beginning"),
                    "step": text("The step that was begun"),
                }
            ),
            "How far it came",
        ),
        "events": whole("Events that came"),
        "garbage_lines": whole("Lines that are no event"),
        "garbage": texts("The last of them"),
        "latest": listed(_WITHIN, "The last events"),
        "failure": or_null(
            thing(
                {
                    "trouble": word(_TROUBLES, "What went wrong, in one word"),
                    "step": text("At which step"),
                    "expected": or_null(text("What was expected")),
                    "came": or_null(text("What came instead")),
                    "text": text("The same in a sentence"),
                },
                meaning="Why it cannot be made, null if it can",
            )
        ),
    }
)

EMS_REPLAY: Final = thing(
    {
        "system": text("The system's name"),
        "begins": or_null(text("When the recording begins")),
        "clock": text("Where the times are from"),
        "steps": listed(
            thing(
                {
                    "at_s": number("Seconds since the beginning"),
                    "what": text("Who did something: host, overlay, verdict, state, message, copy"),
                    "text": text("What, in words"),
                },
                {"details": {"type": "object", "description": "The same by name"}},
            ),
            "What would have happened",
        ),
        "other_events": counts("Events of other subsystems, by subsystem"),
        "garbage_lines": whole("Lines that are no event"),
        "garbage": texts("The last of them"),
        "tapes": listed(
            thing({"schema": {"const": 1}} | EXPLAIN["properties"]),
            "How each tape stands at the end",
        ),
    }
)
