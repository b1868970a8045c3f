"""Runs the site's own command for alarms: one at a time, for a limited time, never through a shell.

What it is told, and when it is tried again, is decided in `core/hook_queue.py`. It runs as the agent's
user, with an environment of its own: nothing that the agent was started with is handed on.
"""

import json
import math
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import trio

from copyagent.core.calls import Call
from copyagent.core.commands import Say
from copyagent.core.hook_queue import HookQueue, document_of, variables_of
from copyagent.core.time import Moment
from vtsfs.contract.messages import one_line
from vtsfs.contract.units import format_duration

#: The environment of the command, besides what it is told.
_BASE: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}

#: How much of what the command says about its failure is shown, in characters.
_SHOWN: Final = 160

#: How long a command that was killed may take to be gone, in seconds.
_GONE_S: Final = 5.0

#: How long the last words of a command that has ended are waited for, in seconds.
_LAST_WORDS_S: Final = 0.5

#: Put a question to the engine between two events, as `Runner.ask` does.
Ask = Callable[[Callable[[Moment], object]], Awaitable[object]]


@dataclass(slots=True)
class Hook:
    """Hands what waits in *queue* to the command of the settings. `run` is its task."""

    queue: HookQueue
    ask: Ask
    _news: trio.Event = field(default_factory=trio.Event)

    def offer(self, say: Say, at_ns: int) -> None:
        """Take *say* in if the command is to be told of it; nobody waits for the command."""
        if self.queue.offer(say, at_ns):
            self._news.set()
            self._news = trio.Event()

    async def run(self) -> None:
        """Run the command for what waits, and for what comes, until cancelled.

        A command that runs then is ended, and its message given to it again at the next start.
        """
        while True:
            news = self._news
            call = await self._next()
            if call is not None:
                cause = await self._tell(call)
                await self.ask(partial(self.queue.ended, call.number, cause))
                continue
            with trio.move_on_at(self.queue.rest_until if self.queue.waiting else math.inf):
                await news.wait()

    async def _next(self) -> Call | None:
        call = await self.ask(self.queue.next)
        return call if isinstance(call, Call) else None

    async def _tell(self, call: Call) -> str:
        settings = self.queue.book.settings
        document = document_of(call, settings.system.name)
        return await run_command(
            settings.notify.run,
            json.dumps(document).encode() + b"\n",
            variables_of(document),
            patience_s=settings.notify.timeout,
        )


async def run_command(
    run: Sequence[str], text: bytes, variables: Mapping[str, str], *, patience_s: float
) -> str:
    """Run *run* with *text* on its standard input; return why it failed, empty if it did not.

    After *patience_s* seconds, or when this is cancelled, it is killed with all that it has started and
    that stayed in its process group.
    """
    try:
        process = await trio.lowlevel.open_process(
            list(run),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=_BASE | dict(variables),
            cwd="/",
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        # No text that a program cannot be given may end the agent, now and at each of its starts.
        return f"{run[0]} cannot be run: {getattr(error, 'strerror', None) or error}"
    said = bytearray()
    limit = trio.CancelScope(deadline=trio.current_time() + patience_s)
    try:
        with limit:
            await _attend(process, text, said)
    finally:
        await _end(process)
    if limit.cancelled_caught:
        return f"{run[0]} was killed: it had not ended after {format_duration(patience_s)}"
    return _outcome(run[0], process.returncode, bytes(said))


async def _attend(process: trio.Process, text: bytes, said: bytearray) -> None:
    """Give the command its text, and listen to it until it has ended."""
    heard = trio.Event()
    async with trio.open_nursery() as nursery:
        if process.stdin is not None and process.stderr is not None:
            nursery.start_soon(_feed, process.stdin, text)
            nursery.start_soon(_listen, process.stderr, said, heard)
        await process.wait()
        # Whatever it left in the background may keep its end of the pipe for ever.
        with trio.move_on_after(_LAST_WORDS_S):
            await heard.wait()
        nursery.cancel_scope.cancel()


async def _feed(pipe: trio.abc.SendStream, text: bytes) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        # A command that does not read it has the same in its environment.
        await pipe.send_all(text)
    await pipe.aclose()


async def _listen(pipe: trio.abc.ReceiveStream, said: bytearray, heard: trio.Event) -> None:
    async for piece in pipe:
        said += piece[: _SHOWN - len(said)] if len(said) < _SHOWN else b""
    heard.set()


async def _end(process: trio.Process) -> None:
    """Kill what still runs, with its group, and close our ends of the pipes."""
    with trio.CancelScope(shield=True):
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with trio.move_on_after(_GONE_S):
                await process.wait()
        for pipe in (process.stdin, process.stderr):
            if pipe is not None:
                await pipe.aclose()


def _outcome(program: str, status: int | None, said: bytes) -> str:
    if status == 0:
        return ""
    how = f"ended by signal {-status}" if status and status < 0 else f"exit status {status}"
    words = one_line(said.decode("utf-8", errors="replace"))
    return f"{program}: {how}" + (f": {words}" if words else "")
