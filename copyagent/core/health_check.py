"""What a monitoring system is told: one word for everything, why, and figures to draw.

Made of the status document alone, so it says of an agent what anybody can see of it. The words, the
exit statuses and the form of the figures are those of monitoring plugins
(https://www.monitoring-plugins.org/doc/guidelines.html).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from vtsfs.contract.messages import one_line
from vtsfs.contract.releases import other_release
from vtsfs.contract.units import format_count, format_duration

Document = Mapping[str, Any]

#: How many findings stand on the first line; all of them stand below it.
MOST_ON_LINE: Final = 3

#: Part of a pool's own limit at which its age is a warning.
HALF: Final = 0.5

#: How the licence may stand without anybody having to do something.
_LICENCE_WELL: Final = frozenset({"not required", "valid"})


class Level(IntEnum):
    """How bad it is: the exit status of a plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """From which age of the oldest copy owed it is a warning, or critical, in seconds.

    None: by each pool's own `behind_after`, half of it and all of it.
    """

    warning_age_s: float | None = None
    critical_age_s: float | None = None

    def of(self, behind_after_s: float) -> tuple[float | None, float | None]:
        """Return both for a pool with that limit, None where there is none."""
        warning = self.warning_age_s
        critical = self.critical_age_s
        if warning is None and behind_after_s:
            warning = behind_after_s * HALF
        if critical is None and behind_after_s:
            critical = behind_after_s
        return warning, critical


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its *unit* is ``s`` or empty; the limits are those of the findings, if any."""

    label: str
    value: float
    unit: str = ""
    warning: float | None = None
    critical: float | None = None

    def __str__(self) -> str:
        limits = ";".join("" if x is None else f"{x:g}" for x in (self.warning, self.critical))
        label = self.label.replace("'", "").replace("=", "")
        return f"'{label}'={self.value:.0f}{self.unit};{limits};0;"


@dataclass(frozen=True, slots=True)
class Health:
    """The whole answer: *findings* the worst first, and what to say when there are none."""

    findings: tuple[Finding, ...]
    figures: tuple[Figure, ...] = ()
    well: str = "all is well"

    @property
    def level(self) -> Level:
        """The worst of the findings; what is unknown is less than what is known to be bad."""
        levels = {finding.level for finding in self.findings}
        worst = (Level.CRITICAL, Level.WARNING, Level.UNKNOWN)
        return next((level for level in worst if level in levels), Level.OK)

    def lines(self) -> list[str]:
        """Return what a plugin prints: the line with the figures, then each finding."""
        texts = [_plain(finding.text) for finding in self.findings]
        said = "; ".join(texts[:MOST_ON_LINE]) or self.well
        if len(texts) > MOST_ON_LINE:
            said += f"; and {len(texts) - MOST_ON_LINE} more"
        figures = f" | {' '.join(map(str, self.figures))}" if self.figures else ""
        below = [f"{f.level.name}: {text}" for f, text in zip(self.findings, texts, strict=True)]
        return [f"COPYAGENT {self.level.name} - {said}{figures}", *below]

    def document(self) -> dict[str, Any]:
        """Return the same as ``copyagent check-health --json`` prints it."""
        return {
            "schema": 1,
            "status": self.level.name,
            "exit": int(self.level),
            "summary": self.lines()[0].partition(" | ")[0],
            "findings": [{"status": f.level.name, "text": f.text} for f in self.findings],
            "figures": [
                {
                    "label": figure.label,
                    "value": figure.value,
                    "unit": figure.unit,
                    "warning": figure.warning,
                    "critical": figure.critical,
                }
                for figure in self.figures
            ],
        }


def judge(status: Document, limits: Limits) -> Health:
    """Return what is to be said of an agent with that status document."""
    pools = status["pools"]
    findings = [
        *_vaults(status),
        *(finding for pool in pools for finding in _pool(pool, limits)),
        *_licence(status.get("licence")),
        *_targets(status),
        *_links(status),
        *_agent(status),
    ]
    findings.sort(key=lambda finding: -finding.level)
    protected = sum(pool["protected"] for pool in pools)
    well = f"{protected:,} of {sum(p['tapes'] for p in pools):,} tapes are protected"
    return Health(tuple(findings), tuple(_figures(status, limits)), f"{well}, no copy is overdue")


def not_answering(cause: str, last: Document | None) -> Health:
    """Return what is to be said of an agent that does not answer: what was known of it last."""
    text = f"the agent does not answer: {cause}"
    if last is not None:
        lacking = sum(pool["unprotected"] for pool in last.get("pools", ()))
        text += f"; at {last['at']} {format_count(lacking, 'tape was', 'tapes were')} unprotected"
    return Health((Finding(Level.CRITICAL, text),))


def not_known(cause: str) -> Health:
    """Return what is to be said if it could not be found out how things stand."""
    return Health((Finding(Level.UNKNOWN, cause),))


def _vaults(status: Document) -> Iterator[Finding]:
    for vault in status["vaults"]:
        if not vault.get("covered", vault["attached"]):
            why = vault.get("uncovered_why") or vault["trouble"]
            yield Finding(Level.CRITICAL, f"vault {vault['vault']} is not covered: {why}")
        for pool in vault["unread_pools"]:
            yield Finding(Level.CRITICAL, f"pool {pool} cannot be read")


def _pool(pool: Document, limits: Limits) -> Iterator[Finding]:
    name, states = f"{pool['pool']} to {pool['target']}", pool["states"]
    age = pool.get("oldest_owed_s")
    warning, critical = limits.of(pool.get("behind_after_s", 0))
    if age is not None:
        told = f"{name}: {format_count(pool['owed'], 'copy', 'copies')} owed, the oldest for {format_duration(age)}"
        if pool["behind_since"] is not None or (critical is not None and age >= critical):
            yield Finding(Level.CRITICAL, told)
        elif warning is not None and age >= warning:
            yield Finding(Level.WARNING, told)
    for word, level in (("failed", Level.CRITICAL), ("held", Level.WARNING)):
        if count := _counted(states, word):
            yield Finding(level, f"{name}: {count:,} {word}; see copyagent tapes --state {word}")
    for word in ("cancelled", "unsynced"):
        if count := _counted(states, word):
            yield Finding(Level.WARNING, f"{name}: {count:,} {word}")
    if pool["paused"] is not None:
        yield Finding(Level.WARNING, f"{pool['pool']} is paused by {pool['paused']['by']}")


def _licence(licence: Document | None) -> Iterator[Finding]:
    if licence is None or licence["standing"] in _LICENCE_WELL:
        return
    level = Level.WARNING if licence["copying"] else Level.CRITICAL
    yield Finding(level, f"licence {licence['standing']}: {licence['why']}")


def _targets(status: Document) -> Iterator[Finding]:
    for target in status["targets"]:
        if target["trouble"]:
            yield Finding(Level.WARNING, f"target {target['target']}: {target['trouble']}")
        if target["paused"] is not None:
            yield Finding(
                Level.WARNING, f"target {target['target']} is paused by {target['paused']['by']}"
            )


def _links(status: Document) -> Iterator[Finding]:
    for host in status["hosts"]:
        if not host["up"]:
            why = host.get("trouble") or "not yet up"
            yield Finding(Level.WARNING, f"EMS link to {host['host']} is down: {why}")


def _agent(status: Document) -> Iterator[Finding]:
    settings, notify = status.get("settings") or {}, status.get("notify") or {}
    if settings.get("not_in_force"):
        yield Finding(
            Level.WARNING, f"the settings file is not in force: {settings['not_in_force']}"
        )
    if notify.get("trouble"):
        yield Finding(Level.WARNING, f"the notify command fails: {notify['trouble']}")
    # Not so for overlays: theirs takes over at the next attach, which may rightly be weeks away.
    if other := other_release(status.get("version", ""), status.get("installed")):
        yield Finding(Level.WARNING, f"agent: {other}; it takes over when the agent is restarted")


def _figures(status: Document, limits: Limits) -> Iterator[Figure]:
    pools = status["pools"]
    yield Figure("unprotected", sum(pool["unprotected"] for pool in pools))
    for word in ("held", "failed"):
        yield Figure(word, sum(_counted(pool["states"], word) for pool in pools))
    covered = (vault.get("covered", vault["attached"]) for vault in status["vaults"])
    yield Figure("vaults_uncovered", sum(not each for each in covered), critical=1)
    yield Figure("links_down", sum(not host["up"] for host in status["hosts"]), warning=1)
    for pool in pools:
        warning, critical = limits.of(pool.get("behind_after_s", 0))
        label = f"oldest_owed {pool['pool']} {pool['target']}"
        yield Figure(label, pool.get("oldest_owed_s") or 0, "s", warning, critical)


def _counted(states: Mapping[str, int], word: str) -> int:
    """Count the copies in a state, with whatever reason it has behind it."""
    return sum(n for state, n in states.items() if state == word or state.startswith(f"{word} "))


def _plain(text: str) -> str:
    """The bar is what separates the text from the figures."""
    return one_line(text.replace("|", "/"))
