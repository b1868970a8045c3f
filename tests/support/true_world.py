"""What really happens to tapes, and how much of it the agent is told: a model with an oracle.

A host asks for tapes, an engine opens, writes and closes them, a link and a feed carry the news,
late or not at all. The model knows the truth of every byte: which mount wrote it and what the agent
had been told of that mount. So it can judge every publication by what the agent should have known
(the failure model's invariants), without looking into the agent.
"""

from collections import deque
from dataclasses import dataclass, field

from copyagent.core import errands, operator
from copyagent.core.commands import Command, StartCopy, StopCopy
from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyJob,
    CopyOutcome,
    CopyStopped,
    CopyWaits,
    HoldReason,
    SourceChanged,
    SourceErased,
    WaitReason,
)
from copyagent.core.events import CopyIntended, Event, SignalSeen, TargetProbed, WakeupDue
from copyagent.core.host_events import (
    EventsMissed,
    HostEvent,
    LinkLost,
    LinkTrouble,
    LinkUp,
    MountRequested,
    RequestEnded,
    RequestOutcome,
    RequestsForgotten,
    Ring,
    TapeDismounted,
    TapeOpened,
    VolumeMounted,
    VolumeSubstituted,
)
from copyagent.core.host_mount import LATE_S
from copyagent.core.tape import Cancelled, Held
from tests.support.histories import Overlay, ended, published
from tests.support.playbook import Playbook
from tests.support.truth import Broken, Link, Mount, Told, TrueTape, Version
from vtsfs.contract.errors import NameUnknown, RequestFailed
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access

#: After so many seconds, a host that has a tape is no reason to wait any longer.
MOUNTED_MAX_S = 86400.0
DAY_S = 86400.0

#: No two things happen at the same moment, in seconds.
MOMENT_S = 0.01

#: How copies can end that are nobody's fault here, and what lets each go on.
ENDINGS: dict[str, CopyOutcome] = {
    "unreachable": CopyFailed("refused", "Start sshd.", unreachable=True),
    "full": CopyFailed("no space left", "Make room.", permanent=True),
    "read-only vault": CopyFailed("read-only", "Mend it.", permanent=True, whole_vault=True),
    "fenced": CopyWaits(WaitReason.FENCED, "in service"),
    "label elsewhere": CopyHeld(HoldReason.LABEL_ELSEWHERE, "there", place="/VAULT02/BILL/X"),
}


