"""The shapes of what acts, and of documents about the set-up: answers, doctor, reload; pure."""

from typing import Final

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
from copyagent.transfer.findings import Result

#: What every command that acts says.
ANSWERS: Final = thing({"answers": texts("What was done, and what comes of it, a sentence each")})

DOCTOR: Final = thing(
    {
        "ok": flag("Whether nothing is wrong anywhere"),
        "targets": listed(
            thing(
                {
                    "target": text("The target"),
                    "host": text("Its host"),
                    "failed": whole("Steps that failed"),
                    "steps": listed(
                        thing(
                            {
                                "step": text("What was looked at"),
                                "result": word(Result, "How it went"),
                                "detail": text("What was seen"),
                                "remedy": or_null(text("What to do")),
                            }
                        ),
                        "The steps in their order",
                    ),
                }
            ),
            "The targets that were examined",
        ),
    }
)

RELOAD: Final = thing(
    {
        "result": word(("applied", "unchanged", "dry run"), "What was done"),
        "file": text("The settings file"),
        "sha256": text("The SHA-256 of the file as it was read"),
        "changes": listed(
            thing(
                {
                    "key": text("The dotted key"),
                    "old": {"description": "What it was, as the file writes it; null if not there"},
                    "new": {"description": "What it is to be, likewise"},
                    "takes_effect": text("When it takes effect"),
                }
            ),
            "What differs from what is in force",
        ),
        "consequences": texts("What that means"),
        "waiting": texts("Keys that only a restart brings in"),
        "left_unprotected": texts("What leaves AutoCopy unprotected"),
        "begun_anew": texts("Parts of the agent that were begun anew"),
    }
)

CHECK: Final = thing(
    {
        "file": text("The settings file"),
        "sha256": or_null(text("The SHA-256 of the file, null if it cannot be read")),
        "in_order": flag("Whether it can be taken"),
        "problems": texts("What is wrong with it"),
        "away": texts("What it names and is not there"),
        "counts": counts("How much of each kind it names"),
        "agent": word(
            ("same", "other", "none", "unknown"), "How the agent that runs stands to the file"
        ),
        "waiting_for_restart": texts("Keys that only a restart brings in"),
        "not_checked": texts("What was not looked at, and what does so"),
    }
)

CONFIG_SHOW: Final = thing(
    {
        "file": text("The settings file"),
        "named_by": text("How it came about that this file is read"),
        "sha256": text("Its SHA-256"),
        "settings": listed(
            thing(
                {
                    "key": text("The dotted key"),
                    "value": {"description": "Its value, as the file writes it"},
                    "from": word(("file", "default"), "Where it is from"),
                    "line": or_null(whole("The line it stands on")),
                }
            ),
            "The settings, in the order of the manual",
        ),
    }
)

KEYS_INIT: Final = thing(
    {
        "target": text("The target"),
        "key": thing(
            {
                "path": text("The file with the private key"),
                "kind": text("The key's kind"),
                "fingerprint": text("Its fingerprint"),
                "made": flag("Whether it was made now"),
            },
            meaning="The key that we log in with",
        ),
        "authorized_keys": text("The line that belongs into authorized_keys there"),
        "sshd_config": text("What belongs at the end of sshd_config there, if nobody else logs in"),
        "host_key": thing(
            {
                "kind": text("The key's kind"),
                "fingerprint": text("Its fingerprint"),
                "pinned": word(("already", "by authority", "now"), "How it came to be pinned"),
            },
            meaning="The key by which the target is known",
        ),
    }
)

_LEVEL: Final = ("OK", "WARNING", "CRITICAL", "UNKNOWN")

