"""What a scripted host is like, and how it misbehaves."""

from __future__ import annotations

from dataclasses import dataclass

STEPS = ("banner", "service", "user", "password", "ready", "distributor", "command", "logout")
"""Where a session can be: *banner* before the first text, then what was just answered; *ready*
before the first prompt after the log-on, *command* any line that is no distributor's."""


@dataclass(slots=True)
class HostOptions:
    """Describe the host and its misbehaviour; all of it may be changed while it runs.

    *silent_at* names the step (`STEPS`) at which it stops to answer, *drops_at* that at which it
    closes the connection; *silent_sessions* leaves it at that for sessions from this number on,
    counted from 0. *cut_after* closes each connection after so many bytes. *delay* are seconds
    before each answer, *byte_delay* before each byte. *keeps* is how many events its log holds.
    *posting* is the typed line whose *text* becomes an event, as a site's macro does it.
    *shell_logged_on* is whether who comes by SSH finds TACL logged on.
    """

    login: str = "TACL"
    user: str = "VTS.EMS"
    password: str = "s3cret-Pass"
    has_services: bool = True
    services: str = "TACL EXIT"
    negotiates: bool = True
    echoes: bool = True
    echoes_password: bool = False
    refuses_log_on: bool = False
    refuses_distributor: bool = False
    refuses_time: bool = False
    has_templates: bool = True
    accepts: bool = True
    silent_at: str | None = None
    drops_at: str | None = None
    silent_sessions: int = 0
    cut_after: int | None = None
    delay: float = 0.0
    byte_delay: float = 0.0
    keeps: int = 10_000
    posting: str = r'(?i)^\s*(?:RUN\s+|OBEY\s+)?\S*\bVTSNOTE\s+"?(?P<text>.*?)"?\s*$'
    shell_logged_on: bool = True
    ready_prompt: str = "TACL {n}> "
    news: str = "Welcome.\r\nInvalid logon attempts since the last log-on: 0\r\n"
