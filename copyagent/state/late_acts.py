"""What commands did while no agent ran, until one puts it on record.

A target can be fenced without an agent, and is fenced then most urgently. Each act is a file of its
own, written at once or not at all; the agent enters it into the history and the event log and only
then removes it, so a crash in between can enter it twice, but not lose it.
"""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from vtsfs.contract.settings import Settings
from vtsfs.runtime.files import write_atomic


@dataclass(frozen=True, slots=True)
class LateAct:
    """*user* did *action* to *about*, for the reason *because*, at *at_ns* since the epoch."""

    user: str
    action: str
    about: str
    because: str
    at_ns: int


_ACT: TypeAdapter[LateAct] = TypeAdapter(LateAct)


def place_of(settings: Settings) -> Path:
    """Return the directory in which acts are left."""
    return settings.agent_directory() / "acts"


def leave(directory: Path, act: LateAct) -> None:
    """Leave word of *act* in *directory*; raises `OSError` where this user may not.

    What root leaves belongs to the agent's user, who owns the directory above.
    """
    owner = directory.parent.stat()
    try:
        directory.mkdir(0o700)
        _give(directory, owner)
    except FileExistsError:
        pass
    path = directory / f"{act.at_ns:020}-{secrets.token_hex(4)}.json"
    write_atomic(path, _ACT.dump_json(act))
    _give(path, owner)


def left(directory: Path) -> Iterator[tuple[Path, LateAct | None]]:
    """Go through what was left, oldest first; None for a file that nobody can read."""
    for path in sorted(directory.glob("*.json")):
        try:
            yield path, _ACT.validate_json(path.read_bytes())
        except (OSError, ValidationError):
            yield path, None


def _give(path: Path, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)
