"""Every figure that is offered: its name, type, labels and meaning; pure.

Names, labels and meanings are stable: ``vts-autocopy(7)`` and the alert rules rest on them. Units are
base units (seconds, bytes) and stand in the name. Labels take their values from the settings and from
enumerations, never from tapes, so that a bigger site has more copies and not more figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: What all names begin with.
PREFIX = "vts_autocopy_"

Kind = Literal["gauge", "counter", "histogram", "info"]

_WAY = ("pool", "target")


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure. *meaning* is a phrase without a full stop; *labels* are in their order."""

    base: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str

    @property
    def name(self) -> str:
        """The whole name, as it is scraped."""
        return PREFIX + self.base


# ---- the agent -----------------------------------------------------------------------------------

BUILD = Metric("build_info", "info", ("version", "python"), "The running program; always 1")
SETTINGS = Metric(
    "settings_info", "info", ("sha256",), "The settings file in force, by its digest; always 1"
)
STARTED = Metric(
    "start_time_seconds", "gauge", (), "When the agent was started, in seconds since the epoch"
)
BATCHES = Metric(
    "engine_batch_seconds",
    "histogram",
    (),
    "How long a batch of events took to be decided and made durable, in seconds",
)
MESSAGES = Metric(
    "messages_total",
    "counter",
    ("id", "severity"),
    "Messages that the agent wrote to the event log, or to the journal alone, by ID",
)

UNWRITTEN = Metric(
    "event_log_unwritten_messages",
    "gauge",
    (),
    "Messages that the event log is missing since it could not be written; 0 again once it can",
)
HISTORY = Metric(
    "history_entries_total",
    "counter",
    (),
    "Entries of the history that were ever made, in all runs of the agent",
)
SETTINGS_CURRENT = Metric(
    "settings_file_in_force",
    "gauge",
    (),
    "0 if the settings file was found wrong when it was read again, so that it is not in force",
)
SETTINGS_AWAITED = Metric(
    "settings_awaiting_restart", "gauge", (), "Changed settings that only a restart brings in"
)
NOTIFY_TOLD = Metric(
    "notify_told_total", "counter", (), "Messages for which the command of notify.run ended well"
)
NOTIFY_FAILED = Metric(
    "notify_failures_total", "counter", (), "How often the command of notify.run failed"
)
NOTIFY_WAITING = Metric(
    "notify_waiting_messages", "gauge", (), "Messages that wait for the command of notify.run"
)
LICENCE_REQUIRED = Metric(
    "licence_required", "gauge", (), "1 if copies are made with a valid licence alone in this build"
)
LICENCE_COPIES = Metric(
    "licence_permits_copies",
    "gauge",
    (),
    "1 while the licence lets copies be made, or none is needed",
)
LICENCE_EXPIRES = Metric(
    "licence_expiry_timestamp_seconds",
    "gauge",
    (),
    "When the licence expires, 14 days before nothing is copied any more, in seconds since the epoch; "
    "0: there is none",
)

# ---- what is protected ---------------------------------------------------------------------------

TAPES = Metric("tapes", "gauge", (*_WAY, "state"), "Copies that are in a state")
HELD = Metric("held_tapes", "gauge", (*_WAY, "reason"), "Copies that are held, by reason")
WAITING = Metric("waiting_tapes", "gauge", (*_WAY, "reason"), "Copies that wait, by reason")
UNPROTECTED = Metric(
    "unprotected_tapes", "gauge", _WAY, "Tapes that the target lacks as they are now"
)
OLDEST = Metric(
    "oldest_unprotected_seconds",
    "gauge",
    _WAY,
    "For how long the target has been lacking a tape, the longest; 0 if it lacks none",
)
OWED = Metric(
    "owed_copies",
    "gauge",
    _WAY,
    "Copies that could have been made by now, or should have: what fallen behind is measured by",
)
OLDEST_OWED = Metric(
    "oldest_owed_seconds", "gauge", _WAY, "For how long a copy has been owed, the longest"
)
PENDING = Metric(
    "pending_bytes",
    "gauge",
    _WAY,
    "Size of the unprotected tapes: the most that there is to send, often much less",
)
BEHIND = Metric("behind", "gauge", _WAY, "1 while the pool has fallen behind, which is an alarm")
BEHIND_AFTER = Metric(
    "behind_after_seconds",
    "gauge",
    _WAY,
    "The pool's behind_after of the settings; 0 if it has no limit",
)
LAST_COPY = Metric(
    "last_copy_timestamp_seconds",
    "gauge",
    _WAY,
    "When a tape was last recorded as copied, in seconds since the epoch; 0: never",
)