CHECK_HEALTH: Final = thing(
    {
        "status": word(_LEVEL, "How things stand, as monitoring plugins say it"),
        "exit": whole("The exit status that goes with it"),
        "summary": text("The first line without figures"),
        "findings": listed(
            thing({"status": word(_LEVEL, "How bad it is"), "text": text("What it is")}),
            "What is not as it should be, the worst first",
        ),
        "figures": listed(
            thing(
                {
                    "label": text("What is measured"),
                    "value": number("How much it is"),
                    "unit": text("s for seconds, or empty"),
                    "warning": or_null(number("From where on it is a warning")),
                    "critical": or_null(number("From where on it is critical")),
                }
            ),
            "The figures",
        ),
    }
)

SUPPORT_BUNDLE: Final = thing(
    {
        "file": text("The file that was made"),
        "parts": texts("What is in it"),
        "left_out": listed(
            thing({"name": text("What is not in it"), "why": text("Why")}), "What is not in it"
        ),
    }
)

NOTIFY: Final = thing(
    {
        "number": whole("Counts the messages that the command was to be told of"),
        "id": text("The message's ID, six digits"),
        "severity": text("Its severity"),
        "kind": or_null(text("What it is about, as notify.on names it")),
        "at": or_null(time("When it was written")),
        "system": text("The system's name"),
        "text": text("The message's text"),
        "next_step": text("What to do"),
        "fields": {"type": "object", "description": "What the text names: tape, target, and so on"},
    }
)

_TIME_NS: Final = {"type": "integer", "description": "In nanoseconds since the epoch"}

OVERLAY: Final = thing(
    {
        "vault": text("The vault"),
        "mountpoint": text("Where the tape engine finds it"),
        "backing": text("Where its tapes lie"),
        "attached": flag("Whether its overlay is there and answers"),
        "silent": flag("Whether its overlay is there and does not answer"),
        "dead": flag("Whether a dead overlay covers it"),
        "installed": or_null(text("The release that is installed; null from source")),
    },
    {
        "pid": or_null(whole("The overlay's process")),
        "since_ns": _TIME_NS,
        "version": text("The overlay's release"),
        "open_tapes": listed(
            thing(
                {
                    "tape": text("The tape"),
                    "access": text("How it is open"),
                    "since_ns": _TIME_NS,
                    "pids": listed({"type": "integer"}, "The processes that have it open"),
                    "bytes_written": whole("Bytes that were written"),
                    "settling": flag("Whether it is closed and being made durable"),
                }
            ),
            "Tapes that are open",
        ),
        "open_files": whole("Files that are open"),
        "known_files": whole("Files that the kernel knows of"),
        "unclean": flag("Whether the vault has to be swept"),
        "subscribers": whole("Agents that listen"),
        "outbox": thing(
            {
                "depth": whole("Signals that wait for the agent"),
                "failure": or_null(text("Why it cannot be written")),
                "id": text("Its random name"),
                "floor": whole("The number up to which the agent has taken them in"),
                "highest": whole("The number of the last"),
            },
            meaning="The signals that must not be lost",
        ),
        "encryption": {"type": "object", "description": "Encrypted tapes and their keys"},
        "unforeseen_errors": {"type": "object", "description": "Errors that nobody foresaw"},
    },
)

VERSION: Final = thing(
    {
        "version": text("The release that runs: a package's with its revision, or the source's"),
        "installed": or_null(text("The release that is installed by now; null from source")),
        "python": text("The release of Python that it runs on"),
        "directory": or_null(text("Where the package's files lie; null from source")),
        "bundled": or_null(
            listed(
                thing(
                    {
                        "name": text("The component"),
                        "version": or_null(text("Its release; null where nobody tells it")),
                        "licence": text("Its licence, as an expression of SPDX"),
                        "within": or_null(text("The component in whose binaries it lies, if any")),
                        "url": or_null(text("Its home")),
                        "sha256": or_null(text("The SHA-256 of the one file it was made from")),
                        "texts": texts("Where its licence lies below the directory"),
                    }
                ),
                "What is bundled, if that was asked for; empty from source",
            )
        ),
    }
)
