"""Every document that ``--json`` prints: its name, its version, its form and its schema; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from copyagent.schemas import of_evidence, of_hosts, of_set_up, of_tapes
from copyagent.schemas.shapes import Schema

#: The draft that the schemas are written in.
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Document:
    """One kind of document. *by* are the commands that print it; *lines*: one a line, any number.

    The version stands in each document, and in each line, as ``schema``. *title* says what it is; a
    kind that no command prints is given to the site's own command for alarms.
    """

    name: str
    title: str
    shape: Schema
    by: tuple[str, ...]
    lines: bool = False
    version: int = 1

    @property
    def file(self) -> str:
        """The name of the file that the schema is kept in."""
        return f"{self.name}-{self.version}.json"

    def schema(self) -> Schema:
        """Return the whole schema; of one line where there are several."""
        shape = self.shape
        return {
            "$schema": DRAFT,
            "$id": f"urn:vts-autocopy:schema:{self.name}:{self.version}",
            "title": self.title,
            **shape,
            "required": ["schema", *shape["required"]],
            "properties": {
                "schema": {
                    "const": self.version,
                    "description": "The version of this kind of document",
                },
                **shape["properties"],
            },
        }


_ACTING: Final = (
    *("retry", "release", "relocate", "adopt", "rollback", "fence", "unfence", "take-over"),
    *("sync", "pause", "resume", "cancel", "hold", "licence install", "licence remove"),
    *("vtsfs attach", "vtsfs detach"),
)

_ALL: Final = (
    Document("answers", "What a command that acts has done", of_set_up.ANSWERS, _ACTING),
    Document(
        "audit", "Files at a target that are not as they should be", of_evidence.AUDIT,
        ("audit",), lines=True,
    ),
    Document("check", "Whether the settings file can be taken", of_set_up.CHECK, ("check",)),
    Document(
        "check-health", "How things stand, for a monitoring system", of_set_up.CHECK_HEALTH,
        ("check-health",),
    ),
    Document(
        "config-show", "The settings and where they are from", of_set_up.CONFIG_SHOW,
        ("config show",),
    ),
    Document("doctor", "An examination of the targets", of_set_up.DOCTOR, ("doctor",)),
    Document("drill", "What a target can prove by itself", of_evidence.DRILL, ("drill",)),
    Document(
        "ems-replay", "What would have come of a recording", of_hosts.EMS_REPLAY, ("ems replay",)
    ),
    Document("ems-status", "The links to the hosts", of_hosts.EMS_STATUS, ("ems status",)),
    Document("ems-test", "A trial of a link", of_hosts.EMS_TEST, ("ems test",)),
    Document(
        "events", "What hosts said and overlays reported", of_hosts.EVENTS, ("events",), lines=True
    ),
    Document("explain", "Everything about one tape", of_tapes.EXPLAIN, ("explain",)),
    Document("fetch", "A generation that was fetched", of_evidence.FETCH, ("fetch",)),
    Document(
        "generations", "The generations that targets have of a tape", of_evidence.GENERATIONS,
        ("generations",),
    ),
    Document("history", "An entry of the history", of_evidence.HISTORY, ("history",), lines=True),
    Document(
        "history-verify", "Whether the history is as it was written", of_evidence.HISTORY_VERIFY,
        ("history --verify",),
    ),
    Document("keys-init", "Keys that were made and pinned", of_set_up.KEYS_INIT, ("keys init",)),
    Document(
        "licence-show", "How this system stands with its licence", of_tapes.LICENCE,
        ("licence show",),
    ),
    Document("notify", "What notify.run reads about a message", of_set_up.NOTIFY, ()),
    Document(
        "overlay-status", "The overlay of a vault", of_set_up.OVERLAY, ("vtsfs status",)
    ),
    Document("queue", "What is copied next", of_tapes.QUEUE, ("queue",)),
    Document(
        "reload", "Settings that were, or would be, taken over", of_set_up.RELOAD, ("reload",)
    ),
    Document("report", "How soon dismounts were copied", of_evidence.REPORT, ("report",)),
    Document(
        "report-proofs", "A dismount and its proof, or another entry of the history",
        of_evidence.REPORT_PROOFS, ("report --proofs",), lines=True,
    ),
    Document("status", "The whole state of the agent", of_tapes.status(of_hosts.LINK), ("status",)),
    Document(
        "support-bundle", "A file that was made for support", of_set_up.SUPPORT_BUNDLE,
        ("support-bundle",),
    ),
    Document("tapes", "A tape at a target", of_tapes.TAPES, ("tapes",), lines=True),
    Document("verify", "What was found of a copy", of_evidence.VERIFY, ("verify",), lines=True),
    Document(
        "version", "The release, and what is bundled with it", of_set_up.VERSION, ("version",)
    ),
)  # fmt: skip

DOCUMENTS: Final[Mapping[str, Document]] = {document.name: document for document in _ALL}