@dataclass
class TrueWorld:
    """The whole of it around one engine. *hosts* maps each vault to its host."""

    play: Playbook
    hosts: dict[str, str]
    tapes: dict[TapeId, TrueTape] = field(default_factory=dict)
    overlays: dict[str, Overlay] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    feed: deque[tuple[SignalSeen, Told]] = field(default_factory=deque)
    jobs: dict[tuple[TapeId, str], tuple[CopyJob, int]] = field(default_factory=dict)
    requests: int = 9998

    def __post_init__(self) -> None:
        for vault, host in self.hosts.items():
            self.overlays[vault] = Overlay(vault, outbox_id=f"outbox-{vault}")
            self.links.setdefault(host, Link(host))
        for host in self.links:
            self.hand(LinkUp(host))
        for overlay in self.overlays.values():
            self.hand(overlay.hello())
            self.hand(overlay.swept(self.play.now.mono))

    # ---- the agent's side ------------------------------------------------------------------------

    def hand(self, event: Event | HostEvent) -> None:
        """Hand an event to the engine, and take up its orders."""
        self.obey(self.play.hand(event))

    def obey(self, commands: list[Command]) -> None:
        """Begin the copies that were ordered; a copier reads what lies there when it begins."""
        for command in commands:
            if isinstance(command, StartCopy):
                job = command.job
                self.jobs[job.tape, job.target] = job, self.tapes[job.tape].version
            if isinstance(command, StopCopy):
                assert (command.tape, command.target) in self.jobs
        self.play.open.clear()

    def wait(self, seconds: float) -> None:
        """Let time pass, the engine being woken whenever it wants to.

        Over a link that is up no word is later than `LATE_S`: the agent relies on that. Nor does an
        overlay that is there keep its words for a day.
        """
        if seconds >= DAY_S:
            self.hear_feed(len(self.feed))
        for link in self.links.values():
            oldest = max(link.since, link.said[0]) if link.said else self.play.now.mono
            if link.up and self.play.now.mono + seconds - oldest > LATE_S - 1.0:
                self.hear_host(link.host, len(link.wire))
        until = self.play.now.mono + seconds
        while self.play.now.mono < until:
            self.play.wait(until - self.play.now.mono)
            self.obey(list(self.play.open))
        self._tick()

    def _tick(self) -> None:
        for overlay in self.overlays.values():
            overlay.tick = max(overlay.tick, self.play.now.wall_ns)

    # ---- the host --------------------------------------------------------------------------------

    def say(self, host: str, event: HostEvent, told: Told = lambda: None) -> None:
        """Let the host print *event*; *told* is called when it reaches the agent."""
        self.wait(MOMENT_S)
        self.links[host].wire.append((event, told))
        self.links[host].said.append(self.play.now.mono)

    def ask(self, tape: TapeId, ring: Ring, *, scratch: bool) -> None:
        """The host asks for a tape: with *scratch*, without saying which."""
        host = self.hosts[tape.vault]
        self.requests = (self.requests + 1) % 10_000
        mount = Mount(host, tape, ring, self.requests, self.play.now.mono, scratch)
        self.tapes[tape].mount = mount
        if ring is Ring.WITH_RING:
            self.tapes[tape].ringed.append(mount)
        volume = None if scratch else tape.label
        event = MountRequested(host, mount.request, volume, ring, "$VTAPE0", scratch=scratch)
        self.say(host, event, lambda: None if scratch else self._told(mount))

    def _told(self, mount: Mount) -> None:
        mount.told = mount.sure = True
        mount.told_s = self.play.now.mono

    def fulfil(self, tape: TapeId, *, opened: bool) -> None:
        """The tape is on the drive; *opened* prints who uses it as well."""
        mount = self.tapes[tape].mount
        assert mount is not None
        mount.fulfilled = True

        def met() -> None:
            mount.met_told = True
            if mount.scratch:
                self._told(mount)

        def used() -> None:
            mount.met_told = True

        self.say(mount.host, VolumeMounted(mount.host, mount.request, tape.label), met)
        if opened:
            self.say(mount.host, TapeOpened(mount.host, tape.label, "$VTAPE0"), used)

    def cancel(self, tape: TapeId) -> None:
        """The request ends without a mount."""
        mount = self.tapes[tape].mount
        assert mount is not None
        self.tapes[tape].mount = None
        mount.over = True
        volume = None if mount.scratch else tape.label
        end = RequestEnded(mount.host, mount.request, volume, RequestOutcome.REJECTED)
        self.say(mount.host, end)

    def substitute(self, wanted: TapeId, used: TapeId) -> None:
        """The host takes another tape than the one it asked for."""
        mount = self.tapes[wanted].mount
        assert mount is not None
        self.tapes[wanted].mount, self.tapes[used].mount = None, mount
        mount.tape = used
        if mount in self.tapes[wanted].ringed:
            self.tapes[used].ringed.append(mount)
        self.say(mount.host, VolumeSubstituted(mount.host, wanted.label, used.label))

    def lose_words(self, host: str) -> None:
        """One event that the host printed never arrives, and nobody knows."""
        if self.links[host].wire:
            self.links[host].wire.popleft()
            self.links[host].said.popleft()
            self.forget_plainness(host)

    def take_over(self, host: str) -> None:
        """The host's tape server loses its pending requests; they are made anew, or not."""
        for truth in self.tapes.values():
            mount = truth.mount
            if mount is not None and mount.host == host and not mount.fulfilled:
                mount.over, truth.mount = True, None

        def told() -> None:
            # If it was met after all and the word was lost, nobody can know.
            for mount in self._mounts(host):
                mount.told = mount.told and mount.met_told

        self.say(host, RequestsForgotten(host, "takeover"), told)

    def dismount(self, tape: TapeId) -> None:
        """The host is done with the tape."""
        truth = self.tapes[tape]
        mount = truth.mount
        assert mount is not None
        mount.over, truth.mount = True, None

        def told() -> None:
            mount.over_told = True
            if mount.ring is Ring.WITH_RING:
                truth.agreed.append(mount)

        self.say(mount.host, TapeDismounted(mount.host, tape.label, "$VTAPE0"), told)

    # ---- the tape engine -------------------------------------------------------------------------

    def open(self, tape: TapeId) -> None:
        """The engine opens a tape to write, for whoever has it mounted."""
        truth = self.tapes[tape]
        truth.opener = truth.mount if truth.mount and truth.mount.fulfilled else None
        if truth.opener is None:
            # Of a session that no host knows, a late word can be meant as well as not.
            truth.unplain = True
        self._report(self._overlay(tape).mounted(tape, Access.WRITE))

    def close(self, tape: TapeId, *, wrote: bool) -> None:
        """The engine closes it."""
        truth, mount = self.tapes[tape], self.tapes[tape].opener
        if wrote:
            truth.versions.append(Version(mount))
        version = truth.versions[-1] if wrote else None
        if version is not None:
            version.covered = any(
                m.told and not m.over_told for m in truth.ringed if m is not mount
            )
        if mount is not None and not mount.told:
            # Words that come after the deed can be of this mount or of the next one.
            truth.unplain = True

        def told() -> None:
            if version is not None and mount is not None:
                version.expected = mount.sure and not mount.over_told

        size = 4096 + truth.version if wrote else 0
        self._report(self._overlay(tape).dismounted(tape, wrote=size), told)
        truth.opener = None

    def cut_off(self, tape: TapeId) -> None:
        """The overlay dies with the tape half written."""
        truth = self.tapes[tape]
        truth.versions.append(Version(truth.opener, cut=True))
        truth.unplain = True
        self._report(self._overlay(tape).interrupted(tape, wrote=4096 + truth.version))
        truth.opener = None

    def read(self, tape: TapeId) -> None:
        """Somebody reads the tape."""
        overlay = self._overlay(tape)
        if (tape, Access.READ) not in overlay.open and tape in overlay.identities:
            for signal in overlay.read(tape):
                self._report(signal)

    def change(self, tape: TapeId) -> None:
        """Somebody changes the tape without a session."""
        truth = self.tapes[tape]
        truth.versions.append(Version(None, foreign=True))
        self._report(self._overlay(tape).changed(tape, size=4096 + truth.version))

    def _report(self, signal: SignalSeen, told: Told = lambda: None) -> None:
        self.feed.append((signal, told))

    def is_open(self, tape: TapeId) -> bool:
        """Tell whether the engine has it open to write."""
        return (tape, Access.WRITE) in self.overlays[tape.vault].open

    def _overlay(self, tape: TapeId) -> Overlay:
        self.wait(MOMENT_S)
        return self.overlays[tape.vault]

    # ---- the ways to the agent -------------------------------------------------------------------

    def hear_feed(self, count: int) -> None:
        """Let some of the overlay's signals arrive, in order."""
        for _ in range(min(count, len(self.feed))):
            signal, told = self.feed.popleft()
            told()
            self.hand(signal)

    def hear_host(self, host: str, count: int, *, twice: bool = False) -> None:
        """Let some of a host's events arrive, in order, each perhaps *twice*."""
        link = self.links[host]
        for _ in range(min(count, len(link.wire)) if link.up else 0):
            event, told = link.wire.popleft()
            link.said.popleft()
            told()
            for _ in range(2 if twice else 1):
                self.hand(event)

    def lose_link(self, host: str) -> None:
        """Lose the link; what it had not printed yet stays in the host's log."""
        self.links[host].up = False
        self._unsure(host)
        self.hand(LinkLost(host, "connection lost; check the network", LinkTrouble.DISCONNECTED))

    def regain_link(self, host: str, *, gap: bool) -> None:
        """Have it back. Without a *gap* everything since is replayed; with one, nothing is."""
        link = self.links[host]
        link.up, link.since = True, self.play.now.mono
        self.hand(LinkUp(host))
        if gap:
            link.wire.clear()
            link.said.clear()
            self.forget_plainness(host)
            self.hand(EventsMissed(host, "the log was rolled over"))

    def _unsure(self, host: str) -> None:
        for mount in self._mounts(host):
            mount.sure = False

    def forget_plainness(self, host: str) -> None:
        """The agent cannot know enough of that host's tapes to judge without fault."""
        for tape, truth in self.tapes.items():
            if self.hosts[tape.vault] == host:
                truth.unplain = True

    def _mounts(self, host: str) -> list[Mount]:
        mounts = {id(v.mount): v.mount for t in self.tapes.values() for v in t.versions if v.mount}
        mounts |= {id(t.mount): t.mount for t in self.tapes.values() if t.mount}
        return [mount for mount in mounts.values() if mount.host == host]

    def restart_agent(self, away: float) -> None:
        """Kill the agent and start it again: copies end, links begin anew."""
        self.jobs.clear()
        self.play.restart(away=away)
        self.obey(list(self.play.open))
        for host, link in self.links.items():
            link.up = False
            self._unsure(host)
        for overlay in self.overlays.values():
            self.hand(overlay.hello())

    # ---- the copier ------------------------------------------------------------------------------

    def end_copy(self, key: tuple[TapeId, str], *, fails: str = "") -> None:
        """Let a copy come to its end as the real copier would, every guard asked."""
        job, version = self.jobs[key]
        outcome = self._outcome(job, version, fails)
        del self.jobs[key]
        if isinstance(outcome, CopyDone):
            truth = self.tapes[job.tape]
            if version == truth.published and truth.agreed:
                truth.agreed.pop()
            truth.published = version
        self.hand(ended(job, outcome))

    def _outcome(self, job: CopyJob, version: int, fails: str) -> CopyOutcome:
        identity = self.overlays[job.tape.vault].identities.get(job.tape)
        if fails:
            return ENDINGS[fails]
        if self.is_open(job.tape):
            return CopyWaits(WaitReason.OPEN, "a writer")
        if identity is None or identity.size == 0:
            return SourceErased(identity is None)
        if job.identity is not None and not identity.same_bytes(job.identity):
            return SourceChanged(identity)
        copy = published(job, identity=identity)
        self.hand(CopyIntended(job.tape, job.target, copy))
        if not self.play.engine.may_publish(job.tape, job.target, job.generation):
            return CopyStopped("no permission")
        self.check_publication(job, version)
        return CopyDone(copy, sent=4096, took_s=1.0)

    def relocate(self, tape: TapeId) -> None:
        """Let an operator have a copy moved that was found in another place of the target."""
        try:
            errands.relocate(self.play.engine.book, tape, "because", "root", self.play.now)
        except (NameUnknown, RequestFailed):
            return
        self.hand(WakeupDue())

    def let_go(self, tape: TapeId) -> bool:
        """End an operator's hold of *tape*, if there is one, without a word about its content."""
        book, now = self.play.engine.book, self.play.now
        record = book.records.get(tape)
        held = [] if record is None else [c for c in record.copies.values() if c.hold is not None]
        if not held:
            return False
        before = {id(copy): copy.state for copy in held}
        operator.release(book, tape, "because", "root", now)
        # A hold that was there for another reason went with it, on the operator's responsibility.
        self.tapes[tape].allowed |= any(
            isinstance(state, Held) and state.reason is not HoldReason.BY_OPERATOR
            for state in before.values()
        )
        self.hand(WakeupDue())
        return True

    def retry_cancelled(self, tape: TapeId) -> None:
        """Have copied after all what an operator had cancelled."""
        if isinstance(self.state_of(tape), Cancelled):
            operator.retry(self.play.engine.book, tape, "root", self.play.now)
            self.hand(WakeupDue())

    # ---- the oracle ------------------------------------------------------------------------------

    def check_publication(self, job: CopyJob, version: int) -> None:
        """Raise `Broken` if what is about to be published must not be, by what the agent was told."""
        truth = self.tapes[job.tape]
        if truth.allowed:
            return
        news = [v for v in truth.versions[truth.published : version] if not v.foreign]
        foreign = version - truth.published > len(news)
        if self.is_open(job.tape):
            raise Broken(f"{job.tape} is published while it is open")
        if not news and not foreign and not truth.agreed:
            raise Broken(f"{job.tape}: nothing was written, and no mount with ring is over")
        if not news:
            return
        last = news[-1]
        if last.cut and not foreign:
            raise Broken(f"{job.tape}: what an interruption left is published")
        mount = last.mount
        if mount is None or foreign:
            return
        if mount.ring is Ring.NO_RING and mount.told and not last.covered:
            raise Broken(f"{job.tape}: written without ring, told so, and published")
        age_s = self.play.now.mono - mount.told_s
        if (
            last.expected
            and not last.covered
            and mount.sure
            and not mount.over_told
            and age_s < MOUNTED_MAX_S
        ):
            raise Broken(f"{job.tape}: published while the host has it mounted")

    def state_of(self, tape: TapeId) -> object:
        """Return the state of the tape's copy, None when the agent has no record of it."""
        record = self.play.engine.book.records.get(tape)
        return next(iter(record.copies.values())).state if record else None

    def calm_down(self) -> None:
        """Let everything end well: all that is on its way arrives, and all copies succeed."""
        for tape, truth in self.tapes.items():
            if self.is_open(tape):
                self.close(tape, wrote=True)
            if truth.mount is not None:
                (self.dismount if truth.mount.fulfilled else self.cancel)(tape)
        for host, link in self.links.items():
            if not link.up:
                self.regain_link(host, gap=False)
        self.hear_feed(len(self.feed))
        for host, link in self.links.items():
            self.hear_host(host, len(link.wire))
        for target in self.play.engine.book.settings.targets:
            self.hand(TargetProbed(target, None))
        for tape in self.tapes:
            self.relocate(tape)
        for _ in range(50):
            self.wait(400.0)
            for key in sorted(self.jobs):
                self.end_copy(key)
        self.wait(90_000.0)
        for key in sorted(self.jobs):
            self.end_copy(key)

    def check_calm(self) -> None:
        """Raise `Broken` if a changed tape is neither copied nor held, or held for no reason."""
        for tape, truth in self.tapes.items():
            state = self.state_of(tape)
            told = "\n".join(self.play.lines)
            if isinstance(state, Held):
                if not truth.unplain and not truth.allowed and not self._has_fault(truth):
                    raise Broken(f"{tape} is held and nothing was wrong: {state}\n{told}")
            elif truth.published != truth.version:
                raise Broken(f"{tape}: {truth.version} versions, {truth.published} published, "
                             f"{state}\n{told}")  # fmt: skip

    def _has_fault(self, truth: TrueTape) -> bool:
        return any(v.mount and v.mount.ring is Ring.NO_RING for v in truth.versions)
