"""How soon dismounts were followed by their copies, and what was not seen: figures over a time.

Made in one pass over the history. Of a copy that is owed only its delay is kept, eight bytes each;
lists are bounded, with a count of what they leave out. Nothing is rounded up: what is not all is
never shown as 100 %.
"""

import heapq
import math
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from copyagent.core.dates import iso, parse_iso
from copyagent.core.history import Kind
from copyagent.core.proofs import MOOT, OPEN, OWING, Entry, Outcome, Proof, why_of
from copyagent.core.witness import Verdict
from vtsfs.contract import messages

SCHEMA: Final = 1

#: How many of the slowest, and of each other list, are shown.
WORST: Final = 10
LISTED: Final = 20

PERCENTILES: Final = (50, 90, 95, 99)

#: Verdicts of tapes that at least one witness has not seen as it should have.
UNSEEN: Final = frozenset(
    {Verdict.OVERLAY_ONLY, Verdict.HOST_ONLY, Verdict.CHANGED, Verdict.INTERRUPTED, Verdict.OVERDUE}
)

#: Alarms that say that somebody did not see everything.
GAPS: Final = frozenset(
    message.id
    for message in (
        messages.LINK_LOST,
        messages.EMS_GAP,
        messages.LOGIN_REFUSED,
        messages.HOST_KEY_REJECTED,
        messages.NOT_COVERED,
        messages.OUTBOX_FAILURE,
        messages.POOL_UNREADABLE,
    )
)


@dataclass(frozen=True, slots=True)
class Goal:
    """Copied within *within_s* seconds; *percent* of what is due, None: no judgement is wanted."""

    within_s: float = 900.0
    percent: Fraction | None = None

    @property
    def digits(self) -> int:
        """Digits after the point with which a share can be compared with it: two at least."""
        text = "" if self.percent is None else percent_text(self.percent)
        return max(len(text.partition(".")[2]), 2)


@dataclass(frozen=True, slots=True)
class Asked:
    """The time asked about: from *from_ns* (0: the beginning) up to *to_ns*, as known at *now_ns*."""

    from_ns: int
    to_ns: int
    now_ns: int


