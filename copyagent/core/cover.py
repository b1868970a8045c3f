"""Is every watched vault under its overlay? What a look at its mount point means, and when to tell.

What is written past the overlay is seen by nobody before the next sweep, so a vault that is not
covered is the one fault in which nothing fails and everything may be lost. Two things speak of it: the
mount point, looked at every few seconds whatever the overlay says of itself, and the overlay's feed.
A look that shows the vault bare, buried, dead or frozen is an alarm at once, but for the moment that a
restart takes; a silent feed behind a mount that answers is one later: signals may only be late.

The alarm is repeated hourly while it lasts, at most once an hour for one cause even if it comes and
goes, and its end is told. Afterwards the vault is swept: nobody has seen what was written meanwhile.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from copyagent.core.book import Book
from copyagent.core.commands import SweepVault
from copyagent.core.dates import iso
from copyagent.core.events import VaultSeen
from copyagent.core.time import Moment
from copyagent.core.uncovered import Answer, CoverAlarm
from vtsfs.contract import messages
from vtsfs.contract.units import format_duration

#: How long a vault may be without its overlay until that is an alarm, in seconds: a restart takes a
#: moment, and at boot the agent may be there before the overlay.
GRACE_S: Final = 5.0
BOOT_S: Final = 30.0

#: The same for an overlay that covers its vault, and does not speak to us.
UNCOVERED_S: Final = 30.0

#: How long an alarm that lasts is not repeated, in seconds.
REMIND_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a vault's cover, and since when (monotonic seconds)."""

    since: float
    cause: str


def verdict_of(seen: VaultSeen, device: str = "", elsewhere: str = "") -> str:
    """Say in what way the vault is not covered by what was *seen*; empty if it is.

    *device* is what the overlay that speaks to us says to have mounted, as ``major:minor``, empty if
    it does not say; *elsewhere* the directory that it lies over if that is not the settings'.
    """
    if seen.trouble:
        return f"its mount point cannot be looked at: {seen.trouble}"
    if not seen.layers:
        return "nothing is mounted at its mount point"
    if not any(layer.ours for layer in seen.layers):
        return f"another file system is mounted at its mount point ({seen.layers[-1].name})"
    if not seen.layers[-1].ours:
        return f"another file system is mounted over it ({seen.layers[-1].name})"
    if seen.answer is Answer.DEAD:
        return "its overlay has died, and every access of it fails"
    if seen.answer is Answer.SILENT:
        return "its overlay is attached and does not answer"
    if device and seen.layers[-1].device != device:
        return "the overlay that is mounted is not the one that reports"
    if elsewhere:
        return f"its overlay was attached over {elsewhere}, not over what the settings name"
    return ""


