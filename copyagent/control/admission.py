"""Who may do what on the control socket, and how many connections each may have; pure.

The agent's owner, root and the operators' group act; the service group looks; nobody else gets more
than a refusal. Connections are counted so that nobody who only looks can keep those who act from the
agent, however many connections he opens and however slowly he reads.
"""

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum

#: How long a refusal of the same user is not logged again, in seconds, and for how many that is known.
REFUSAL_QUIET_S = 60.0
_MOST_REFUSED = 1000


class Right(Enum):
    """What a peer may do: only look, or also act."""

    LOOK = "look"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Who may do what, by user and group number; *owner* is the user the agent runs under.

    *service_user*, *service_group* and *operators* (a group) are those of the settings, None where
    they name none.
    """

    owner: int
    service_user: int | None = None
    service_group: int | None = None
    operators: int | None = None

    def owns(self, uid: int) -> bool:
        """Tell whether the user *uid* may do everything, whatever groups he is in."""
        return uid in {0, self.owner, self.service_user}

    def rights(self, uid: int, groups: AbstractSet[int]) -> frozenset[Right]:
        """Return what the user *uid*, who is in *groups*, may do."""
        if self.owns(uid) or (self.operators is not None and self.operators in groups):
            return frozenset(Right)
        if self.service_group is not None and self.service_group in groups:
            return frozenset({Right.LOOK})
        return frozenset()

    def allows(self, right: Right, uid: int, groups: AbstractSet[int]) -> bool:
        """Tell whether the user *uid*, who is in *groups*, has *right*."""
        return right in self.rights(uid, groups)

    def socket(self) -> tuple[int, int | None]:
        """Return the mode of the socket, and its group if there is one (connect(2), unix(7)).

        A file has one group: where two of them may connect, everybody may, and those who have no
        business here are refused by their credentials, which the kernel vouches for as well. The
        group is that of the files beside it, too, so that a user who cannot give it learns that here.
        """
        group = self.operators if self.service_group is None else self.service_group
        if group is None:
            return 0o600, None
        return (0o660 if self.operators in {None, group} else 0o666), group


@dataclass(slots=True)
class Places:
    """The connections that are served at once: *total* in all, *of_one* for one user.

    *reserved* of them are for those who may act; root and the agent's owner are not counted one by one.
    """

    total: int
    reserved: int
    of_one: int
    taken: Counter[int] = field(default_factory=Counter)

    def refusal(self, uid: int, rights: AbstractSet[Right], *, owns: bool) -> str:
        """Say why the user *uid* gets no connection more now; empty if he does."""
        if not owns and self.taken[uid] >= self.of_one:
            return f"this user has {self.taken[uid]} connections already, and no more at once"
        room = self.total if Right.ACT in rights else max(self.total - self.reserved, 0)
        if self.taken.total() >= room:
            return "the agent serves too many connections"
        return ""

    def take(self, uid: int) -> None:
        """Count one connection of the user *uid*."""
        self.taken[uid] += 1

    def give_back(self, uid: int) -> None:
        """Count it no more."""
        self.taken[uid] -= 1
        if not self.taken[uid]:
            del self.taken[uid]


@dataclass(slots=True)
class RefusalLog:
    """Which refusals are worth a line in the journal: one of each user and minute."""

    told: dict[int, float] = field(default_factory=dict)

    def is_news(self, uid: int, now: float) -> bool:
        """Tell whether the user *uid* was not told of lately, at *now* (monotonic seconds)."""
        last = self.told.get(uid)
        if last is not None and now - last < REFUSAL_QUIET_S:
            return False
        if len(self.told) >= _MOST_REFUSED:
            self.told.clear()
        self.told[uid] = now
        return True
