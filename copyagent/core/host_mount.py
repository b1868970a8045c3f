"""One mount as its host told of it, and which words of the host can be about it."""

from dataclasses import dataclass

from copyagent.core.host_events import MountRequested, Ring

#: Words of one mount are at most so far apart, in seconds, if they come in another order than they
#: were said; and over a link that is up, no word is later than this.
LATE_S = 300.0

LATE_NS = int(LATE_S * 1e9)

#: No host makes 10,000 mount requests, and so begins again to count, within an hour.
_NUMBER_NS = 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class HostMount:
    """One mount as its host told of it; times are arrival here, in ns since the epoch (0: never).

    *ring* is None while only events without a ring were seen. *lost* says that the link is down, or
    that events were *missed* since, so that the dismount may be among them. *implied*: the dismount
    was not heard, but the next mount was. *unrequested*: the tape was found on its drive, and
    nobody had asked for it. *live*: the request came over a link that had been up for long, so it
    was not made much earlier than it came.
    """

    host: str
    volume: str
    ring: Ring | None = None
    request: int | None = None
    drive: str = ""
    requested_ns: int = 0
    mounted_ns: int = 0
    opened_ns: int = 0
    dismounted_ns: int = 0
    lost: bool = False
    missed: bool = False
    implied: bool = False
    unrequested: bool = False
    live: bool = False

    @property
    def began_ns(self) -> int:
        """The earliest sign of the mount."""
        return min(
            (t for t in (self.requested_ns, self.mounted_ns, self.opened_ns) if t), default=0
        )

    @property
    def last_ns(self) -> int:
        """The last sign of the mount that is known to be one."""
        return max(self.began_ns, self.dismounted_ns)

    @property
    def by_drive(self) -> bool:
        """Whether only the drive was named, so that a ring will never be told."""
        return "/" in self.volume

    @property
    def took_place(self) -> bool:
        """Whether more than the wish for it was heard."""
        heard_end = self.dismounted_ns and not self.implied
        return bool(self.mounted_ns or self.opened_ns or heard_end)

    @property
    def in_use(self) -> bool:
        """Whether the host has the tape, as far as it was heard, whatever the ring."""
        begun = self.mounted_ns or self.opened_ns or (self.by_drive and self.requested_ns)
        return bool(begun) and not self.dismounted_ns and not self.lost

    @property
    def told_all(self) -> bool:
        """Whether no request, and so no ring, belongs to this mount."""
        return self.ring is None and (self.unrequested or self.by_drive)

    @property
    def may_be_next(self) -> bool:
        """Whether no ring was asked for when it was over already: perhaps for the next mount.

        Its number tells, but for a mount of which only the end was heard.
        """
        return self.ring is Ring.NO_RING and 0 < self.dismounted_ns < self.requested_ns

    @property
    def caution(self) -> int:
        """How careful one has to be because of this mount; of several hosts' the greatest counts.

        No ring comes before everything. A tape that one host uses is not done because another
        host is done with one of that name; a mere wish is no use.
        """
        if self.ring is Ring.NO_RING:
            return 5
        if self.in_use:
            return 4 if self.ring else 3
        if self.dismounted_ns:
            return 2 if self.ring else 1
        return 0

    def told_by(self, event: MountRequested, now_ns: int) -> bool:
        """Tell whether *event* is the request of this very mount, printed once more.

        Numbers are used again after 9999. While a request is open it may be printed at any time.
        """
        same = (self.host, self.request, self.ring) == (event.host, event.request, event.ring)
        if not same or not self.requested_ns:
            return False
        if not self.took_place:
            return True
        if self.request is None:
            return not self.dismounted_ns and now_ns - self.requested_ns < LATE_NS
        return now_ns - self.requested_ns < _NUMBER_NS

    def asked_by(self, event: MountRequested, now_ns: int) -> bool:
        """Tell whether *event* is the request of this mount, come after other words about it."""
        if self.ring is not None or self.told_all:
            return False
        if event.request is not None and self.request not in (None, event.request):
            return False
        return now_ns - (self.dismounted_ns or self.began_ns) < LATE_NS