@dataclass(slots=True)
class Figures:
    """What is owed on one way: *delays* are of what is due, in seconds, infinite if still open."""

    delays: "array[float]" = field(default_factory=lambda: array("d"))
    within: int = 0
    not_yet_due: int = 0
    moot: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)

    @property
    def due(self) -> int:
        """How many had to be copied by now."""
        return len(self.delays)

    @property
    def missing(self) -> int:
        """How many of them are not copied."""
        return sum(self.outcomes[outcome] for outcome in OPEN) - self.not_yet_due

    @property
    def share(self) -> Fraction | None:
        """The part of what is due that was copied in time; None if nothing is due."""
        return Fraction(self.within, self.due) if self.due else None

    def add(self, proof: Proof, goal: Goal, now_ns: int) -> None:
        """Count *proof*."""
        self.outcomes[proof.outcome] += 1
        if proof.outcome in MOOT:
            self.moot += 1
        elif proof.took_s is not None:
            self.delays.append(proof.took_s)
            self.within += proof.took_s <= goal.within_s
        elif now_ns - proof.ended_ns <= goal.within_s * 1e9:
            self.not_yet_due += 1
        else:
            self.delays.append(math.inf)

    def percentiles(self) -> dict[str, float | None]:
        """Return the delays that so many percent of what is due had at most, by nearest rank.

        None where that falls on one that is not copied, or nothing is due.
        """
        ordered = sorted(self.delays)
        found = {}
        for percent in PERCENTILES:
            at = -(-percent * len(ordered) // 100) - 1
            delay = ordered[at] if ordered else math.inf
            found[f"p{percent}_s"] = delay if math.isfinite(delay) else None
        return found

    def document(self, goal: Goal) -> dict[str, Any]:
        """Return the figures as documents have them."""
        late = self.due - self.within - self.missing
        return {
            "owed": self.due + self.not_yet_due,
            "due": self.due,
            "within": self.within,
            "late": late,
            "missing": self.missing,
            "not_yet_due": self.not_yet_due,
            "later_generation": self.outcomes[Outcome.LATER],
            "moot": self.moot,
            "percent": None if self.share is None else float(floored(self.share, goal.digits)),
            **self.percentiles(),
        }


@dataclass(slots=True)
class Bounded:
    """The first of what was found, and how many more there were."""

    shown: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0

    def add(self, one: dict[str, Any]) -> None:
        """Keep *one*, or count it."""
        if len(self.shown) < LISTED:
            self.shown.append(one)
        else:
            self.left_out += 1


@dataclass(slots=True)
class ServiceLevel:
    """Takes every entry of the time asked about, and every proof; see `document`."""

    asked: Asked
    goal: Goal = Goal()
    total: Figures = field(default_factory=Figures)
    ways: dict[tuple[str, str], Figures] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    gaps: Bounded = field(default_factory=Bounded)
    open: Bounded = field(default_factory=Bounded)
    not_owed: int = 0
    needed: int = 0
    again: Counter[str] = field(default_factory=Counter)
    begins_ns: int = 0
    _ended: str = ""
    _worst: list[tuple[float, int, str, dict[str, Any]]] = field(default_factory=list)

    def saw(self, entry: Entry) -> None:
        """Count *entry*, of whatever kind."""
        kind = entry["kind"]
        self.kinds[kind] += 1
        if entry["number"] == 1:
            self.begins_ns = parse_iso(entry["at"])
        match kind:
            case _ if kind in OWING:
                self.verdicts[str(entry.get("verdict", ""))] += 1
                if entry.get("again"):
                    self.again[kind] += 1
                else:
                    self.needed += bool(entry.get("copy_to") or entry.get("held_at"))
            case Kind.FAILED | Kind.HELD | Kind.CANCELLED:
                self._cause(f"{kind}: {why_of(entry)}")
            case Kind.ALARM if entry.get("message") in GAPS:
                self.gaps.add({"at": entry["at"], "what": entry.get("text", "")})
            case Kind.STOPPED:
                self._ended = f"{entry['at']}: {entry.get('how', '')}"
            case Kind.LOADED if entry.get("how") == "start" and entry["number"] != 1:
                self.gaps.add({"at": entry["at"], "what": self._started()})
            case Kind.PRUNED:
                what = f"{entry.get('count')} older entries are not kept any more"
                self.gaps.add({"at": entry["at"], "what": what})

    def add(self, proof: Proof) -> None:
        """Count *proof*."""
        if not proof.target:
            self.not_owed += proof.outcome is Outcome.NOT_OWED
            return
        pool = str(proof.dismount["tape"]).rpartition("/")[0]
        way = self.ways.setdefault((pool, proof.target), Figures())
        way.add(proof, self.goal, self.asked.now_ns)
        self.total.add(proof, self.goal, self.asked.now_ns)
        if proof.outcome in OPEN:
            self.open.add(self._shown(proof))
        self._rank(proof)

    def _rank(self, proof: Proof) -> None:
        if proof.outcome in MOOT:
            return
        age_s = (self.asked.now_ns - proof.ended_ns) / 1e9
        slow = age_s if proof.took_s is None else proof.took_s
        ranked = (slow, -int(proof.dismount["number"]), proof.target)
        if len(self._worst) < WORST:
            heapq.heappush(self._worst, (*ranked, self._shown(proof)))
        elif ranked > self._worst[0][:3]:
            heapq.heapreplace(self._worst, (*ranked, self._shown(proof)))

    def _shown(self, proof: Proof) -> dict[str, Any]:
        age_s = max((self.asked.now_ns - proof.ended_ns) / 1e9, 0.0)
        due = proof.took_s is not None or age_s > self.goal.within_s
        return {
            "number": proof.dismount["number"],
            "tape": proof.dismount["tape"],
            "target": proof.target,
            "generation": proof.dismount["generation"],
            "ended": iso(proof.ended_ns),
            "outcome": proof.outcome.value,
            "took_s": proof.took_s,
            "age_s": None if proof.took_s is not None else round(age_s),
            "due": due,
            "why": proof.why,
        }

    def _started(self) -> str:
        """Say since when no agent had been there to see anything; the sweep looked afterwards."""
        ended, self._ended = self._ended, ""
        if ended:
            return f"the agent started; it had ended at {ended}"
        return "the agent started; that the one before had ended is not on record"

    def _cause(self, text: str) -> None:
        # Causes carry names and numbers: as many different ones as there are failures, at worst.
        if text in self.causes or len(self.causes) < LISTED:
            self.causes[text] += 1
        else:
            self.causes["other causes"] += 1

    @property
    def met(self) -> bool | None:
        """Whether the goal is met, exactly; None without a goal. Nothing due meets any."""
        if self.goal.percent is None:
            return None
        share = self.total.share
        return share is None or share * 100 >= self.goal.percent

    def document(self, live: Mapping[tuple[str, str], str] | None = None) -> dict[str, Any]:
        """Return everything as ``copyagent report --json`` prints it.

            ``begins`` is when the first entry of all was written, if that lies within the time.
        *live* says what keeps a tape from a target now, where that is known better than from entries.
        """
        live = live or {}
        for one in self.open.shown:
            one["why"] = live.get((one["tape"], one["target"])) or one["why"]
        worst = [shown for *_, shown in sorted(self._worst, reverse=True)]
        goal = self.goal.percent
        return {
            "schema": SCHEMA,
            "from": iso(self.asked.from_ns),
            "to": iso(self.asked.to_ns),
            "now": iso(self.asked.now_ns),
            "begins": iso(self.begins_ns),
            "within_s": self.goal.within_s,
            "goal_percent": None if goal is None else float(goal),
            "met": self.met,
            "dismounts": self.kinds[Kind.DISMOUNTED] - self.again[Kind.DISMOUNTED],
            "changes": self.kinds[Kind.CHANGED] - self.again[Kind.CHANGED],
            "judged_again": self.again.total(),
            "needed_copy": self.needed,
            "needed_none": self.not_owed,
            "verdicts": dict(self.verdicts.most_common()),
            "total": self.total.document(self.goal),
            "ways": [
                {"pool": pool, "target": target, **figures.document(self.goal)}
                for (pool, target), figures in sorted(self.ways.items())
            ],
            "worst": worst,
            "open": self.open.shown,
            "open_left_out": self.open.left_out,
            "happened": {
                kind: self.kinds[kind]
                for kind in (
                    *(Kind.COPIED, Kind.FAILED, Kind.HELD, Kind.CANCELLED, Kind.DOUBTED),
                    *(Kind.ACTION, Kind.ALARM, Kind.LOADED),
                )
            },
            "causes": dict(self.causes.most_common()),
            "unseen": {
                verdict: count
                for verdict, count in self.verdicts.most_common()
                if verdict in UNSEEN
            },
            "gaps": self.gaps.shown,
            "gaps_left_out": self.gaps.left_out,
        }


def floored(share: Fraction, digits: int) -> Fraction:
    """Return *share* in percent, cut to so many *digits*: 99.995 is not 100."""
    scale = 10**digits
    return Fraction(math.floor(share * 100 * scale), scale)


def percent_text(percent: Fraction, digits: int | None = None) -> str:
    """Write a percentage that has a finite number of digits, with *digits* of them if given."""
    if digits is None:
        digits = next((n for n in range(10) if percent * 10**n % 1 == 0), 10)
    whole = math.floor(percent * 10**digits)
    if not digits:
        return str(whole)
    return f"{whole // 10**digits}.{whole % 10**digits:0{digits}}"


def parse_goal(text: str) -> Fraction:
    """Read a goal such as ``99.99%``, exactly; raise ValueError for what is none."""
    number = text.strip().removesuffix("%").strip()
    try:
        goal = Fraction(number) if "/" not in number else Fraction(-1)
    except (ValueError, ZeroDivisionError):
        goal = Fraction(-1)
    if not 0 <= goal <= 100 or len(number) > 12:
        raise ValueError(f"should be a share such as 99.99%, from 0% to 100%, not {text!r}")
    return goal
