"""What the hosts' events say about each volume: the second witness's half of the pairing.

Only the mount request tells with ring from no ring, so the ring is remembered by request number
until a volume is known, then by host and volume until the dismount (DESIGN section 5). Events may be
lost, doubled, late or in another order; whatever is not known stays None, and None never counts as
a denial.

A job that uses a drive without a label names no volume. Where the site says which tape the drive
stands for, that tape's whole name is its volume here: no label has a slash.
"""

from dataclasses import dataclass, field, replace
from typing import TypeVar

from copyagent.core.host_events import (
    CaughtUp,
    DeviceAccepted,
    DeviceRequested,
    DeviceUse,
    DismountFailed,
    EventsMissed,
    HostEvent,
    LinkLost,
    LinkUp,
    MountRequested,
    RequestEnded,
    RequestsForgotten,
    Ring,
    TapeDismounted,
    TapeInUse,
    TapeOnline,
    TapeOpened,
    TapeRefused,
    VolumeMounted,
    VolumePassedOver,
    VolumeSubstituted,
)
from copyagent.core.host_mount import LATE_NS, HostMount

_T = TypeVar("_T")

#: A flood of forged requests must not fill the memory; real hosts have a few dozen drives.
MOST_REMEMBERED = 10_000

#: How many of the oldest are forgotten together: finding the oldest of a dict again and again costs.
_FORGOTTEN_AT_ONCE = 100

#: How many mounts of one volume that are over are remembered.
_FORMERS = 4

#: How many mounts of other machines' tapes that are over are remembered: one may turn out to be ours
#: when the overlay's word comes. More would only be written down again and again.
_ELSEWHERE = 200


