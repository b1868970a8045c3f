"""One shell at the target that runs one command after the other.

Every command that sshd is asked for begins with the user's login shell and its start-up files, which
can take longer than the copy of a small tape. So a connection has one `sh`, which is started with
the first command and is told what to run on its standard input; after each it prints a mark that
nobody can guess, and the status. Where no such mark comes (a forced command, an SFTP server), there
is no shell, and each command is asked for by itself.
"""

import asyncio
import contextlib
import secrets

import asyncssh

#: How long a shell may take to begin, in seconds; one that is slower is done without.
_BEGIN_S = 10.0


class Shell:
    """The shell of one connection. Everything here runs on asyncio's side."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self._connection = connection
        self._process: asyncssh.SSHClientProcess[bytes] | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._usable = True
        self._busy = False

    def begin_soon(self) -> None:
        """Start it without waiting: where one does not come about, `run` finds out."""
        if self._usable and self._beginning is None:
            self._beginning = asyncio.get_running_loop().create_task(self._begin())
            self._beginning.add_done_callback(_look_at)

    async def run(self, command: bytes) -> tuple[int, bytes] | None:
        """Run *command*; return its status and what it wrote to its standard output.

        None if it has to be asked for otherwise: there is no shell, it ended, or it is at work.
        Cancelling ends the shell, and with it the connection's channel that it had.
        """
        self.begin_soon()
        if not self._usable or self._busy or self._beginning is None:
            return None
        self._busy, answer = True, None
        try:
            async with asyncio.timeout(_BEGIN_S):
                await self._beginning
            if self._process is not None:
                answer = await _ask(self._process, command)
        except (TimeoutError, EOFError, ValueError, OSError, asyncssh.Error):
            # The command is asked for once more by itself: that tells what is the matter.
            pass
        finally:
            self._busy = False
            if answer is None:
                self.close()
        return answer

    async def _begin(self) -> None:
        self._process = await self._connection.create_process(
            b"exec sh", encoding=None, stderr=asyncssh.DEVNULL
        )
        await _ask(self._process, b":")

    def close(self) -> None:
        """End it for good."""
        self._usable = False
        if self._beginning is not None:
            self._beginning.cancel()
        if self._process is not None:
            with contextlib.suppress(OSError, asyncssh.Error):
                self._process.close()


def _look_at(beginning: asyncio.Task[None]) -> None:
    """Keep the loop from complaining about a failure that nobody asked for."""
    if not beginning.cancelled():
        beginning.exception()


async def _ask(process: asyncssh.SSHClientProcess[bytes], command: bytes) -> tuple[int, bytes]:
    mark = secrets.token_hex(16).encode("ascii")
    script = b"( " + command + b"\n) </dev/null\nprintf '\\n%s %d\\n' " + mark + b" $?\n"
    process.stdin.write(script)
    end = b"\n" + mark + b" "
    output = await process.stdout.readuntil(end)
    status = await process.stdout.readline()
    return int(status), output[: -len(end)]


def shell_of(connection: asyncssh.SSHClientConnection) -> Shell:
    """Return the one shell of *connection*."""
    shell: Shell | None = connection.get_extra_info("shell")
    if shell is None:
        shell = Shell(connection)
        connection.set_extra_info(shell=shell)
    return shell