@dataclass(slots=True)
class Cover:
    """Whether the vaults of one book are covered, and what was told of it.

    *covered* is what the judges know: for each vault whether its overlay is there. *looks* and
    *feeds* hold what is wrong by the mount point and by the feed; *answered* are the vaults that were
    found covered in this run.
    """

    book: Book
    covered: dict[str, bool] = field(default_factory=dict)
    looks: dict[str, Trouble] = field(default_factory=dict)
    feeds: dict[str, Trouble] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)

    @property
    def alarms(self) -> dict[str, CoverAlarm]:
        """The alarms that are on."""
        return self.book.uncovered

    def recover(self, now: Moment) -> None:
        """After a restart: what was told is not told again before its time, and not taken back."""
        watched = {entry.pool.vault for entry in self.book.settings.autocopy}
        for vault, alarm in list(self.alarms.items()):
            if vault not in watched:
                self.forget(vault)
                continue
            known = self.looks if alarm.looked else self.feeds
            known[vault] = Trouble(now.mono - UNCOVERED_S, alarm.cause)

    def speaks(self, vault: str) -> None:
        """Take in that the overlay of *vault* has said hello."""
        self.feeds.pop(vault, None)
        self._settle(vault)

    def silent(self, vault: str, cause: str, now: Moment) -> None:
        """Take in that the overlay of *vault* does not speak to us."""
        known = self.feeds.get(vault)
        self.feeds[vault] = Trouble(now.mono if known is None else known.since, cause)
        self._settle(vault)

    def seen(self, vault: str, cause: str, now: Moment) -> None:
        """Take in what a look at the mount point has shown: nothing wrong if *cause* is empty."""
        if not cause:
            self.looks.pop(vault, None)
            self.answered.add(vault)
        else:
            known = self.looks.get(vault)
            self.looks[vault] = Trouble(now.mono if known is None else known.since, cause)
        self._settle(vault)

    def forget(self, vault: str) -> None:
        """Take *vault* for one that is nobody's business any more."""
        for known in (self.covered, self.looks, self.feeds):
            known.pop(vault, None)
        if self.alarms.pop(vault, None) is not None:
            self.book.uncovered_dirty = True

    def trouble(self, vault: str) -> str:
        """Say what is wrong with the cover of *vault* now, told or not; empty if nothing."""
        found = self.looks.get(vault) or self.feeds.get(vault)
        return found.cause if found is not None else ""

    def document(self, vault: str) -> dict[str, str | bool | None]:
        """Return what ``copyagent status --json`` says of the cover of *vault*."""
        alarm = self.alarms.get(vault)
        return {
            "covered": not self.trouble(vault),
            "uncovered_why": self.trouble(vault) or None,
            "uncovered_since": iso(alarm.since_ns) if alarm is not None else None,
        }

    def due(self, now: Moment) -> None:
        """Tell what has become true by now."""
        for vault in sorted(self.looks.keys() | self.feeds.keys()):
            due = self._due(vault)
            if due is not None and now.mono >= due[0]:
                self._alarm(vault, due[1], now)
        for vault in self.alarms.keys() - self.looks.keys() - self.feeds.keys():
            self._end(vault, now)

    def times(self) -> list[float]:
        """Return the monotonic seconds at which `due` is wanted."""
        found = []
        for vault in self.looks.keys() | self.feeds.keys():
            due = self._due(vault)
            if due is None:
                continue
            alarm = self.alarms.get(vault)
            said = self.book.said.at((messages.NOT_COVERED.id, _about(vault, due[1].cause)))
            begun = alarm is not None and alarm.cause == due[1].cause
            found.append(said + REMIND_S if begun and said is not None else due[0])
        return found

    def _settle(self, vault: str) -> None:
        self.covered[vault] = vault not in self.looks and vault not in self.feeds

    def _due(self, vault: str) -> tuple[float, Trouble] | None:
        """Return when the alarm of *vault* is due, and what it is about."""
        look, feed = self.looks.get(vault), self.feeds.get(vault)
        grace_s = GRACE_S if vault in self.answered or vault in self.alarms else BOOT_S
        if look is not None:
            return look.since + grace_s, look
        return (feed.since + UNCOVERED_S, feed) if feed is not None else None

    def _alarm(self, vault: str, trouble: Trouble, now: Moment) -> None:
        known, looked = self.alarms.get(vault), vault in self.looks
        since_ns = now.wall_ns - int((now.mono - trouble.since) * 1e9)
        alarm = known or CoverAlarm(since_ns)
        told = self.book.unsaid(messages.NOT_COVERED, _about(vault, trouble.cause), now, REMIND_S)
        if told:
            self.book.say(messages.NOT_COVERED, vault=vault, detail=trouble.cause)
        alarm = replace(
            alarm,
            cause=trouble.cause,
            looked=alarm.looked or looked,
            told_ns=now.wall_ns if told else alarm.told_ns,
        )
        if alarm != known:
            self.alarms[vault] = alarm
            self.book.uncovered_dirty = True

    def _end(self, vault: str, now: Moment) -> None:
        alarm = self.alarms.pop(vault)
        self.book.uncovered_dirty = True
        if alarm.told_ns:
            took = format_duration(max(now.wall_ns - alarm.since_ns, 0) / 1e9)
            self.book.say(messages.COVERED_AGAIN, vault=vault, took=took)
        if alarm.looked:
            # Where the overlay itself was away, its hello asks for a sweep; here it may know nothing.
            self.book.commands.append(SweepVault(vault, "it was not covered"))


def _about(vault: str, cause: str) -> str:
    return f"{vault}: {cause}"
