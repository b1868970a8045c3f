"""Who attached and detached a vault, and why: for the event log, and for the agent's history.

The overlay ends by itself when it is unmounted and is told nothing, so whoever detaches it leaves a
note with name and reason for it first, in the run directory.
"""

import json
import logging
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from vtsfs.contract.settings import Settings
from vtsfs.runtime.clock import wall_ns
from vtsfs.runtime.files import write_atomic
from vtsfs.runtime.late_acts import LateAct, leave, place_of

_logger = logging.getLogger(__name__)

#: A note that is older than this, in nanoseconds, is of a detach that was given up.
_NOTE_LASTS_NS = 300 * 1_000_000_000

#: Bytes of a note, with the longest reason.
_LONGEST_NOTE = 16 * 1024

NO_REASON = "no reason given"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and the reason given; *at_ns* is since the epoch, 0 where it does not count."""

    user: str
    because: str = NO_REASON
    at_ns: int = 0


#: It was not told who: a service manager's signal, or umount(8).
NOBODY = Actor("nobody by name", "told by a signal, or unmounted")


@dataclass(frozen=True, slots=True)
class Change:
    """*action* brought *vault* from the state *old* to the state *new*."""

    vault: str
    action: str
    old: str
    new: str


def leave_word(settings: Settings, by: Actor, change: Change) -> None:
    """Leave word for the agent, whose history it belongs into; blocks for a write.

    Where no agent ever ran there is no history. It never keeps a vault from its tapes.
    """
    act = LateAct(
        by.user,
        change.action,
        f"vault {change.vault}",
        by.because,
        wall_ns(),
        change.old,
        change.new,
        told=True,
    )
    try:
        leave(place_of(settings), act)
    except FileNotFoundError:
        pass
    except OSError as error:
        _logger.warning("no word of the %s for the agent's history: %s", change.action, error)


def announce_detach(settings: Settings, vault: str, by: Actor) -> None:
    """Leave the note for the overlay that is about to be unmounted; raises `OSError`."""
    noted = Actor(by.user, by.because, wall_ns())
    write_atomic(_note_path(settings, vault), json.dumps(asdict(noted)).encode("ascii"))


def withdraw_detach(settings: Settings, vault: str) -> None:
    """Take the note away: the overlay stays."""
    _note_path(settings, vault).unlink(missing_ok=True)


def take_detacher(settings: Settings, vault: str) -> Actor:
    """Return who has detached the vault, by the note, which goes; `NOBODY` without a fresh one."""
    path = _note_path(settings, vault)
    try:
        noted = _read(path)
        path.unlink()
    except (OSError, ValueError, TypeError, KeyError):
        return NOBODY
    return noted if 0 <= wall_ns() - noted.at_ns < _NOTE_LASTS_NS else NOBODY


def _read(path: Path) -> Actor:
    """Read a note of root's, or of this user's: others can write into that directory, too.

    Raises `OSError`, `ValueError`, `TypeError` or `KeyError` for anything else; never waits for a pipe.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in {0, os.geteuid()}:
            raise ValueError("not a note of ours")
        noted = json.loads(os.read(fd, _LONGEST_NOTE))
    finally:
        os.close(fd)
    if not all(isinstance(noted[key], str) for key in ("user", "because")):
        raise TypeError("not a note")
    return Actor(**noted)


def _note_path(settings: Settings, vault: str) -> Path:
    return settings.paths.run / f"vtsfs-{vault}.detach"
