"""An SSH server that lets in by password: OpenSSH would ask the system's accounts.

It runs on the asyncio side of the bridge, in the test's own process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from copyagent.ssh.bridge import in_asyncio


@dataclass
class PasswordServer:
    """What the server asks for and takes, and what it was given.

    *ways* are the methods it offers; *questions* those of one keyboard-interactive round, *rounds*
    how often it asks them. *asked_for* is what each terminal was requested with.
    """

    password: str
    ways: tuple[str, ...] = ("password",)
    questions: tuple[tuple[str, bool], ...] = (("Password:", False),)
    rounds: int = 1
    port: int = 0
    given: list[tuple[str, ...]] = field(default_factory=list)
    asked_for: list[dict[str, Any]] = field(default_factory=list)
    known_hosts: Path = Path()


class _Door(asyncssh.SSHServer):
    def __init__(self, server: PasswordServer) -> None:
        self._server = server
        self._round = 0

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return "password" in self._server.ways

    def validate_password(self, username: str, password: str) -> bool:
        self._server.given.append((username, password))
        return password == self._server.password

    def kbdint_auth_supported(self) -> bool:
        return "keyboard-interactive" in self._server.ways

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, Sequence[tuple[str, bool]]]:
        self._round = 1
        return "", "", "", self._server.questions

    def validate_kbdint_response(
        self, username: str, responses: Sequence[str]
    ) -> bool | tuple[str, str, str, Sequence[tuple[str, bool]]]:
        self._server.given.append((username, *responses))
        if self._round < self._server.rounds:
            self._round += 1
            return "", "", "", self._server.questions
        return tuple(responses) == (self._server.password,)


@contextlib.asynccontextmanager
async def password_server(directory: Path, server: PasswordServer) -> AsyncIterator[PasswordServer]:
    """Run *server* on loopback; its terminals say ``TACL 1> `` and then hang up at the first line."""
    key = asyncssh.generate_private_key("ssh-ed25519")

    async def attend(process: asyncssh.SSHServerProcess[bytes]) -> None:
        server.asked_for.append(
            {
                "command": process.command,
                "subsystem": process.subsystem,
                "type": process.term_type,
                "size": process.term_size[:2],
                "echo": process.term_modes.get(asyncssh.PTY_ECHO),
                "env": dict(process.env),
            }
        )
        process.stdout.write(b"TACL 1> ")
        with contextlib.suppress(asyncssh.Error):
            await process.stdin.readuntil(b"\r")
        process.exit(0)

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Door(server),
            server_host_keys=[key],
            process_factory=attend,
            encoding=None,
            line_editor=False,
        )

    acceptor = await in_asyncio(listen)
    server.port = acceptor.get_port()
    server.known_hosts = directory / "known_hosts.password"
    public = key.export_public_key().decode("ascii")
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {public}", encoding="ascii")

    async def close() -> None:
        acceptor.close()
        await acceptor.wait_closed()
        # Whoever has just been let go still has its farewell under way.
        await asyncio.sleep(0)

    try:
        yield server
    finally:
        await in_asyncio(close)
