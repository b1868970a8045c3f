"""What hosts ask for: ``VTSPolicy IDR`` in an event starts what ``copyagent sync`` does.

Whoever can write to a host's collector, or to the Telnet connection, can forge such an event. So it
counts only where the settings say so, for pools that are copied anyway, so and so often an hour; and
what it starts is less than an operator may start: a tape that is in use, held, or on its way already is
left alone. What comes of it at worst is a comparison with what the target has.
"""

from dataclasses import dataclass, field

from copyagent.core.book import Book
from copyagent.core.host_events import PolicyCommand
from copyagent.core.policy_commands import NotUnderstood, OtherCommand, SyncOrder, read_command
from copyagent.core.syncing import SyncWanted, sync
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.errors import NameUnknown, RequestFailed
from vtsfs.contract.naming import PoolId
from vtsfs.contract.settings_ems import EmsHost

_HOUR_S = 3600.0


@dataclass(slots=True)
class Asked:
    """Count what one host has asked for, since the agent's start.

    *elsewhere* were meant for another system, *left_alone* are no business of ours or not enabled,
    *refused* had something wrong with them, *too_many* came too fast. *latest* is what became of
    the last one, at *latest_ns* since the epoch.
    """

    obeyed: int = 0
    refused: int = 0
    too_many: int = 0
    elsewhere: int = 0
    left_alone: int = 0
    latest: str = ""
    latest_ns: int = 0


@dataclass(slots=True)
class Allowance:
    """So many an hour: a bucket that holds *per_hour*, and fills at that rate; full at first."""

    per_hour: int
    left: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.left = float(self.per_hour)

    def take(self, now: Moment) -> bool:
        """Take one, if there is one."""
        if self.at:
            gained = (now.mono - self.at) * self.per_hour / _HOUR_S
            self.left = min(float(self.per_hour), self.left + gained)
        self.at = now.mono
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


@dataclass(slots=True)
class HostRequests:
    """Decides over what hosts ask. *names* are this machine's, besides the system's own."""

    book: Book
    names: frozenset[str] = frozenset()
    asked: dict[str, Asked] = field(default_factory=dict)
    _allowances: dict[str, Allowance] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.follow()

    def follow(self) -> None:
        """Take the hosts, and what each may ask, from the settings in force."""
        hosts, before = self.book.settings.ems.hosts, self._allowances
        self.asked = {name: self.asked.get(name, Asked()) for name in hosts}
        self._allowances = {}
        for name, host in hosts.items():
            known = before.get(name)
            same = known is not None and known.per_hour == host.policy.per_hour
            self._allowances[name] = known if known and same else Allowance(host.policy.per_hour)

    def heard(self, event: PolicyCommand, now: Moment) -> None:
        """Take in a command that a host has printed."""
        host = self.book.settings.ems.hosts.get(event.host)
        if host is None:
            return
        asked, order = self.asked[event.host], read_command(event.text)
        asked.latest_ns = now.wall_ns
        if isinstance(order, OtherCommand):
            self._leave_alone(event, order.name, "only IDR is obeyed here", now)
        elif order.source is not None and not is_called(order.source, self._own_names()):
            asked.elsewhere += 1
            asked.latest = f"meant for {order.source}"
        elif not host.policy.enabled:
            why = f"ems.hosts.{event.host}.policy.enabled is off"
            self._leave_alone(event, "IDR", why, now)
        elif isinstance(order, NotUnderstood):
            self._refuse(event, order.fault, now)
        else:
            self._consider(event, host, order, now)

    def _consider(self, event: PolicyCommand, host: EmsHost, order: SyncOrder, now: Moment) -> None:
        pool = order.where if isinstance(order.where, PoolId) else order.where.pool_id
        targets = self._targets(pool, order.destination)
        if host.vaults and pool.vault not in host.vaults:
            self._refuse(event, f"vault {pool.vault} is none of this host's", now)
        elif not self.book.watches(pool):
            self._refuse(event, f"pool {pool} is not under autocopy: in the settings", now)
        elif not targets:
            self._refuse(event, f"{order.destination} is no target of pool {pool}", now)
        elif not self._allowances[event.host].take(now):
            self._too_many(event.host, host.policy.per_hour, now)
        else:
            self._obey(event, order, targets, now)

    def _targets(self, pool: PoolId, destination: str | None) -> frozenset[str]:
        """Return the targets of *pool* that are meant, called by their name or their host's."""
        known = self.book.settings.targets
        return frozenset(
            entry.target
            for entry in self.book.settings.copies_of(pool)
            if destination in (None, entry.target, known[entry.target].host)
        )

    def _obey(
        self, event: PolicyCommand, order: SyncOrder, targets: frozenset[str], now: Moment
    ) -> None:
        user = f"host {event.host}"
        try:
            wanted = SyncWanted(order.where, targets=targets, cautiously=True)
            answers = sync(self.book, wanted, user, now)
        except (NameUnknown, RequestFailed) as failure:
            self._refuse(event, str(failure), now)
            return
        outcome = answers[0] if len(answers) == 1 else f"{len(answers)} copies queued"
        asked = self.asked[event.host]
        asked.obeyed += 1
        asked.latest = outcome
        self.book.say(messages.HOST_ASKED, host=event.host, where=order.where, outcome=outcome)

    def _refuse(self, event: PolicyCommand, cause: str, now: Moment) -> None:
        asked = self.asked[event.host]
        asked.refused += 1
        asked.latest = f"refused: {cause}"
        # By the host alone: causes can be as many as somebody cares to send.
        self.book.say_once(
            messages.HOST_ASKED_WRONGLY, event.host, now, host=event.host, cause=cause
        )

    def _too_many(self, host: str, per_hour: int, now: Moment) -> None:
        asked = self.asked[host]
        asked.too_many += 1
        asked.latest = f"refused: more than {per_hour} an hour"
        self.book.say_once(
            messages.HOST_ASKED_TOO_OFTEN, host, now, host=host, limit=per_hour,
            count=asked.too_many,
        )  # fmt: skip

    def _leave_alone(self, event: PolicyCommand, name: str, why: str, now: Moment) -> None:
        asked = self.asked[event.host]
        asked.left_alone += 1
        asked.latest = f"left alone: {why}"
        self.book.say_once(
            messages.POLICY_LEFT_ALONE, f"{event.host} {name}", now, host=event.host,
            command=event.text, why=why,
        )  # fmt: skip

    def _own_names(self) -> frozenset[str]:
        return frozenset({self.book.settings.system.name, *self.names})


def is_called(name: str, own: frozenset[str]) -> bool:
    """Tell whether *name* is one of *own*, each a host name, short or full, or another word.

    A full name of which only the short one is known here counts by that. Letters' case counts, as it
    does for all parameters of the command.
    """
    short = {each.partition(".")[0] for each in own}
    if name in own or name in short:
        return True
    first, dot, _ = name.partition(".")
    return bool(dot) and first in own and not any(each.startswith(f"{first}.") for each in own)
