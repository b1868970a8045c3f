"""What a terminal of the host offers: services, the log-on in its four forms, and TACL."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Protocol

from tests.support.ems_host.event_log import IllegalParameter, start_time
from tests.support.ems_host.options import HostOptions
from tests.support.ems_host.terminal import BREAK_LINE, HungUp, Terminal

_LOGON = re.compile(r"(?i)LOGON\s+([^\s,]+)(?:\s*,\s*(\S.*))?")


class Events(Protocol):
    """What a session needs of the host behind it."""

    options: HostOptions

    async def begin_printing(self, terminal: Terminal, since: datetime | None) -> None:
        """Print from now on, and before that what was logged *since*."""

    async def end_printing(self, terminal: Terminal) -> None:
        """Print no more there."""

    async def post(self, text: str) -> None:
        """Write *text* to the collector, as a program that is given $0 to write to does."""

    def now(self) -> datetime:
        """Tell the host's time."""


class Session:
    """Go through banner, log-on and commands on one terminal."""

    def __init__(self, terminal: Terminal, events: Events) -> None:
        self._terminal = terminal
        self._events = events
        self._options = events.options
        self._prompt_number = 1

    async def serve(self) -> None:
        """Serve until one side hangs up (`HungUp`)."""
        if not self._options.accepts:
            return
        await self._terminal.negotiate()
        await self._terminal.reach("banner")
        await self._greet()
        if self._terminal.is_telnet or not self._options.shell_logged_on:
            while not await self._log_on():
                pass
        await self._terminal.reach("ready")
        await self._obey_commands()

    async def _greet(self) -> None:
        send = self._terminal.send
        if self._terminal.is_telnet:
            await send("WELCOME TO dev2.example.COMM\r\nTELNET SERVER\r\n\r\n")
            if self._options.has_services:
                await self._offer_services()
        await send("TACL (T9205D46 - 01JAN2006), Operating System G06\r\n")

    async def _offer_services(self) -> None:
        send = self._terminal.send
        await send(f"Available Services:\r\n\r\n{self._options.services}\r\n")
        while True:
            await send("Enter Choice> ")
            choice = await self._terminal.read_line()
            await self._terminal.reach("service")
            if choice.strip().upper() in self._options.services.upper().split():
                return

    async def _log_on(self) -> bool:
        return await self._check(*await self._ask_for_user())

    async def _check(self, user: str, password: str | None) -> bool:
        """Ask for the password where it was not given with the user; tell whether it is right."""
        await self._terminal.reach("user")
        if password is None:
            await self._terminal.send("Password: ")
            secret = not self._options.echoes_password
            password = await self._terminal.read_line(secret=secret)
        await self._terminal.reach("password")
        right = (user, password) == (self._options.user, self._options.password)
        if not right or self._options.refuses_log_on:
            await self._terminal.send("\r\n*ERROR* Invalid username or password\r\n")
            return False
        await self._terminal.send(f"\r\n{self._options.news}")
        return True

    async def _ask_for_user(self) -> tuple[str, str | None]:
        send, read_line = self._terminal.send, self._terminal.read_line
        if self._options.login == "TACLS":
            await send("Login: ")
            return (await read_line()).strip(), None
        while True:
            await send(f"TACL {self._prompt_number}> ")
            self._prompt_number += 1
            command = (await read_line()).strip()
            if self._options.login == "SAFEGUARD" and command.lower() == "logon":
                await send("SAFEGUARD\r\nUser name: ")
                return (await read_line()).strip(), None
            found = _LOGON.fullmatch(command)
            if found:
                if self._options.login == "XYGATE":
                    await send("XYGATE Access Control\r\n")
                return found[1], found[2]
            await send("*ERROR* Not logged on\r\n")

    async def _obey_commands(self) -> None:
        number = 1
        while True:
            await self._terminal.send(self._options.ready_prompt.format(n=number))
            number += 1
            command = (await self._terminal.read_line()).strip()
            if command and command != BREAK_LINE:
                await self._obey(command)

    async def _obey(self, command: str) -> None:
        word = command.split(" ", 1)[0].upper()
        if word in {"LOGOUT", "LOGOFF", "EXIT"}:
            await self._terminal.reach("logout")
            raise HungUp
        if word == "EMSDIST":
            await self._run_distributor(command)
            return
        logon = _LOGON.fullmatch(command)
        if logon:
            await self._check(logon[1], logon[2])
            return
        await self._terminal.reach("command")
        posted = re.search(self._options.posting, command)
        if word == "STOP":
            await self._events.end_printing(self._terminal)
        elif posted:
            await self._events.post(posted["text"])
        else:
            await self._terminal.send("*ERROR* Name of file or process not found\r\n")

    async def _run_distributor(self, command: str) -> None:
        await self._terminal.reach("distributor")
        try:
            since = self._position(command)
        except IllegalParameter:
            await self._terminal.send("*ERROR* EMSDIST: illegal parameter\r\n")
            return
        await self._events.begin_printing(self._terminal, since)
        if "NOWAIT" in command.upper():
            return
        while await self._terminal.read_line() != BREAK_LINE:
            pass

    def _position(self, command: str) -> datetime | None:
        """Tell from when the command wants events; IllegalParameter if it is refused."""
        if self._options.refuses_distributor or "TYPE P" not in command.upper():
            raise IllegalParameter(command)
        since = start_time(command, self._events.now().date())
        if since is not None and self._options.refuses_time:
            raise IllegalParameter(command)
        return since
