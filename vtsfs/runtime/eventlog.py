"""The event log: one line a message, in the format of Virtual TapeServer.

``Timestamp|Severity|ID|System|IP|Server|User|Program|Text`` (Configuration Guide, event log
chapter), at most 255 characters in all, times in UTC. Both programs append to the same file; each
line is one write(2) with O_APPEND, so lines never mix. The same text goes to `logging`, hence to
the journal, together with the operator's next step, for which the line has no room.
"""

import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import gmtime, strftime

from vtsfs.contract.messages import (
    EVENTS_UNWRITTEN,
    TEXT_LIMIT,
    Message,
    Severity,
    next_step,
    one_line,
)
from vtsfs.contract.settings import System
from vtsfs.runtime.clock import wall_ns

#: Limit of a whole line, in characters, without its end.
LINE_LIMIT = 255
_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
    Severity.CRITICAL: logging.CRITICAL,
}
_LOOK_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
#: How much of the log's end is searched for a line that may have been written before a crash.
_LOOK_BACK = 1 << 18
#: O_NONBLOCK does nothing for a file and keeps a FIFO without a reader from stopping the daemon.
#: The directory may be an unprivileged user's: root follows no link that was put there.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK | os.O_NOFOLLOW

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """On whose behalf a message is written: the middle columns of a line, cut to their limits."""

    system: str
    ip: str
    server: str
    user: str
    program: str

    def columns(self) -> str:
        """Return the five columns, joined; the text's column and those before stay outside."""
        server = one_line(self.server)[:15]
        return "|".join(
            (
                one_line(self.system)[:7],
                one_line(self.ip)[:15],
                server,
                one_line(self.user)[:15],
                one_line(self.program)[:15],
            )
        )


def format_line(message: Message, fields: Mapping[str, object], origin: Origin, now_ns: int) -> str:
    """Return the log line of *message* at *now_ns*, at most `LINE_LIMIT` characters.

    The columns together may take more than a line has, so the text gets what the others leave.
    """
    stamp = strftime("%Y-%m-%d %H:%M:%S", gmtime(now_ns // 1_000_000_000))
    head = f"{stamp}|{message.severity.name}|{message.id:06}|{origin.columns()}|"
    return head + message.render(fields, limit=min(TEXT_LIMIT, LINE_LIMIT - len(head)))


class EventLog:
    """Appends messages to the event log at *path*; may be rotated away at any time.

    A log that root begins belongs to its directory's owner and group, so that both programs can
    append to it whichever was first.

    A log that cannot be written never disturbs the caller: that is reported once to the journal,
    every message still goes there, the file is tried again with each one, and the first that
    succeeds is preceded by a message that counts what is missing. Calls block for one short append
    and belong to one thread; from the trio loop that is accepted, because messages are rare.
    """

    def __init__(self, path: Path, system: System, *, program: str) -> None:
        self._path = path
        self._system = system
        self._program = program
        self._fd = -1
        self._torn = False
        self._unwritten = 0
        #: How often each message was written here, or to the journal alone, by its ID.
        self.written: Counter[int] = Counter()

    @property
    def unwritten(self) -> int:
        """How many messages the file is missing since it could not be written last."""
        return self._unwritten

    def write(
        self,
        message: Message,
        *,
        now_ns: int | None = None,
        user: str = "",
        ip: str = "127.0.0.1",
        program: str = "",
        once: bool = False,
        **fields: object,
    ) -> None:
        """Append *message* with its *fields*; *now_ns* is since the epoch, the clock's if None.

        *user* and *ip* tell who asked for what is reported, *program* is this program unless given.
        A message whose text names the user takes it from *user*. Fields that the text does not have
        are welcome: the next step may name them. With *once* nothing is written if that very line
        stands near the log's end: who ended before remembering that it was written cannot know.
        """
        now = wall_ns() if now_ns is None else now_ns
        complete = _complete(message, {**fields, "user": user} if user else fields)
        origin = Origin(self._system.model, ip, self._system.name, user, program or self._program)
        line = format_line(message, complete, origin, now)
        if once and self._stands_there(line):
            return
        self._append(line, origin, now)
        self.written[message.id] += 1
        _logger.log(
            _LEVELS[message.severity],
            "%06d %s [next step: %s]",
            message.id,
            message.render(complete, limit=2000),
            next_step(message, complete),
        )

    def close(self) -> None:
        """Close the file; a later `write` opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _stands_there(self, line: str) -> bool:
        try:
            with open(os.open(self._path, _LOOK_FLAGS), "rb") as file:
                file.seek(-min(_LOOK_BACK, file.seek(0, os.SEEK_END)), os.SEEK_END)
                return line.encode("utf-8", errors="replace") in file.read().splitlines()
        except OSError:
            return False

    def _append(self, line: str, origin: Origin, now_ns: int) -> None:
        text = line + "\n"
        if self._unwritten:
            missing = {"count": self._unwritten}
            text = f"{format_line(EVENTS_UNWRITTEN, missing, origin, now_ns)}\n{text}"
        if self._torn:
            text = "\n" + text
        try:
            self._reopen_if_rotated()
            data = text.encode("utf-8", errors="replace")
            if os.write(self._fd, data) != len(data):
                # The rest would be a second write, and another program's line may come between.
                self._torn = True
                raise OSError("only a part of the line fitted")
        except OSError as error:
            self.close()
            if not self._unwritten:
                _logger.error(
                    "event log %s cannot be written: %s; make room, or give it back to this "
                    "user; until then messages go to the journal alone",
                    self._path,
                    error.strerror or error,
                )
            self._unwritten += 1
        else:
            self._torn = False
            self._unwritten = 0

    def _reopen_if_rotated(self) -> None:
        if self._fd >= 0:
            ours = os.fstat(self._fd)
            try:
                found = os.stat(self._path)
            except OSError:
                found = None
            if found is not None and (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino):
                return
            self.close()
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            self._fd = os.open(self._path, _FLAGS)
        except FileNotFoundError:
            self._begin()

    def _begin(self) -> None:
        """The overlay, as root, may be first; the agent's user must be able to append then."""
        self._fd = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o640)
        if os.geteuid() == 0:
            directory = os.stat(self._path.parent)
            os.fchown(self._fd, directory.st_uid, directory.st_gid)


def _complete(message: Message, fields: dict[str, object]) -> dict[str, object]:
    """A message with a field too few is still worth more than an exception in the caller."""
    missing = [name for name in message.fields if name not in fields]
    if missing:
        _logger.error(
            "message %d is written without %s; report this to the makers", message.id, missing
        )
    return fields | dict.fromkeys(missing, "?")
