"""Which tapes a host can mean by what it names, and whose mounts a tape can be of.

A host names a volume, or only a drive; which file that is, it does not know. Its settings can limit
it to some vaults (``ems.hosts.H.vaults``) and say which tape a drive of its stands for (``drives``).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from copyagent.core.book import Book
from copyagent.core.host_events import HostEvent
from copyagent.core.host_mount import HostMount
from copyagent.core.records import TapeRecord
from copyagent.core.tape import Kept
from vtsfs.contract.errors import NameInvalid
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.signals import Kind, Signal

#: Most labels of tapes in unwatched pools that are remembered.
MOST_STRANGERS = 10_000


@dataclass(slots=True)
class Meant:
    """Answers for one book. *strangers* are tapes of unwatched pools, by label, as overlays told."""

    book: Book
    strangers: dict[str, dict[TapeId, None]] = field(default_factory=dict)
    drives: dict[tuple[str, str, str], TapeId] = field(init=False)

    def __post_init__(self) -> None:
        self.follow()

    def follow(self) -> None:
        """Take the drives from the settings in force."""
        self.drives = dict(_drives_of(self.book.settings))

    def concerns(self, host: str, vault: str) -> bool:
        """Tell whether events of *host* are about tapes of *vault*."""
        settings = self.book.settings.ems.hosts.get(host)
        return settings is not None and (not settings.vaults or vault in settings.vaults)

    def tape_on(self, event: HostEvent) -> str | None:
        """Return the name of the tape for which the drive in *event* stands, None if for none."""
        drive = getattr(event, "drive", None)
        if not self.drives or not drive:
            return None
        node, device = _split(drive)
        for known in (node or event.node.upper(), ""):
            if (tape := self.drives.get((event.host, known, device))) is not None:
                return str(tape)
        return None

    def mounts_of(self, record: TapeRecord) -> list[HostMount]:
        """Return what each host says of its present mount of the tape, or of one of its label."""
        mounts = self.book.mounts
        found = (mounts.of(host, name) for host, name in self._names(record))
        return [mount for mount in found if mount is not None]

    def formers_of(self, record: TapeRecord) -> list[tuple[HostMount, tuple[HostMount, ...]]]:
        """Return the mounts that are over, each with those of its host that came after it."""
        found: list[tuple[HostMount, tuple[HostMount, ...]]] = []
        for name in self._names(record):
            formers = self.book.mounts.formers_of(*name)
            present = self.book.mounts.of(*name)
            known = formers if present is None else (*formers, present)
            found += [(former, known[i + 1 :]) for i, former in enumerate(formers)]
        return found

    def _names(self, record: TapeRecord) -> Iterator[tuple[str, str]]:
        label, whole = record.tape.label.upper(), str(record.tape)
        for host in self.book.settings.ems.hosts:
            if self.concerns(host, record.tape.vault):
                yield host, label
            if self.drives:
                yield host, whole

    def addressed(self, host: str, volume: str) -> list[TapeRecord]:
        """Return the watched tapes that *host* can mean by *volume*."""
        if "/" in volume:
            return self._by_name(volume)
        return [r for r in self.book.called(volume) if self.concerns(host, r.tape.vault)]

    def _by_name(self, name: str) -> list[TapeRecord]:
        try:
            record = self.book.records.get(TapeId.parse(name))
        except NameInvalid:
            return []  # a host can print whatever it likes in the place of a volume
        return [record] if record and self.book.watches(record.tape.pool_id) else []

    def rivals(self, record: TapeRecord, mount: HostMount) -> list[TapeId]:
        """Return the other tapes here that *mount* can be of."""
        if mount.by_drive:
            return []
        label = record.tape.label.upper()
        there = {r.tape for r in self.addressed(mount.host, label) if _is_there(r)}
        strange = self.strangers.get(label, {})
        there |= {tape for tape in strange if self.concerns(mount.host, tape.vault)}
        return sorted(there - {record.tape})

    def note_stranger(self, tape: TapeId, signal: Signal) -> None:
        """Remember that a tape of an unwatched pool is there, or that it is gone."""
        known = self.strangers.get(tape.label.upper(), {})
        if signal.kind is Kind.REMOVED or signal.identity is None:
            self.forget_stranger(tape)
        elif tape not in known:
            self.strangers.setdefault(tape.label.upper(), {})[tape] = None
            if len(self.strangers) > MOST_STRANGERS:
                del self.strangers[next(iter(self.strangers))]

    def forget_stranger(self, tape: TapeId) -> None:
        """Forget a tape of an unwatched pool: it has another name now."""
        known = self.strangers.get(tape.label.upper(), {})
        known.pop(tape, None)
        if not known:
            self.strangers.pop(tape.label.upper(), None)


def _drives_of(settings: Settings) -> Iterator[tuple[tuple[str, str, str], TapeId]]:
    for host, entry in settings.ems.hosts.items():
        for drive, tape in entry.drives.items():
            yield (host, *_split(drive)), tape


def _split(drive: str) -> tuple[str, str]:
    r"""Take ``\NODE.$TAPE`` apart; the node can be missing."""
    node, dot, device = drive.upper().rpartition(".")
    return (node, device) if dot else ("", drive.upper())


def _is_there(record: TapeRecord) -> bool:
    if record.identity is not None or record.open:
        return True
    gone = (isinstance(c.state, Kept) and c.state.how == "deleted" for c in record.copies.values())
    return not any(gone)