# ---- the copies ----------------------------------------------------------------------------------

COPIES = Metric(
    "copies_total", "counter", (*_WAY, "result"), "Copies that have ended, by how they ended"
)
ATTEMPTS = Metric(
    "copy_attempts_total",
    "counter",
    (*_WAY, "outcome"),
    "Attempts that count for the ladder, succeeded or failed",
)
GIVEN_UP = Metric(
    "copies_given_up_total", "counter", _WAY, "Copies that have used up all their attempts"
)
SENT = Metric("sent_bytes_total", "counter", _WAY, "Bytes that were sent for finished copies")
SKIPPED = Metric(
    "skipped_bytes_total",
    "counter",
    _WAY,
    "Bytes of finished copies that were at the target already",
)
RESUMED = Metric(
    "resumed_bytes_total",
    "counter",
    _WAY,
    "Of the skipped bytes those that an earlier attempt at the same generation had sent",
)
DURATION = Metric(
    "copy_duration_seconds", "histogram", _WAY, "How long finished copies took, in seconds"
)
RUNNING = Metric("running_copies", "gauge", ("target",), "Copies that run now")
RATE = Metric(
    "sending_bytes_per_second",
    "gauge",
    ("target",),
    "What the copies that are sending now send together, of late",
)
VERDICTS = Metric(
    "verdicts_total", "counter", ("pool", "verdict"), "Verdicts on mounts and changes of tapes"
)

# ---- targets, pauses -----------------------------------------------------------------------------

TARGET_UP = Metric(
    "target_up",
    "gauge",
    ("target",),
    "1 if nothing is known to be wrong with the target, 0 if it was found down or refuses us",
)
TARGET_UNFIT = Metric(
    "target_unfit_vaults", "gauge", ("target",), "Vaults there that take no copies"
)
WINDOW_OPEN = Metric(
    "target_window_open", "gauge", ("target",), "1 while its window is open, or if it has none"
)
TARGET_PAUSED = Metric(
    "target_paused", "gauge", ("target",), "1 while an operator has copies to it paused"
)
POOL_PAUSED = Metric(
    "pool_paused", "gauge", ("pool",), "1 while an operator has copies of it paused"
)

# ---- the witnesses -------------------------------------------------------------------------------

ATTACHED = Metric(
    "vault_attached", "gauge", ("vault",), "1 while the overlay of the vault reports to the agent"
)
COVERED = Metric(
    "vault_covered",
    "gauge",
    ("vault",),
    "1 while the vault is under the overlay that reports to the agent; 0: writes may not be seen",
)
UNREAD = Metric(
    "vault_unread_pools", "gauge", ("vault",), "Watched pools of the vault that cannot be read"
)
LINK_UP = Metric("link_up", "gauge", ("host",), "1 while the link to the host is up")
LINK_LOSSES = Metric(
    "link_losses_total", "counter", ("host",), "How often the link was lost since the start"
)
LINK_GAPS = Metric(
    "link_gaps_total",
    "counter",
    ("host",),
    "How often events of the host may have been missed, in all runs of the agent",
)
LINK_EVENTS = Metric(
    "link_events_total", "counter", ("host",), "What the host said about tapes since the start"
)
LINK_LAST = Metric(
    "link_last_event_timestamp_seconds",
    "gauge",
    ("host",),
    "When the host last said something about tapes, in seconds since the epoch; 0: never",
)
LINK_UNRECOGNISED = Metric(
    "link_unrecognised_total",
    "counter",
    ("host",),
    "Events of the tape server that were not understood",
)

HOST_UNTOLD = Metric(
    "host_waiting_messages",
    "gauge",
    ("host",),
    "Messages that wait to be told to the host; 0 where it is told nothing",
)
HOST_DROPPED = Metric(
    "host_dropped_messages_total",
    "counter",
    ("host",),
    "Messages that the host was not told, because too many waited",
)

CATALOGUE: Mapping[str, Metric] = {
    metric.name: metric for metric in list(globals().values()) if isinstance(metric, Metric)
}
