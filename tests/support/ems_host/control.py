r"""The scripted host's control lines: one command a line, one answer a line.

Tape events, with the next request number unless one is given (``last`` is the one used last)::

    mount LABEL|scratch with|no [request=N] [drive=$DEV] [comment="..."]
    request NUMBER TEXT            any other request: "MOUNT TMF X00001 NO RING"
    mounted REQUEST LABEL          rejected REQUEST LABEL
    unlabelled DRIVE               device REQUEST DRIVE      a drive wanted, a drive given
    opened LABEL DRIVE             dismounted LABEL DRIVE
    substituted WANTED USED        takeover
    print NUMBER TEXT              any event of the tape server

Other events::

    other PROCESS SSID NUMBER TEXT       of another subsystem; `critical` the same, marked so
    post TEXT                            what a program writes to $0: event 512
    burst NUMBER SSID                    a burst filter says that it suppressed such events
    flood N [mixed|tape|other|garbage|endless]

How events come::

    again [N]           print the N latest once more        reverse N   the next N the wrong way round
    late SECONDS        the next ones are so old            raw TEXT    as it is (\n, \r, \t, \xHH)
    width N   indent N  how they are laid out               templates on|off
    node \NAME   sender PROCESS   ssid NAME                 who sends the tape events from now on
    clock 2006-09-14 22:00:00 | step SECONDS | hold | run    set, or put on or back by law
    next N              the next request number             keep N | forget   what the log holds
    file PATH|off       print into a file as well           rotate [truncate]

Sessions::

    refuse on|off       log-ons      accept on|off   connections      drop [reset]   cut every one
    set OPTION VALUE    any of `HostOptions`
    wait [SECONDS]      until a distributor prints (10 s)             sleep SECONDS
    status              how many connections, and how many print
    typed   posted      what was typed in each session, what was posted, as JSON
    quit

An answer is ``ok``, perhaps with a value (a request's number), or ``error`` and why. Empty lines
and lines that begin with ``#`` are skipped.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import trio

from tests.support.ems_host.flood import flood
from tests.support.ems_host.options import HostOptions
from tests.support.ems_host.server import EmsHost


class ControlError(Exception):
    """A control line that says nothing this host can do."""


async def obey(host: EmsHost, line: str) -> str | None:
    """Carry out one line; return the answer, or None for ``quit`` and for a skipped line."""
    try:
        words = _split(line)
        if not words or words == ["quit"]:
            return None
        command = _COMMANDS.get(words[0])
        if command is None:
            return f"error no such command: {words[0]}"
        value = await command(host, words[1:])
    except (ControlError, ValueError, TypeError, IndexError, KeyError, OSError) as error:
        return f"error {line.strip()}: {error}"
    except trio.TooSlowError:
        return f"error {line.strip()}: not in time"
    return f"ok {value or ''}".rstrip()


_WORDS_BEFORE_TEXT = {"print": 1, "request": 1, "other": 3, "critical": 3, "post": 0, "raw": 0}


def _split(line: str) -> list[str]:
    """Split as a shell does, but for the backslash, which begins a node's name.

    A text at the end of a line is taken as it is; quotes go only if they are round the whole.
    """
    line = line.strip()
    if not line or line.startswith("#"):
        return []
    before = _WORDS_BEFORE_TEXT.get(line.split(None, 1)[0])
    if before is not None:
        words = line.split(None, before + 1)
        return words if len(words) < before + 2 else [*words[:-1], _without_quotes(words[-1])]
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.escape = lexer.commenters = ""
    return list(lexer)


def _without_quotes(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" and text.count(text[0]) == 2
    return text[1:-1] if quoted else text


def _is_on(words: list[str], on: str = "on", off: str = "off") -> bool:
    if not words or words[0] not in {on, off}:
        msg = f"expected {on} or {off}"
        raise ControlError(msg)
    return words[0] == on


def _number(host: EmsHost, word: str) -> int:
    return (host.next_request - 1) % 10_000 if word == "last" else int(word)


def _named(words: list[str], *known: str) -> dict[str, str]:
    given = dict(word.split("=", 1) for word in words)
    unknown = sorted(given.keys() - set(known))
    if unknown:
        msg = f"unknown: {', '.join(unknown)}"
        raise ControlError(msg)
    return given


# ---- tape events ---------------------------------------------------------------------------------


async def _mount(host: EmsHost, words: list[str]) -> str:
    given = _named(words[2:], "request", "drive", "comment")
    request = await host.mount_request(
        None if words[0].lower() == "scratch" else words[0],
        ring=_is_on(words[1:], "with", "no"),
        request=_number(host, given["request"]) if "request" in given else None,
        drive=given.get("drive", ""),
        comment=given.get("comment", ""),
    )
    return str(request)


async def _request(host: EmsHost, words: list[str]) -> str:
    return str(await host.request(int(words[0]), " ".join(words[1:])))


async def _unlabelled(host: EmsHost, words: list[str]) -> str:
    return str(await host.unlabelled_request(words[0]))


async def _device(host: EmsHost, words: list[str]) -> None:
    await host.device_accepted(_number(host, words[0]), words[1])


async def _mounted(host: EmsHost, words: list[str]) -> None:
    await host.volume_mounted(_number(host, words[0]), words[1])


async def _rejected(host: EmsHost, words: list[str]) -> None:
    await host.request_rejected(_number(host, words[0]), words[1])


async def _opened(host: EmsHost, words: list[str]) -> None:
    await host.tape_opened(words[0], words[1])


async def _dismounted(host: EmsHost, words: list[str]) -> None:
    await host.tape_dismounted(words[0], words[1])


async def _substituted(host: EmsHost, words: list[str]) -> None:
    await host.volume_substituted(words[0], words[1])


async def _takeover(host: EmsHost, _: list[str]) -> None:
    await host.takeover()


async def _print(host: EmsHost, words: list[str]) -> None:
    await host.emit(int(words[0]), " ".join(words[1:]))


# ---- other events --------------------------------------------------------------------------------


async def _other(host: EmsHost, words: list[str], *, critical: bool = False) -> None:
    process, ssid, number, *text = words
    layout = host.layout.of(process, ssid)
    await host.emit(int(number), " ".join(text), layout=layout, critical=critical)


async def _critical(host: EmsHost, words: list[str]) -> None:
    await _other(host, words, critical=True)


async def _post(host: EmsHost, words: list[str]) -> None:
    await host.post(" ".join(words))


async def _burst(host: EmsHost, words: list[str]) -> None:
    await host.burst(int(words[0]), words[1])


async def _flood(host: EmsHost, words: list[str]) -> None:
    kind = words[1] if len(words) > 1 else "mixed"
    for batch in flood(host.layout, host.clock, int(words[0]), kind):
        await host.raw(batch)


# ---- how events come -----------------------------------------------------------------------------


async def _again(host: EmsHost, words: list[str]) -> None:
    await host.again(int(words[0]) if words else 1)


async def _reverse(host: EmsHost, words: list[str]) -> None:
    host.reverse(int(words[0]))


async def _late(host: EmsHost, words: list[str]) -> None:
    host.late = float(words[0])


_MEANT = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


async def _raw(host: EmsHost, words: list[str]) -> None:
    text = re.sub(
        r"\\(x([0-9a-fA-F]{2})|[nrt\\])",
        lambda found: chr(int(found[2], 16)) if found[2] else _MEANT[found[1]],
        " ".join(words),
    )
    await host.raw(text)


async def _width(host: EmsHost, words: list[str]) -> None:
    host.layout.width = int(words[0])


async def _indent(host: EmsHost, words: list[str]) -> None:
    host.layout.indent = int(words[0])


async def _node(host: EmsHost, words: list[str]) -> None:
    host.layout.node = words[0]


async def _sender(host: EmsHost, words: list[str]) -> None:
    host.layout.process = words[0]


async def _ssid(host: EmsHost, words: list[str]) -> None:
    host.layout.ssid = words[0]


async def _templates(host: EmsHost, words: list[str]) -> None:
    host.options.has_templates = _is_on(words)


async def _clock(host: EmsHost, words: list[str]) -> str:
    match words:
        case []:
            pass
        case ["step", seconds]:
            host.clock.step(float(seconds))
        case ["hold"] | ["run"]:
            host.clock.hold(on=words == ["hold"])
        case _:
            host.clock.set(datetime.fromisoformat(" ".join(words)))
    return host.clock.now().isoformat(" ")


async def _next(host: EmsHost, words: list[str]) -> None:
    host.next_request = int(words[0])


async def _keep(host: EmsHost, words: list[str]) -> None:
    host.options.keeps = int(words[0])


async def _forget(host: EmsHost, _: list[str]) -> None:
    host.log.lose()


async def _file(host: EmsHost, words: list[str]) -> None:
    host.file = None if words[0] == "off" else Path(words[0])
    if host.file is not None:
        host.file.touch()


async def _rotate(host: EmsHost, words: list[str]) -> None:
    host.rotate(truncate=words == ["truncate"])


# ---- sessions ------------------------------------------------------------------------------------


async def _refuse(host: EmsHost, words: list[str]) -> None:
    host.options.refuses_log_on = _is_on(words)


async def _accept(host: EmsHost, words: list[str]) -> None:
    host.options.accepts = _is_on(words)


async def _set(host: EmsHost, words: list[str]) -> None:
    set_option(host.options, words[0], " ".join(words[1:]))


def set_option(options: HostOptions, name: str, value: str) -> None:
    """Set one of the options from its text; ``none`` where it can be None."""
    kinds = {field.name: str(field.type) for field in fields(HostOptions)}
    if name not in kinds:
        msg = f"no such option: {name}"
        raise ControlError(msg)
    kind = kinds[name].removesuffix(" | None")
    made: object = value
    if kind == "bool":
        made = _is_on([value])
    elif kind != kinds[name] and value == "none":
        made = None
    elif kind in {"int", "float"}:
        made = int(value) if kind == "int" else float(value)
    setattr(options, name, made)


async def _drop(host: EmsHost, words: list[str]) -> None:
    await host.drop(reset=words == ["reset"])


async def _wait(host: EmsHost, words: list[str]) -> None:
    await host.wait_until(lambda: host.printing > 0, within=float(words[0]) if words else 10.0)


async def _sleep(host: EmsHost, words: list[str]) -> None:
    await trio.sleep(float(words[0]))


async def _status(host: EmsHost, _: list[str]) -> str:
    return f"connections={len(host.terminals)} printing={host.printing}"


async def _typed(host: EmsHost, _: list[str]) -> str:
    return json.dumps([terminal.typed for terminal in host.history])


async def _posted(host: EmsHost, _: list[str]) -> str:
    return json.dumps(host.posted)


_COMMANDS: dict[str, Callable[[EmsHost, list[str]], Awaitable[str | None]]] = {
    "mount": _mount,
    "request": _request,
    "mounted": _mounted,
    "rejected": _rejected,
    "unlabelled": _unlabelled,
    "device": _device,
    "opened": _opened,
    "dismounted": _dismounted,
    "substituted": _substituted,
    "takeover": _takeover,
    "print": _print,
    "other": _other,
    "critical": _critical,
    "post": _post,
    "burst": _burst,
    "flood": _flood,
    "again": _again,
    "reverse": _reverse,
    "late": _late,
    "raw": _raw,
    "width": _width,
    "indent": _indent,
    "node": _node,
    "sender": _sender,
    "ssid": _ssid,
    "templates": _templates,
    "clock": _clock,
    "next": _next,
    "keep": _keep,
    "forget": _forget,
    "file": _file,
    "rotate": _rotate,
    "refuse": _refuse,
    "accept": _accept,
    "set": _set,
    "drop": _drop,
    "wait": _wait,
    "sleep": _sleep,
    "status": _status,
    "typed": _typed,
    "posted": _posted,
}
