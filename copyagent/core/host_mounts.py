"""What the hosts' events say about each volume: the second witness's half of the pairing.

Only the mount request tells with ring from no ring, so the ring is remembered by request number
until a volume is known, then by volume until the dismount (DESIGN section 5). Events may be lost,
doubled or late; whatever is not known stays None, and None never counts as a denial.
"""

from dataclasses import dataclass, field, replace
from typing import TypeVar

from copyagent.core.host_events import (
    CaughtUp,
    EventsMissed,
    HostEvent,
    LinkLost,
    MountRequested,
    RequestEnded,
    RequestsForgotten,
    Ring,
    TapeDismounted,
    TapeInUse,
    TapeOnline,
    TapeOpened,
    VolumeMounted,
    VolumeSubstituted,
)

_T = TypeVar("_T")

#: A flood of forged requests must not fill the memory; real hosts have a few dozen drives.
MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class HostMount:
    """One mount as its host told of it; times are arrival here, in ns since the epoch (0: never).

    *ring* is None while only events without a ring were seen. *lost* says that events may have been
    missed since, so that its silence denies nothing; *regainable*, that it is only because the link
    is down, and that the host may still tell all of it when it is back.
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
    regainable: bool = False

    @property
    def began_ns(self) -> int:
        """The earliest sign of the mount."""
        return min(
            (t for t in (self.requested_ns, self.mounted_ns, self.opened_ns) if t), default=0
        )

    def told_by(self, event: MountRequested) -> bool:
        """Tell whether *event* is the request of this very mount, printed once more."""
        same = self.host == event.host and self.request == event.request
        return same and not self.dismounted_ns and self.ring is event.ring


@dataclass(slots=True)
class HostMounts:
    """Requests that name no volume yet, and the mounts by volume. Durable with the agent's state."""

    requests: dict[str, MountRequested] = field(default_factory=dict)
    requested_ns: dict[str, int] = field(default_factory=dict)
    mounts: dict[str, HostMount] = field(default_factory=dict)

    def handle(self, event: HostEvent, now_ns: int) -> tuple[str, ...]:
        """Take in one event; return the volumes about which something new is known."""
        match event:
            case MountRequested():
                return self._requested(event, now_ns)
            case VolumeMounted():
                return self._mounted(event, now_ns)
            case RequestEnded():
                return self._ended(event)
            case TapeOpened(volume=str(volume)) | TapeInUse(volume=str(volume)):
                known = self._known(volume, event.host, event.drive)
                return self._put(replace(known, opened_ns=known.opened_ns or now_ns))
            case TapeOnline(volume=str(volume)):
                known = self._known(volume, event.host, event.drive)
                return self._put(replace(known, mounted_ns=known.mounted_ns or now_ns))
            case TapeDismounted(volume=str(volume)):
                known = self._known(volume, event.host, event.drive)
                return self._put(replace(known, dismounted_ns=known.dismounted_ns or now_ns))
            case VolumeSubstituted():
                return self._substituted(event)
            case RequestsForgotten():
                self._forget_requests(event.host)
            case LinkLost():
                return self.suspend(event.host)
            case EventsMissed():
                return self.lose(event.host)
            case CaughtUp():
                return self.regain(event.host)
            case _:
                pass
        return ()

    def of(self, volume: str) -> HostMount | None:
        """Return what is known of the current mount of *volume*."""
        return self.mounts.get(volume)

    def consume(self, volume: str) -> None:
        """Forget a mount that has been judged to its end."""
        self.mounts.pop(volume, None)

    def _requested(self, event: MountRequested, now_ns: int) -> tuple[str, ...]:
        if event.request is not None:
            key = f"{event.host}:{event.request}"
            _remember(self.requests, key, replace(event, printed=None))
            _remember(self.requested_ns, key, now_ns)
        if event.volume is None:
            return ()
        known = self.mounts.get(event.volume)
        if known is not None and known.told_by(event):
            return ()
        return self._put(_from_request(event, event.volume, now_ns))

    def _mounted(self, event: VolumeMounted, now_ns: int) -> tuple[str, ...]:
        key = f"{event.host}:{event.request}"
        request = self.requests.pop(key, None)
        asked_ns = self.requested_ns.pop(key, now_ns)
        known = self.mounts.get(event.volume)
        if request is not None and (known is None or request.volume != event.volume):
            # A scratch request learns its volume here; so does a request met by another tape.
            if request.volume != event.volume and request.volume is not None:
                self.mounts.pop(request.volume, None)
            known = _from_request(request, event.volume, asked_ns)
        if known is None:
            known = HostMount(event.host, event.volume, request=event.request)
        return self._put(replace(known, mounted_ns=now_ns))

    def _ended(self, event: RequestEnded) -> tuple[str, ...]:
        request = self.requests.pop(f"{event.host}:{event.request}", None)
        self.requested_ns.pop(f"{event.host}:{event.request}", None)
        volume = event.volume or (request.volume if request else None)
        known = self.mounts.get(volume) if volume else None
        if volume is None or known is None or known.mounted_ns or known.opened_ns:
            return ()
        if known.request is not None and known.request != event.request:
            return ()
        del self.mounts[volume]
        return (volume,)

    def _known(self, volume: str, host: str, drive: str | None) -> HostMount:
        known = self.mounts.get(volume) or HostMount(host, volume)
        return replace(known, drive=known.drive or drive or "")

    def _substituted(self, event: VolumeSubstituted) -> tuple[str, ...]:
        wanted = self.mounts.pop(event.wanted, None)
        if wanted is None:
            return ()
        self._put(replace(wanted, volume=event.used))
        return (event.wanted, event.used)

    def _forget_requests(self, host: str) -> None:
        for key in [key for key, request in self.requests.items() if request.host == host]:
            del self.requests[key]
            self.requested_ns.pop(key, None)

    def lose(self, host: str) -> tuple[str, ...]:
        """Take in that events of *host* may have been missed; return the volumes concerned."""
        self._forget_requests(host)
        touched = [m for m in self.mounts.values() if m.host == host and not m.dismounted_ns]
        for mount in touched:
            self.mounts[mount.volume] = replace(mount, lost=True, regainable=False)
        return tuple(mount.volume for mount in touched)

    def suspend(self, host: str) -> tuple[str, ...]:
        """Take in that *host* cannot be heard; return the volumes concerned."""
        touched = [m for m in self.mounts.values() if m.host == host and not m.dismounted_ns]
        for mount in touched:
            if not mount.lost:
                self.mounts[mount.volume] = replace(mount, lost=True, regainable=True)
        return tuple(mount.volume for mount in touched)

    def regain(self, host: str) -> tuple[str, ...]:
        """Take in that *host* tells all that it said since `suspend`; return the volumes concerned."""
        touched = [m for m in self.mounts.values() if m.host == host and m.regainable]
        for mount in touched:
            self.mounts[mount.volume] = replace(mount, lost=False, regainable=False)
        return tuple(mount.volume for mount in touched)

    def _put(self, mount: HostMount) -> tuple[str, ...]:
        _remember(self.mounts, mount.volume, mount)
        return (mount.volume,)

    def drop_older(self, than_ns: int) -> None:
        """Forget mounts with no sign of life since *than_ns*; most are of other machines' tapes."""
        for volume, mount in list(self.mounts.items()):
            last = max(mount.began_ns, mount.dismounted_ns)
            if last < than_ns:
                del self.mounts[volume]


def _from_request(event: MountRequested, volume: str, now_ns: int) -> HostMount:
    return HostMount(
        host=event.host,
        volume=volume,
        ring=event.ring,
        request=event.request,
        drive=event.drive or "",
        requested_ns=now_ns,
    )


def _remember(where: dict[str, _T], key: str, value: _T) -> None:
    where.pop(key, None)
    where[key] = value
    if len(where) > MOST_REMEMBERED:
        del where[next(iter(where))]
