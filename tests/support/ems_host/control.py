"""The scripted host's control lines: one command a line, one answer a line.

::

    mount LABEL|scratch with|no [request=N] [drive=$DEV] [comment="..."]
    mounted REQUEST LABEL          opened LABEL DRIVE        dismounted LABEL DRIVE
    rejected REQUEST LABEL         substituted WANTED USED   takeover
    print NUMBER TEXT              an event of the tape server, laid out
    raw TEXT                       as it is; \\n, \\r and \\t are understood
    width N    indent N            how the next events are laid out
    refuse on|off                  whether log-ons are refused from now on
    accept on|off                  whether connections are served from now on
    drop                           cut every connection
    wait [SECONDS]                 until a distributor prints (30 s)
    sleep SECONDS
    status                         how many connections, and how many print
    quit

An answer is ``ok``, perhaps with a value (``mount``: the request number), or ``error`` and why.
Empty lines and lines that begin with ``#`` are skipped.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable

import trio

from tests.support.ems_host.server import EmsHost


class ControlError(Exception):
    """A control line that says nothing this host can do."""


async def obey(host: EmsHost, line: str) -> str | None:
    """Carry out one line; return the answer, or None for ``quit`` and for a skipped line."""
    try:
        words = shlex.split(line, comments=True)
        if not words or words == ["quit"]:
            return None
        command = _COMMANDS.get(words[0])
        if command is None:
            return f"error no such command: {words[0]}"
        value = await command(host, words[1:])
    except (ControlError, ValueError, TypeError, IndexError) as error:
        return f"error {line.strip()}: {error}"
    except trio.TooSlowError:
        return f"error {line.strip()}: not in time"
    return f"ok {value}".rstrip()


def _is_on(words: list[str], on: str, off: str) -> bool:
    if not words or words[0] not in {on, off}:
        msg = f"expected {on} or {off}"
        raise ControlError(msg)
    return words[0] == on


async def _mount(host: EmsHost, words: list[str]) -> str:
    volume = None if words[0].lower() == "scratch" else words[0]
    given = dict(word.split("=", 1) for word in words[2:])
    unknown = sorted(given.keys() - {"request", "drive", "comment"})
    if unknown:
        msg = f"unknown: {', '.join(unknown)}"
        raise ControlError(msg)
    request = await host.mount_request(
        volume,
        ring=_is_on(words[1:], "with", "no"),
        request=int(given["request"]) if "request" in given else None,
        drive=given.get("drive", ""),
        comment=given.get("comment", ""),
    )
    return str(request)


async def _mounted(host: EmsHost, words: list[str]) -> str:
    await host.volume_mounted(int(words[0]), words[1])
    return ""


async def _rejected(host: EmsHost, words: list[str]) -> str:
    await host.request_rejected(int(words[0]), words[1])
    return ""


async def _opened(host: EmsHost, words: list[str]) -> str:
    await host.tape_opened(words[0], words[1])
    return ""


async def _dismounted(host: EmsHost, words: list[str]) -> str:
    await host.tape_dismounted(words[0], words[1])
    return ""


async def _substituted(host: EmsHost, words: list[str]) -> str:
    await host.volume_substituted(words[0], words[1])
    return ""


async def _takeover(host: EmsHost, words: list[str]) -> str:
    await host.takeover()
    return ""


async def _print(host: EmsHost, words: list[str]) -> str:
    await host.emit(int(words[0]), " ".join(words[1:]))
    return ""


async def _raw(host: EmsHost, words: list[str]) -> str:
    text = " ".join(words)
    for shown, meant in (("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t")):
        text = text.replace(shown, meant)
    await host.raw(text)
    return ""


async def _width(host: EmsHost, words: list[str]) -> str:
    host.layout.width = int(words[0])
    return ""


async def _indent(host: EmsHost, words: list[str]) -> str:
    host.layout.indent = int(words[0])
    return ""


async def _refuse(host: EmsHost, words: list[str]) -> str:
    host.options.refuses_log_on = _is_on(words, "on", "off")
    return ""


async def _accept(host: EmsHost, words: list[str]) -> str:
    host.options.accepts = _is_on(words, "on", "off")
    return ""


async def _drop(host: EmsHost, words: list[str]) -> str:
    await host.drop()
    return ""


async def _wait(host: EmsHost, words: list[str]) -> str:
    await host.wait_until(lambda: host.printing > 0, within=float(words[0]) if words else 30.0)
    return ""


async def _sleep(host: EmsHost, words: list[str]) -> str:
    await trio.sleep(float(words[0]))
    return ""


async def _status(host: EmsHost, words: list[str]) -> str:
    return f"connections={len(host.terminals)} printing={host.printing}"


_COMMANDS: dict[str, Callable[[EmsHost, list[str]], Awaitable[str]]] = {
    "mount": _mount,
    "mounted": _mounted,
    "rejected": _rejected,
    "opened": _opened,
    "dismounted": _dismounted,
    "substituted": _substituted,
    "takeover": _takeover,
    "print": _print,
    "raw": _raw,
    "width": _width,
    "indent": _indent,
    "refuse": _refuse,
    "accept": _accept,
    "drop": _drop,
    "wait": _wait,
    "sleep": _sleep,
    "status": _status,
}
