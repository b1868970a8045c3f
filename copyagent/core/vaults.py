"""The vaults: their feeds and sweeps, and how what they report reaches the tapes' records."""

from dataclasses import dataclass, field, replace

from copyagent.core import tape as states
from copyagent.core.book import Acknowledged, Book
from copyagent.core.commands import Subscribe, SweepVault
from copyagent.core.cover import Cover, verdict_of
from copyagent.core.events import (
    FeedLost,
    FeedOpened,
    SignalSeen,
    TapesFound,
    VaultSeen,
    VaultSwept,
)
from copyagent.core.judging import Judge
from copyagent.core.sightings import (
    close_lost_sessions,
    end_readers,
    enter_found,
    enter_signal,
    enter_sweep,
    is_other_file,
    leave_pool,
    lose_sessions,
    removed,
)
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access, Identity, Kind

#: Volumes that nobody has mentioned for this many times `mounted_max` are forgotten.
FORGET_FACTOR = 2

#: How long a sweep waits for the signals that were in the outbox before it, in seconds.
BACKLOG_S = 30.0

#: How long an overlay may be away, in seconds, until its vault is swept without it. Not less: at
#: boot it may be about to tell of sessions that were cut off, which a sweep cannot tell from whole.
ABSENT_S = 600.0

#: How soon a vault with a pool that could not be read is swept again, in seconds.
UNREAD_S = 60.0

#: No signal has this number (SQLite's largest integer).
_NEVER = 2**63 - 1


