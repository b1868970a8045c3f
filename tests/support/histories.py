"""Builders of what can happen to the agent: signals, host events, sweeps, and how copies end.

They know what the outside world would look like (identities move on with every write, sequence
numbers count up) and nothing of what the agent makes of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from copyagent.core.book import Book
from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyJob,
    CopyOutcome,
    PublishedCopy,
    TargetStamp,
)
from copyagent.core.engine import Engine
from copyagent.core.events import CopyEnded, FeedLost, FeedOpened, SignalSeen, VaultSwept
from copyagent.core.host_events import (
    LinkLost,
    LinkTrouble,
    LinkUp,
    MountRequested,
    RequestEnded,
    RequestOutcome,
    Ring,
    TapeDismounted,
    VolumeMounted,
)
from vtsfs.contract.feed import Hello
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.signals import Access, Identity, Kind, Signal

HOST = "DEV2"
TARGET = "drsite"
OTHER_TARGET = "attic"
VAULT = "VAULT00"
TAPE = TapeId.parse("/VAULT00/BILL/X00001")
SECOND = TapeId.parse("/VAULT00/BILL/X00002")
TWIN = TapeId.parse("/VAULT00/PAY/X00001")
UNWATCHED = TapeId.parse("/VAULT00/SCRAP/X00001")

#: An afternoon in 2026, in ns since the epoch.
START_NS = 1_795_000_000 * 10**9


def make_settings(*, pools: tuple[str, ...] = ("BILL", "PAY"), **changes: Any) -> Settings:
    """Settings of one vault, one host and one target; *changes* replace or extend sections."""
    vaults = {VAULT: {"backing": "/backing/VAULT00", "mountpoint": "/VAULT00"}}
    target = {
        "host": "dr.example.com",
        "user": "vts",
        "key": "/etc/vts-autocopy/id",
        "known_hosts": "/etc/vts-autocopy/known_hosts",
        "vaults": {vault: f"/{vault}" for vault in changes.get("vaults", vaults)},
        "parallel": 2,
    }
    ems_host = {
        "address": "dev2.example.com",
        "user": "VTS.EMS",
        "password_file": "/etc/dev2",
        # No host is waited for once its link is lost, unless a test is about that.
        "lost_after": "0s",
    }
    targets: tuple[str, ...] = changes.pop("targets", (TARGET,))
    data: dict[str, Any] = {
        "system": {"name": "TAPESRV1"},
        "vaults": vaults,
        "targets": dict.fromkeys(targets, target),
        "autocopy": [
            {"pool": f"/VAULT00/{pool}", "target": name, "target_pool": f"/VAULT00/{pool}"}
            for pool in pools
            for name in targets
        ],
        "ems": {"hosts": {HOST: ems_host}},
    }
    return Settings.model_validate(data | changes)


def make_engine(**changes: Any) -> Engine:
    """An engine with nothing in its book; see `make_settings`."""
    return Engine(Book(make_settings(**changes)))


@dataclass(slots=True)
class Overlay:
    """The overlay of one vault as the agent hears it, with what would lie in the vault."""

    vault: str = VAULT
    outbox_id: str = "outbox-1"
    seq: int = 0
    floor: int = 0
    sessions: int = 0
    tick: int = START_NS
    identities: dict[TapeId, Identity] = field(default_factory=dict)
    open: dict[tuple[TapeId, Access], tuple[str, Identity | None]] = field(default_factory=dict)

    def hello(self, *, unclean: bool = False) -> FeedOpened:
        return FeedOpened(Hello(self.vault, self.outbox_id, self.floor, self.seq, unclean, "1.0"))

    def silent(self) -> FeedLost:
        return FeedLost(self.vault, "connection refused")

    def write(self, tape: TapeId, size: int = 4096) -> Identity:
        """Let the bytes of *tape* change without a word."""
        self.tick += 1_000_000
        known = self.identities.get(tape)
        ino = known.ino if known else len(self.identities) + 100
        self.identities[tape] = Identity(1, ino, size, self.tick, self.tick)
        return self.identities[tape]

    def mounted(self, tape: TapeId = TAPE, access: Access = Access.WRITE) -> SignalSeen:
        self.sessions += 1
        session = f"{self.outbox_id}-s{self.sessions}"
        before = self.identities.get(tape)
        if before is None:
            before = self.write(tape, size=0)
        self.open[tape, access] = session, before
        return self.signal(Kind.MOUNTED, tape, session=session, access=access, opened=before)

    def dismounted(
        self,
        tape: TapeId = TAPE,
        access: Access = Access.WRITE,
        *,
        wrote: int = 4096,
        kind: Kind = Kind.DISMOUNTED,
        size: int | None = None,
        quiet_s: float = 0.0,
    ) -> SignalSeen:
        session, opened = self.open.pop((tape, access))
        if wrote and access is Access.WRITE:
            self.write(tape, wrote if size is None else size)
        return self.signal(
            kind,
            tape,
            session=session,
            access=access,
            opened=opened,
            wrote=bool(wrote) and access is Access.WRITE and kind is Kind.DISMOUNTED,
            bytes_written=wrote if access is Access.WRITE else 0,
            synced=kind is Kind.DISMOUNTED,
            quiet_ns=round(quiet_s * 1e9),
        )

    def read(self, tape: TapeId = TAPE) -> tuple[SignalSeen, SignalSeen]:
        """A whole session of a reader."""
        return self.mounted(tape, Access.READ), self.dismounted(tape, Access.READ, wrote=0)

    def interrupted(self, tape: TapeId = TAPE, *, wrote: int = 4096) -> SignalSeen:
        return self.dismounted(tape, wrote=wrote, kind=Kind.INTERRUPTED)

    def changed(
        self, tape: TapeId = TAPE, *, size: int = 4096, cause: str = "truncate"
    ) -> SignalSeen:
        self.write(tape, size)
        return self.signal(Kind.CHANGED, tape, cause=cause)

    def companion(self, tape: TapeId = TAPE, *, cause: str = "companion") -> SignalSeen:
        """A companion changed, and the tape did not."""
        return self.signal(Kind.CHANGED, tape, cause=cause, companions=(f"{tape.label}.meta",))

    def moved(self, origin: TapeId, tape: TapeId) -> SignalSeen:
        self.identities[tape] = self.identities.pop(origin)
        return self.signal(Kind.MOVED, tape, origin=str(origin))

    def removed(self, tape: TapeId = TAPE) -> SignalSeen:
        self.identities.pop(tape, None)
        return self.signal(Kind.REMOVED, tape)

    def received(self, tape: TapeId = TAPE) -> SignalSeen:
        self.identities.pop(tape, None)
        self.write(tape)
        return self.signal(Kind.RECEIVED, tape)

    def pool_moved(self, pool: str) -> SignalSeen:
        self.seq += 1
        signal = Signal(Kind.MOVED, self.vault, pool, "", "boot", self.tick, 0, seq=self.seq)
        return SignalSeen(self.outbox_id, signal)

    def swept(
        self,
        started: float,
        *,
        found: Mapping[TapeId, Identity] | None = None,
        unread: tuple[str, ...] = (),
    ) -> VaultSwept:
        """What a look at the vault finds; *found* if it was not what lies there now."""
        seen = dict(self.identities if found is None else found)
        return VaultSwept(self.vault, started, seen, ignored=0, unread=unread)

    def reborn(self) -> "Overlay":
        """The same vault behind a new outbox: the old one was deleted."""
        return replace(
            self,
            outbox_id=f"{self.outbox_id}+",
            seq=0,
            floor=0,
            open={},
            identities=self.identities,
        )

    def signal(self, kind: Kind, tape: TapeId, **rest: Any) -> SignalSeen:
        self.seq += 1
        made = Signal(
            kind,
            tape.vault,
            tape.pool,
            tape.label,
            boot_id="boot",
            wall_ns=self.tick,
            mono_ns=0,
            identity=self.identities.get(tape),
            seq=self.seq,
            **rest,
        )
        return SignalSeen(self.outbox_id, made)


def requested(
    volume: str | None = TAPE.label, ring: Ring = Ring.WITH_RING, request: int | None = 1
) -> MountRequested:
    return MountRequested(HOST, request, volume, ring, scratch=volume is None)


def no_ring(volume: str | None = TAPE.label, request: int | None = 1) -> MountRequested:
    return requested(volume, Ring.NO_RING, request)


def volume_mounted(volume: str = TAPE.label, request: int | None = 1) -> VolumeMounted:
    return VolumeMounted(HOST, request, volume)


def tape_dismounted(volume: str = TAPE.label) -> TapeDismounted:
    return TapeDismounted(HOST, volume, "$TAPE0")


def cancelled(volume: str | None = TAPE.label, request: int | None = 1) -> RequestEnded:
    return RequestEnded(HOST, request, volume, RequestOutcome.CANCELLED)


def link_up() -> LinkUp:
    return LinkUp(HOST)


def link_lost() -> LinkLost:
    return LinkLost(HOST, "connection lost; check the network", LinkTrouble.DISCONNECTED)


def published(job: CopyJob, *, identity: Identity | None = None) -> PublishedCopy:
    """What a copier would have published for *job*."""
    source = job.identity or identity or Identity(1, 1, 4096, START_NS, START_NS)
    stamp = TargetStamp(source.size, source.mtime_ns // 10**9)
    digest = f"{source.mtime_ns:064x}"
    return PublishedCopy(job.generation, source, source.size, digest, stamp, "sha256", START_NS)


def done(job: CopyJob, *, identity: Identity | None = None, sent: int = 4096) -> CopyEnded:
    return ended(job, CopyDone(published(job, identity=identity), sent=sent, took_s=1.5))


def failed(job: CopyJob, cause: str = "no space left at the target") -> CopyEnded:
    return ended(job, CopyFailed(cause, "Make room."))


def unreachable(job: CopyJob) -> CopyEnded:
    return ended(job, CopyFailed("connection refused", "Start sshd.", unreachable=True))


def ended(job: CopyJob, outcome: CopyOutcome) -> CopyEnded:
    return CopyEnded(job.tape, job.target, outcome)
