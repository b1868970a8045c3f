"""What operators see of the hosts: what was said, as plain data for ``--json`` and for tables.

Keys are stable: they are the schema of ``copyagent events --json``, and of the hosts in ``status
--json`` and ``ems status --json`` (version 1). Times are ISO 8601 in UTC but for ``printed_at``, which is the host's own.
"""

import json
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from copyagent.core.book import Book
from copyagent.core.dates import iso, iso_ms
from copyagent.core.host_clock import in_utc
from copyagent.core.journal import Entry, Report, Wanted
from copyagent.core.link import Link
from copyagent.core.time import Moment
from vtsfs.contract.settings import Settings

#: Version of the documents made here.
SCHEMA = 1

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in the journal at *now*; nothing of it changes any more."""

    settings: Settings
    now: Moment
    oldest: int
    newest: int
    entries: list[Entry]
    left_out: int
    reports: list[Report]


def find(book: Book, wanted: Wanted, now: Moment, *, overlay: bool = False) -> Found:
    """Look for what hosts said as *wanted* and, with *overlay*, for what overlays reported."""
    entries, left_out = book.journal.find(wanted)
    return Found(
        book.settings,
        now,
        book.journal.oldest,
        book.journal.newest,
        entries,
        left_out,
        book.reports.find(wanted) if overlay else [],
    )


def events(found: Found) -> Document:
    """Return what hosts said, and overlays reported, as a recording has it.

    *left_out* older events fit, too, and are not shown.
    """
    settings = found.settings
    return {
        "schema": SCHEMA,
        "system": settings.system.name,
        "at": iso_ms(found.now.wall_ns),
        "oldest": found.oldest,
        "newest": found.newest,
        "left_out": found.left_out,
        "events": [event_document(entry, zone_of(settings, entry.host)) for entry in found.entries],
        "signals": [
            {"at": iso_ms(report.at_ns), "signal": json.loads(report.signal.to_json())}
            for report in found.reports
        ],
    }


def event_document(entry: Entry, zone: ZoneInfo | None) -> Document:
    """Return one entry; *zone* is the one that its host's clock shows, if that is known.

    What was printed has its keys in every document, with null where the link itself speaks.
    """
    printed = entry.printed
    return {
        "schema": SCHEMA,
        "number": entry.number,
        "at": iso_ms(entry.at_ns),
        "host": entry.host,
        "kind": entry.kind,
        "reading": entry.reading,
        "fields": entry.fields,
        "tapes": list(entry.tapes),
        "node": entry.node or None,
        "printed_at": entry.printed_at or None,
        "printed_at_utc": in_utc(entry.printed_at, zone),
        "process": printed.process if printed else None,
        "ssid": printed.ssid if printed else None,
        "event": printed.number if printed else None,
        "critical": printed.critical if printed else None,
        "text": printed.text if printed else None,
    }


def link_document(settings: Settings, name: str, link: Link, now: Moment) -> Document:
    """Return how the link to host *name* stands. *silent_s* is since its last word, in seconds."""
    host, alarm = settings.ems.hosts[name], link.alarm
    silent_s = max(now.wall_ns - link.last_ns, 0) // 1_000_000_000 if link.last_ns else None
    return {
        "host": name,
        "access": host.access,
        "address": str(host.file) if host.access == "file" else host.address,
        "up": link.up,
        "since": iso(link.since_ns),
        "trouble": link.trouble,
        "trouble_kind": link.kind.value if link.kind else None,
        "alarm": iso(alarm.told_ns),
        "lost_since": iso(alarm.since_ns) if not link.up else None,
        "events": link.events,
        "last_event": iso(link.last_ns),
        "last_printed_at": link.printed_at or None,
        "last_printed_at_utc": in_utc(link.printed_at, zone_of(settings, name)),
        "silent_s": silent_s,
        "losses": link.losses,
        "gaps": link.gaps,
        "last_gap": iso(link.gap_ns),
        "last_gap_why": link.gap or None,
        "caught_up": link.caught_up,
        "vaults": list(host.vaults),
        "policy": host.policy.enabled,
    }


def zone_of(settings: Settings, host: str) -> ZoneInfo | None:
    """Return the zone of the clock of *host*, None where the settings name none."""
    known = settings.ems.hosts.get(host)
    return None if known is None or known.timezone is None else ZoneInfo(known.timezone)