@dataclass(slots=True)
class Feed:
    """What is known of the feed of one vault, for the operator."""

    up: bool = False
    since_ns: int = 0
    trouble: str = "not attached"
    sweeps: int = 0
    ignored: int = 0
    examples: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    backing: str = ""
    device: str = ""
    #: The release of its overlay.
    version: str = ""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Signals up to *highest* are to be heard before the sweep for *why*, or *until* has come."""

    highest: int
    until: float
    why: str


@dataclass(slots=True)
class Vaults:
    """The vaults of one agent.

    *next_sweep* is when the next daily sweep is due, 0: not yet known. *found_changed* counts what the
    sweeps that are under way have found changed.
    """

    book: Book
    judge: Judge
    feeds: dict[str, Feed] = field(init=False)
    backlogs: dict[str, Backlog] = field(default_factory=dict)
    next_sweep: float = 0.0
    found_changed: dict[str, int] = field(default_factory=dict)
    cover: Cover = field(init=False)

    def __post_init__(self) -> None:
        self.cover = Cover(self.book, self.judge.covered)
        # A vault without a watched pool is nobody's business here: its overlay is not even asked.
        watched = {entry.pool.vault for entry in self.book.settings.autocopy}
        self.feeds = {vault: Feed() for vault in self.book.settings.vaults if vault in watched}

    def follow(self, now: Moment) -> None:
        """Take up the vaults of other settings; of those that are gone nothing is heard any more."""
        settings = self.book.settings
        watched = {entry.pool.vault for entry in settings.autocopy} & settings.vaults.keys()
        for vault in watched - self.feeds.keys():
            self.feeds[vault] = Feed()
        for vault in self.feeds.keys() - watched:
            del self.feeds[vault]
            self.cover.forget(vault)
            for known in (self.backlogs, self.found_changed):
                known.pop(vault, None)
        if self.next_sweep:
            self.next_sweep = min(self.next_sweep, now.mono + settings.sweep.interval)

    def times(self) -> list[float]:
        """Return the monotonic seconds at which `sweeps_due` is wanted."""
        daily = [self.next_sweep] if self.next_sweep else []
        backlogs = [backlog.until for backlog in self.backlogs.values()]
        return backlogs + daily + self.cover.times()

    def opened(self, event: FeedOpened, now: Moment) -> None:
        """Take in an overlay's hello: from where to go on, and what a gap means."""
        hello, book = event.hello, self.book
        if hello.vault not in self.feeds:
            return
        known = book.acks.get(hello.vault)
        same = known is not None and known.outbox_id == hello.outbox_id
        after = known.seq if known and same else hello.floor
        why = "at start"
        if hello.unclean:
            end_readers(book, hello.vault)
        if known is not None and not same:
            why = "the overlay has a new outbox"
            lose_sessions(book, hello.vault)
        elif known is None and hello.floor > 0:
            # Somebody acknowledged signals, and we know nothing of it: our state was lost. No tape
            # may pass for one that was there before; all are compared.
            book.baselines |= book.pools_of(hello.vault)
            why = "the agent's state was lost"
        elif same and (after < hello.floor or after > hello.highest):
            why = "a gap in the signals"
            lose_sessions(book, hello.vault)
        elif hello.unclean:
            why = "the overlay did not end cleanly"
        after = min(max(after, hello.floor), hello.highest)
        book.acks[hello.vault] = Acknowledged(hello.outbox_id, after)
        self.feeds[hello.vault] = Feed(
            True,
            now.wall_ns,
            trouble="",
            backing=hello.backing,
            device=hello.device,
            version=hello.version,
        )
        self.cover.speaks(hello.vault)
        book.commands.append(Subscribe(hello.vault, after))
        if after < hello.highest:
            # What waits in the outbox explains most of what a sweep would find: hear it first.
            self.backlogs[hello.vault] = Backlog(hello.highest, now.mono + BACKLOG_S, why)
        else:
            self.backlogs.pop(hello.vault, None)
            book.commands.append(SweepVault(hello.vault, why))

    def lost(self, event: FeedLost, now: Moment) -> None:
        """Take in that an overlay does not answer."""
        if event.vault not in self.feeds:
            return
        feed = self.feeds[event.vault]
        if feed.up or feed.trouble != event.cause:
            if not feed.up and event.vault in self.book.acks:
                # What happens to a vault without its overlay only a sweep can find.
                why = "the overlay does not answer"
                absent = Backlog(_NEVER, now.mono + ABSENT_S, why)
                self.backlogs.setdefault(event.vault, absent)
            self.feeds[event.vault] = replace(
                feed, up=False, since_ns=now.wall_ns, trouble=event.cause
            )
        self.cover.silent(event.vault, event.cause, now)

    def seen(self, event: VaultSeen, now: Moment) -> None:
        """Take in what a look at the vault's mount point has shown."""
        feed, known = self.feeds.get(event.vault), self.book.settings.vaults.get(event.vault)
        if feed is None or known is None:
            return
        elsewhere = feed.backing if feed.up and feed.backing != str(known.backing) else ""
        device = feed.device if feed.up else ""
        self.cover.seen(event.vault, verdict_of(event, device, elsewhere), now)

    def signalled(self, event: SignalSeen, now: Moment) -> None:
        """Take in what an overlay reports, once."""
        signal, book = event.signal, self.book
        if signal.vault not in self.feeds:
            return  # no pool of this vault is watched any more
        known = book.acks.get(signal.vault)
        if known and (known.outbox_id != event.outbox_id or signal.seq <= known.seq):
            # Taken in before, or left over from an outbox that is no more: the sweep stands for it.
            return
        book.acks[signal.vault] = Acknowledged(event.outbox_id, signal.seq)
        book.reports.add(signal, now)
        tape = signal.tape
        if tape is None:
            leave_pool(book, signal.origin)
            book.commands.append(SweepVault(signal.vault, f"pool {signal.pool_id} was renamed"))
            return
        if signal.kind is Kind.MOVED and signal.origin:
            self._moved_away(TapeId.parse(signal.origin), signal.identity, now)
        if not book.watches(tape.pool_id):
            self.judge.meant.note_stranger(tape, signal)
            return
        if signal.kind is Kind.REMOVED and tape not in book.records:
            book.touched[tape] = now.mono
            return
        if signal.access is Access.READ and tape not in book.records:
            return
        record = book.record(tape)
        if signal.kind is Kind.MOUNTED:
            self.judge.session_begins(record, signal.wall_ns, signal.access, now)
        awaited = bool(self.judge.meant.mounts_of(record))
        enter_signal(book, record, signal, now, awaited=awaited)
        if tape in book.records:
            self.judge.consider(record, now)

    def _moved_away(self, tape: TapeId, file: Identity | None, now: Moment) -> None:
        """*file* has another name now; *tape* may have got another file by the same rename."""
        record = self.book.records.get(tape)
        self.judge.meant.forget_stranger(tape)
        if record is None or not self.book.watches(tape.pool_id):
            return
        kept = {name: s for name, s in record.open.items() if is_other_file(s.opened, file)}
        record.open = kept
        self.book.dirty.add(tape)
        self.book.touched[tape] = now.mono
        if not is_other_file(file, record.identity):
            removed(self.book, record, now)

    def found(self, event: TapesFound, now: Moment) -> None:
        """Take in a part of what a sweep found."""
        for record in close_lost_sessions(self.book, event, now):
            self.judge.consider(record, now)
        affected = enter_found(self.book, event, now)
        for record in affected:
            self.judge.consider(record, now)
        self.found_changed[event.vault] = self.found_changed.get(event.vault, 0) + len(affected)

    def swept(self, event: VaultSwept, now: Moment) -> None:
        """Take in what a sweep found."""
        book = self.book
        if event.vault not in self.feeds:
            return
        for record in close_lost_sessions(book, event, now):
            self.judge.consider(record, now)
        affected, gone = enter_sweep(book, event, now)
        changed_count = self.found_changed.pop(event.vault, 0) + len(affected)
        for pool in event.unread:
            name = f"/{event.vault}/{pool}"
            book.say_once(messages.POOL_UNREADABLE, name, now, pool=name)
        if event.unread:
            why = "a pool could not be read"
            self.backlogs[event.vault] = Backlog(_NEVER, now.mono + UNREAD_S, why)
        elif event.vault in self.backlogs and self.backlogs[event.vault].highest == _NEVER:
            del self.backlogs[event.vault]  # this sweep was what it waited for
        feed = self.feeds[event.vault]
        feed.unread = event.unread
        feed.sweeps += 1
        feed.ignored, feed.examples = event.ignored, event.examples
        for record in affected:
            if record.tape in book.records:
                self.judge.consider(record, now)
        book.say(
            messages.SWEPT,
            vault=event.vault,
            tapes=event.tapes,
            changed=changed_count,
            gone=gone,
            ignored=event.ignored,
        )
        self._tell_unsynced(event.vault, now)
        self.next_sweep = now.mono + book.settings.sweep.interval

    def _tell_unsynced(self, vault: str, now: Moment) -> None:
        counts: dict[str, int] = {}
        for record in self.book.active():
            if any(isinstance(copy.state, states.Unsynced) for copy in record.copies.values()):
                pool = str(record.tape.pool_id)
                counts[pool] = counts.get(pool, 0) + 1
        for (pool, shape), count in self.book.records.counts().items():
            if not shape.protected:
                counts[pool] = counts.get(pool, 0) + count
        for pool in sorted(self.book.pools_of(vault) & counts.keys()):
            self.book.say_once(messages.UNSYNCED, pool, now, pool=pool, count=counts[pool])

    def sweeps_due(self, now: Moment) -> None:
        """Ask for the sweeps whose time has come."""
        self._backlogs_done(now)
        self._daily(now)
        self.cover.due(now)

    def _backlogs_done(self, now: Moment) -> None:
        for vault, backlog in list(self.backlogs.items()):
            known = self.book.acks.get(vault)
            heard = known is not None and known.seq >= backlog.highest
            if heard or now.mono >= backlog.until:
                del self.backlogs[vault]
                self.book.commands.append(SweepVault(vault, backlog.why))

    def _daily(self, now: Moment) -> None:
        if self.next_sweep and now.mono >= self.next_sweep:
            self.next_sweep = now.mono + self.book.settings.sweep.interval
            vaults = {entry.pool.vault for entry in self.book.settings.autocopy}
            self.book.commands += [SweepVault(vault, "daily") for vault in sorted(vaults)]
            # What an overlay will tell when it is back can be of any mount since it went away.
            away = (f.since_ns for name, f in self.feeds.items() if name in vaults and not f.up)
            oldest = FORGET_FACTOR * self.book.settings.cross_check.mounted_max
            self.book.mounts.drop_older(min((now.wall_ns, *away)) - int(oldest * 1e9))
