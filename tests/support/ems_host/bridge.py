"""Join standard input and output with a port on loopback; stands between sshd and the host.

It is run as a file, with nothing but the standard library.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
import tty


def main(port: int) -> None:
    """Carry bytes both ways until the host ends."""
    if os.isatty(0):
        # The host echoes and edits, as its terminals do; the pseudo-terminal has to keep out of it.
        tty.setraw(0, termios.TCSANOW)
    with socket.create_connection(("127.0.0.1", port)) as host:
        sources = [0, host.fileno()]
        while True:
            ready, _, _ = select.select(sources, [], [])
            if host.fileno() in ready:
                data = host.recv(65536)
                if not data:
                    return
                _write(data)
            if 0 in ready:
                typed = os.read(0, 65536)
                if typed:
                    host.sendall(typed)
                else:
                    sources.remove(0)
                    host.shutdown(socket.SHUT_WR)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main(int(sys.argv[1]))
