"""What commands and overlays did that the agent has to enter into its history, until it does.

A target can be fenced and a vault be attached without an agent. Each act is a file of its own in the
agent's directory, written at once or not at all; the agent enters it and only then removes it, so a
crash in between can enter it twice, but not lose it.
"""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from vtsfs.contract.settings import Settings
from vtsfs.runtime.files import write_atomic
from vtsfs.runtime.peers import user_name

#: The longest name that is taken from the environment, in characters.
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class LateAct:
    """*user* did *action* to *about*, for the reason *because*, at *at_ns* since the epoch.

    *old* and *new* are its states before and after, where that can be said. *told*: whoever did it
    has written the event of it, so the agent must not.
    """

    user: str
    action: str
    about: str
    because: str
    at_ns: int
    old: str = ""
    new: str = ""
    told: bool = False


def place_of(settings: Settings) -> Path:
    """Return the directory in which acts are left."""
    return settings.agent_directory() / "acts"


def leave(directory: Path, act: LateAct) -> None:
    """Leave word of *act* in *directory*; raises `OSError` where this user may not.

    Where no agent ever ran there is nobody to enter it, and `FileNotFoundError` says so. What root
    leaves belongs to the agent's user, who owns the directory above.
    """
    owner = directory.parent.stat()
    try:
        directory.mkdir(0o700)
        _give(directory, owner)
    except FileExistsError:
        pass
    path = directory / f"{act.at_ns:020}-{secrets.token_hex(4)}.json"
    write_atomic(path, json.dumps(asdict(act)).encode("ascii"))
    _give(path, owner)


def left(directory: Path) -> Iterator[tuple[Path, LateAct | None]]:
    """Go through what was left, oldest first; None for a file that nobody can read."""
    for path in sorted(directory.glob("*.json")):
        try:
            yield path, _read(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            yield path, None


def who(environment: Mapping[str, str]) -> str:
    """Name who runs this process, as the kernel and the system's users have it.

    For root by way of sudo(8) that is not all: the name that sudo leaves in *environment* is added.
    It is no more than a hint, for root can set it to anything.
    """
    uid = os.getuid()
    name = user_name(uid)
    by = environment.get("SUDO_USER", "")
    if uid != 0 or not by or not by.isprintable() or by == name:
        return name
    return f"{name} (sudo by {by[:_LONGEST_NAME]})"


def _read(document: dict[str, object]) -> LateAct:
    act = LateAct(**document)  # type: ignore[arg-type]  # looked at in the next lines
    texts = (act.user, act.action, act.about, act.because, act.old, act.new)
    if not all(isinstance(text, str) for text in texts) or type(act.at_ns) is not int:
        raise TypeError("not an act")
    return act


def _give(path: Path, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)