@dataclass(slots=True)
class HostMounts:
    """Requests that name no volume yet, and mounts, by host and volume. Durable with the state.

    *requests* are the open ones by host and number, *met* the volumes that met numbers of which no
    request was heard yet. *mounts* has each host's present mount of a volume, *formers* the last
    ones that are over: an overlay's word may come late. *elsewhere* are those of volumes that no
    tape here has, as far as is known. *since_ns*: from when on each host's link has
    been up.
    """

    requests: dict[str, MountRequested] = field(default_factory=dict)
    requested_ns: dict[str, int] = field(default_factory=dict)
    mounts: dict[str, HostMount] = field(default_factory=dict)
    met: dict[str, HostMount] = field(default_factory=dict)
    formers: dict[str, tuple[HostMount, ...]] = field(default_factory=dict)
    elsewhere: dict[str, int] = field(default_factory=dict)
    since_ns: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # States of earlier releases have one mount to a volume, under the volume alone.
        if any(":" not in key for key in self.mounts):
            self.mounts = {_key(m.host, m.volume): m for m in self.mounts.values()}

    def handle(self, event: HostEvent, now_ns: int, tape: str | None = None) -> tuple[str, ...]:
        """Take in one event; return the volumes about which something new is known.

        *tape* is the name of the tape that the event's drive stands for, if it stands for one.
        """
        match event:
            case MountRequested():
                return self._requested(event, now_ns)
            case VolumeMounted():
                return self._mounted(event, now_ns)
            case RequestEnded():
                return self._ended(event, tape)
            case TapeOpened() | TapeInUse() | TapeOnline() | TapeDismounted():
                return self._used(event, _plain(event.volume) or tape, now_ns)
            case DeviceRequested() | DeviceAccepted():
                return self._device(event, tape, now_ns)
            case VolumeSubstituted():
                return self._substituted(event, now_ns)
            case TapeRefused(volume=str(volume)) | VolumePassedOver(volume=volume):
                return self._not_used(event.host, volume)
            case DismountFailed():
                return self._still_there(event)
            case _:
                return self._of_host(event, now_ns)

    def of(self, host: str, volume: str) -> HostMount | None:
        """Return what is known of the present mount of *volume* by *host*."""
        return self.mounts.get(_key(host, volume))

    def _named(self, host: str, volume: str) -> HostMount | None:
        """Return the mount that *host* names by what it printed for a volume."""
        return self.of(host, volume) if _plain(volume) else None

    def formers_of(self, host: str, volume: str) -> tuple[HostMount, ...]:
        """Return the last mounts of *volume* by *host* that are over, the oldest first."""
        return self.formers.get(_key(host, volume), ())

    def retire(self, mount: HostMount) -> None:
        """Put *mount* to those that are over: it says nothing any more of what comes after it."""
        key = _key(mount.host, mount.volume)
        if self.mounts.get(key) == mount:
            del self.mounts[key]
            _remember(self.formers, key, (*self.formers.get(key, ()), mount)[-_FORMERS:])

    def begin_next(self, mount: HostMount) -> HostMount:
        """Put *mount* to those that are over; what was said since its end is of the next one."""
        over_ns = mount.dismounted_ns
        met_ns, used_ns = (
            (ns if ns > over_ns else 0) for ns in (mount.mounted_ns, mount.opened_ns)
        )
        self.retire(mount)
        following = replace(mount, mounted_ns=met_ns, opened_ns=used_ns, dismounted_ns=0)
        self._put(following)
        return following

    def is_elsewhere(self, host: str, volume: str) -> None:
        """Take in that no tape here has the name *volume*, whose mount by *host* may be over."""
        key = _key(host, volume)
        mount = self.mounts.get(key)
        if mount is None or not mount.dismounted_ns:
            return
        self.elsewhere[key] = mount.dismounted_ns
        if len(self.elsewhere) > 2 * _ELSEWHERE:
            for oldest in list(self.elsewhere)[:_ELSEWHERE]:
                over_ns = self.elsewhere.pop(oldest)
                mount = self.mounts.get(oldest)
                if mount is not None and mount.dismounted_ns == over_ns:
                    del self.mounts[oldest]
                    self.formers.pop(oldest, None)

    def _drop(self, mount: HostMount) -> tuple[str, ...]:
        """Forget *mount*, which never was one."""
        del self.mounts[_key(mount.host, mount.volume)]
        return (mount.volume,)

    # ---- requests --------------------------------------------------------------------------------

    def _requested(self, event: MountRequested, now_ns: int) -> tuple[str, ...]:
        key = _key(event.host, event.request)
        known = self._met_before(event, now_ns)
        if event.request is not None and known is None:
            _remember(self.requests, key, event)
            _remember(self.requested_ns, key, now_ns)
        volume = known.volume if known else _plain(event.volume)
        if volume is None:
            return ()
        known = self.of(event.host, volume)
        if known is not None and known.told_by(event, now_ns):
            return ()
        if known is not None and known.asked_by(event, now_ns):
            return self._put(_asked(known, event, now_ns))
        new = _asked(HostMount(event.host, volume), event, now_ns)
        return self._begin(replace(new, live=self._live(event.host, now_ns)), now_ns)

    def _met_before(self, event: MountRequested, now_ns: int) -> HostMount | None:
        """Return the mount that met this request, if that was heard first."""
        if event.request is None:
            return None  # requests without a number are no more alike than others
        found = self.met.pop(_key(event.host, event.request), None)
        if found is None or now_ns - found.mounted_ns >= LATE_NS:
            return None
        return self.of(found.host, found.volume)

    def _mounted(self, event: VolumeMounted, now_ns: int) -> tuple[str, ...]:
        volume, key = _plain(event.volume), _key(event.host, event.request)
        if volume is None:
            return ()
        request = self.requests.pop(key, None)
        asked_ns = self.requested_ns.pop(key, now_ns)
        known = self.of(event.host, volume)
        if request is None:
            return self._mounted_unasked(event, volume, known, now_ns)
        if known is None or known.request != event.request:
            # A scratch request learns its volume here; so does a request met by another tape.
            self._let_go(event, request)
            if known is None or not known.asked_by(request, now_ns):
                new = replace(HostMount(event.host, volume), live=self._live(event.host, asked_ns))
                self._begin(new, now_ns)
                known = new
            known = _asked(known, request, asked_ns)
        return self._put(replace(known, mounted_ns=known.mounted_ns or now_ns))

    def _mounted_unasked(
        self, event: VolumeMounted, volume: str, known: HostMount | None, now_ns: int
    ) -> tuple[str, ...]:
        """Take in that a request was met which was not heard, or was met before."""
        anew = HostMount(event.host, volume, request=event.request, mounted_ns=now_ns)
        if known is None or known.request not in (None, event.request):
            careful = known is not None and known.ring is Ring.NO_RING and not known.took_place
            if known is not None and (event.request is None or careful):
                anew = replace(known, mounted_ns=known.mounted_ns or now_ns)
                return self._put(anew)
            _remember(self.met, _key(event.host, event.request), anew)
            return self._begin(anew, now_ns)
        if known.request is None and event.request is not None:
            _remember(self.met, _key(event.host, event.request), anew)
            known = replace(known, request=event.request)
        return self._put(replace(known, mounted_ns=known.mounted_ns or now_ns))

    def _let_go(self, event: VolumeMounted, request: MountRequested) -> None:
        """The volume that was asked for is not the one that is mounted."""
        if request.volume is None or request.volume == event.volume:
            return
        known = self.of(event.host, request.volume)
        if known is not None and known.request == event.request and not known.took_place:
            self._drop(known)

    def _ended(self, event: RequestEnded, tape: str | None) -> tuple[str, ...]:
        key = _key(event.host, event.request)
        request = self.requests.pop(key, None)
        self.requested_ns.pop(key, None)
        volume = _plain(event.volume) or (request.volume if request else None) or tape
        known = self.of(event.host, volume) if volume else None
        if known is None or known.took_place:
            return ()
        if known.request is not None and known.request != event.request:
            return ()
        return self._drop(known)

    # ---- use -------------------------------------------------------------------------------------

    def _used(
        self,
        event: TapeOpened | TapeInUse | TapeOnline | TapeDismounted,
        volume: str | None,
        now_ns: int,
    ) -> tuple[str, ...]:
        if volume is None:
            return ()
        known = self.of(event.host, volume) or HostMount(event.host, volume)
        known = replace(known, drive=known.drive or event.drive or "")
        match event:
            case TapeOnline():
                if known.dismounted_ns and now_ns - known.dismounted_ns >= LATE_NS:
                    known = HostMount(event.host, volume, drive=event.drive)
                    self._begin(known, now_ns)
                nobody = known.ring is None and known.request is None
                known = replace(known, mounted_ns=known.mounted_ns or now_ns, unrequested=nobody)
            case TapeDismounted():
                if known.may_be_next:
                    known = self.begin_next(known)
                known = replace(known, dismounted_ns=known.dismounted_ns or now_ns)
            case _:
                known = replace(known, opened_ns=known.opened_ns or now_ns)
        return self._put(known)

    def _device(
        self, event: DeviceRequested | DeviceAccepted, tape: str | None, now_ns: int
    ) -> tuple[str, ...]:
        """Take in that a job wants, or gets, the drive that stands for *tape*."""
        if tape is None:
            return ()
        known = self.of(event.host, tape)
        if known is None or known.dismounted_ns:
            fresh = HostMount(event.host, tape, request=event.request, drive=event.drive)
            if known is not None:
                self._begin(fresh, now_ns)
            known = fresh
        if isinstance(event, DeviceAccepted):
            return self._put(replace(known, mounted_ns=known.mounted_ns or now_ns))
        if event.use is DeviceUse.UNKNOWN_TAPE:
            return ()  # a question to the operator, who can also say no
        return self._put(replace(known, requested_ns=known.requested_ns or now_ns))

    def _substituted(self, event: VolumeSubstituted, now_ns: int) -> tuple[str, ...]:
        """The mount that was wanted of one volume is another's; what that was asked for stays.

        A mount that took place and is over was the wanted volume's own: the word is about another.
        """
        wanted, used = self._named(event.host, event.wanted), _plain(event.used)
        if wanted is None or used is None or (wanted.dismounted_ns and wanted.took_place):
            return ()
        self._drop(wanted)
        known = self.of(event.host, used)
        if known is None or known.asked_by(_request_of(wanted), now_ns):
            known = replace(known or HostMount(event.host, used), ring=wanted.ring)
            known = replace(known, request=wanted.request, requested_ns=wanted.requested_ns,
                            mounted_ns=known.mounted_ns or wanted.mounted_ns)  # fmt: skip
            self._put(known)
        elif known.dismounted_ns or known.caution <= wanted.caution:
            self._begin(replace(wanted, volume=used), now_ns)
        return (event.wanted, used)

    def _not_used(self, host: str, volume: str) -> tuple[str, ...]:
        """A tape was unloaded as the wrong one, or will not be mounted: no mount comes of it."""
        known = self._named(host, volume)
        if known is None or (known.ring is not None and known.took_place):
            return ()
        return self._drop(known)

    def _still_there(self, event: DismountFailed) -> tuple[str, ...]:
        known = self._named(event.host, event.volume)
        if known is None or not known.dismounted_ns:
            return ()
        since_ns = known.began_ns or known.dismounted_ns
        return self._put(replace(known, dismounted_ns=0, opened_ns=since_ns))

    # ---- the whole host ----------------------------------------------------------------------------

    def _of_host(self, event: HostEvent, now_ns: int) -> tuple[str, ...]:
        match event:
            case RequestsForgotten():
                return self._forget_requests(event.host)
            case EventsMissed():
                self.since_ns[event.host] = now_ns
                return self.lose(event.host, gap=True)
            case LinkLost():
                return self.lose(event.host)
            case LinkUp():
                self.since_ns.setdefault(event.host, now_ns)
                return ()
            case CaughtUp():
                return self.regain(event.host)
            case _:
                return ()

    def lose(self, host: str, *, gap: bool = False) -> tuple[str, ...]:
        """Take in that *host* is not heard now; return the volumes concerned.

        With a *gap*, what was said is lost for good, open requests included; without one, all may
        still be told when the link is back (`regain`).
        """
        if gap:
            self._forget_numbers(host)
        else:
            self.since_ns.pop(host, None)
        return self._mark(host, lost=True, gap=gap)

    def regain(self, host: str) -> tuple[str, ...]:
        """Take in that *host* tells all that it said since `lose`: its replay follows on that."""
        return self._mark(host, lost=False, gap=False)

    def _mark(self, host: str, *, lost: bool, gap: bool) -> tuple[str, ...]:
        touched = []
        for key, mount in self.mounts.items():
            if mount.host == host and not mount.dismounted_ns:
                missed = mount.missed or gap
                marked = replace(mount, lost=lost or missed, missed=missed)
                if marked != mount:
                    self.mounts[key] = marked
                    touched.append(mount.volume)
        return tuple(touched)

    def _forget_requests(self, host: str) -> tuple[str, ...]:
        """The tape server has lost its open requests: their jobs fail, and no mount comes of them.

        What is mounted stays so.
        """
        self._forget_numbers(host)
        gone = [m for m in self.mounts.values() if m.host == host and not m.took_place]
        for mount in gone:
            self._drop(mount)
        return tuple(mount.volume for mount in gone)

    def _forget_numbers(self, host: str) -> None:
        for key in [key for key, request in self.requests.items() if request.host == host]:
            del self.requests[key]
            self.requested_ns.pop(key, None)

    def _live(self, host: str, now_ns: int) -> bool:
        since_ns = self.since_ns.get(host)
        return since_ns is not None and now_ns - since_ns > LATE_NS

    def _begin(self, mount: HostMount, now_ns: int) -> tuple[str, ...]:
        """Put *mount* in the place of the one before, which is over, whether we heard so or not."""
        key = _key(mount.host, mount.volume)
        before = self.mounts.get(key)
        if before is not None:
            implied = not before.dismounted_ns
            over = replace(before, dismounted_ns=before.dismounted_ns or now_ns, implied=implied)
            self.mounts[key] = over
            self.retire(over)
        return self._put(mount)

    def _put(self, mount: HostMount) -> tuple[str, ...]:
        _remember(self.mounts, _key(mount.host, mount.volume), mount)
        return (mount.volume,)

    def drop_older(self, than_ns: int) -> None:
        """Forget what has shown no sign of life since *than_ns*; most is of other machines' tapes."""
        for where in (self.mounts, self.met):
            for key, mount in list(where.items()):
                if mount.last_ns < than_ns:
                    del where[key]
        for key, mounts in list(self.formers.items()):
            if mounts[-1].last_ns < than_ns:
                del self.formers[key]
        for key, asked_ns in list(self.requested_ns.items()):
            if asked_ns < than_ns:
                del self.requested_ns[key]
                self.requests.pop(key, None)


def _asked(mount: HostMount, event: MountRequested, asked_ns: int) -> HostMount:
    return replace(
        mount,
        ring=event.ring,
        request=event.request,
        drive=mount.drive or event.drive or "",
        requested_ns=asked_ns,
    )


def _request_of(mount: HostMount) -> MountRequested:
    ring = mount.ring or Ring.WITH_RING
    return MountRequested(mount.host, mount.request, mount.volume, ring)


def _plain(volume: str | None) -> str | None:
    """Return a printed volume, if it can be one: a name with a slash stands for a drive's tape."""
    return volume if volume and "/" not in volume else None


def _key(host: str, what: str | int | None) -> str:
    return f"{host}:{what}"


def _remember(where: dict[str, _T], key: str, value: _T) -> None:
    where.pop(key, None)
    where[key] = value
    if len(where) > MOST_REMEMBERED:
        for oldest in list(where)[:_FORGOTTEN_AT_ONCE]:
            del where[oldest]
