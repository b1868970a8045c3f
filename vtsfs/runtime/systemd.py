"""What a service tells systemd about itself (sd_notify(3)), without its library.

Outside systemd all of it does nothing.
"""

import os
import socket
from collections.abc import Mapping
from typing import Self


class Notifier:
    """Sends states to the socket named in ``NOTIFY_SOCKET``; never raises and never blocks."""

    def __init__(self, address: str = "", watchdog_interval: float | None = None) -> None:
        self._address = address
        #: Seconds between two `alive` calls that the watchdog expects, or None if it is off.
        self.watchdog_interval = watchdog_interval

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], pid: int) -> Self:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; *pid* is this process.

        The interval is half of the limit, as sd_watchdog_enabled(3) advises.
        """
        interval = None
        usec = environ.get("WATCHDOG_USEC", "")
        if usec.isdecimal() and int(usec) and environ.get("WATCHDOG_PID", str(pid)) == str(pid):
            interval = int(usec) / 2_000_000
        return cls(environ.get("NOTIFY_SOCKET", ""), interval)

    def ready(self, status: str = "") -> None:
        """Say that the service is up, or up again after a reload."""
        self._send("READY=1", f"STATUS={status}" if status else "")

    def reloading(self, mono_ns: int) -> None:
        """Say that the service reads its settings again; *mono_ns* is the monotonic clock's now."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={mono_ns // 1000}")

    def stopping(self, status: str = "") -> None:
        """Say that the service is ending."""
        self._send("STOPPING=1", f"STATUS={status}" if status else "")

    def status(self, text: str) -> None:
        """Show *text* in ``systemctl status``."""
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Keep the watchdog quiet for another interval."""
        self._send("WATCHDOG=1")

    def _send(self, *states: str) -> None:
        if self._address[:1] not in {"/", "@"}:
            return
        lines = "\n".join(state.replace("\n", " ") for state in states if state)
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(lines.encode(errors="replace"), os.fsencode(address))
        except OSError:
            pass  # systemd is not there to be told; the service's work does not depend on it
