"""What the link to one host needs to know, and the arithmetic of trying again.

Pure. The settings file's ``ems.hosts`` entries are converted to `LinkSettings` at the agent's
start, so that the link itself knows neither YAML nor where a password is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from copyagent.ems.dialogue import LoginPlan
from copyagent.ems.login_types import login_of
from copyagent.ems.secret import Secret
from vtsfs.contract.settings_ems import EmsHost
from vtsfs.contract.settings_logins import Login, LoginScope

MOST_SUBSYSTEMS: Final = 64
"""Subsystems counted apart; garbage that looks like an event must not fill the memory."""
LONGEST_REFUSED_S: Final = 3600.0
"""A log-on that is refused again and again is tried so often at the least, unless set otherwise."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Hold what the link to one host needs; all times are in seconds.

    *host* is the link's name in the settings. *quiet* is how long nothing must have come before
    an event counts as complete, *stall* the same for a line without an end. *silence* is how
    long a host may say nothing at all before the link counts as dead; None trusts TCP to notice.
    *keep_alive* is the interval of Telnet NOPs, which keep firewalls from forgetting a quiet
    link; None sends none. After a refused log-on nothing is tried for *refused_delay*, so that
    trying does not freeze the user's account. *farewell* is typed, after BREAK, to end a session;
    *logout_timeout* is how long the host may take to close it.

    *access* says which way in is used. For SSH *known_hosts* pins the host's key; *ssh_user* logs in
    with *key* or, without one, with the plan's password, and gets *ssh_command* or, without one, a
    shell. *file* is where printed events are found. *catch_up* says whether what was missed is asked
    for.
    """

    host: str
    address: str
    plan: LoginPlan
    port: int = 23
    connect_timeout: float = 10.0
    logout_timeout: float = 3.0
    farewell: tuple[str, ...] = ("STOP", "LOGOUT")
    quiet: float = 0.3
    stall: float = 5.0
    silence: float | None = None
    keep_alive: float | None = 60.0
    first_delay: float = 1.0
    longest_delay: float = 60.0
    refused_delay: float = 300.0
    access: Literal["telnet", "ssh", "file"] = "telnet"
    known_hosts: Path | None = None
    key: Path | None = None
    ssh_user: str = ""
    ssh_command: str | None = None
    file: Path | None = None
    catch_up: bool = True


def settings_of_link(
    name: str, host: EmsHost, password: Secret, logins: Mapping[LoginScope, Login]
) -> LinkSettings:
    """Make the settings of the link *name* from its entry in the settings file.

    *password* is the content of the entry's password file, read by the caller; *logins* are the
    settings' ``ems.logins``. What only decisions need (drives, vaults, policy, when a lost link is
    an alarm) they read in the entry themselves.
    """
    plan = LoginPlan(
        login_of(host, logins), host.user or "", password, host.distributor, host.response_timeout
    )
    return LinkSettings(
        name,
        host.address or "",
        plan,
        host.port_or_default(),
        connect_timeout=host.connect_timeout,
        logout_timeout=host.logout_timeout,
        silence=host.silence or None,
        keep_alive=host.keep_alive or None,
        first_delay=host.reconnect.first,
        longest_delay=host.reconnect.longest,
        refused_delay=host.reconnect.refused,
        access=host.access,
        known_hosts=host.known_hosts,
        key=host.key,
        ssh_user=host.ssh_user or host.user or "",
        ssh_command=host.ssh_command,
        file=host.file,
        catch_up=host.catch_up,
    )


@dataclass(slots=True)
class LinkTally:
    """Count what a link has seen, for status displays; it outlives the link's sessions."""

    connections: int = 0
    events: int = 0
    tape_events: int = 0
    unrecognised: int = 0
    heartbeats: int = 0
    """How many came back."""
    garbage_lines: int = 0
    latest_garbage: list[str] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    """Events of other subsystems, by the subsystem's name; the rest under an empty one."""

    def count_other(self, subsystem: str) -> None:
        """Count an event of another subsystem than the tape server's."""
        if subsystem not in self.others and len(self.others) >= MOST_SUBSYSTEMS:
            subsystem = ""
        self.others[subsystem] = self.others.get(subsystem, 0) + 1


def failures_in_a_row(settings: LinkSettings, before: int, up_for: float) -> int:
    """Count one more failure, of a session that was up *up_for* seconds (below 0: never).

    One that lasted begins the count anew. One that broke at once does not, or a host that takes
    the log-on and then hangs up would be tried at the shortest delay for ever.
    """
    return 1 if up_for >= settings.longest_delay else before + 1


def next_delay(settings: LinkSettings, failures: int, chance: float) -> float:
    """Compute the seconds to wait before trying again after *failures* in a row.

    Doubles from ``first_delay`` up to ``longest_delay``; *chance*, from 0 to 1, takes away up to
    half of it, so that many agents do not come back to one host at the same instant.
    """
    doubled = _doubled(settings.first_delay, failures)
    return min(doubled, settings.longest_delay) * (1.0 - chance / 2.0)


def delay_after_refusals(settings: LinkSettings, refusals: int) -> float:
    """Compute the seconds to wait after so many log-ons in a row were refused.

    Doubles from the setting up to `LONGEST_REFUSED_S`: a password that was changed at the host must
    not be tried until the user is frozen, every few minutes of a long weekend.
    """
    longest = max(settings.refused_delay, LONGEST_REFUSED_S)
    return min(_doubled(settings.refused_delay, refusals), longest)


def _doubled(first: float, times: int) -> float:
    return first * 2.0 ** min(max(times, 1) - 1, 32)
