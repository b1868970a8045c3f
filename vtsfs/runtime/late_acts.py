"""What commands and overlays did that the agent has to enter into its history, until it does.

A target can be fenced and a vault be attached without an agent. Each act is a file of its own in the
agent's directory, written at once or not at all; the agent enters it and only then removes it, so a
crash in between can enter it twice, but not lose it.
"""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from vtsfs.contract.settings import Settings
from vtsfs.runtime.peers import user_name

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

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


_FIELDS = frozenset(field.name for field in fields(LateAct))


def place_of(settings: Settings) -> Path:
    """Return the directory in which acts are left."""
    return settings.agent_directory() / "acts"


def leave(directory: Path, act: LateAct) -> None:
    """Leave word of *act* in *directory*; raises `OSError` where this user may not.

    Where no agent ever ran there is nobody to enter it, and `FileNotFoundError` says so. What root
    leaves belongs to the agent's user, who owns the directory above, and who must not lead root
    elsewhere: no link is followed, and nothing is given away but what was made here.
    """
    above = os.open(directory.parent, _DIRECTORY)
    try:
        owner = os.fstat(above)
        made = _make(directory.name, above)
        acts = os.open(directory.name, _DIRECTORY, dir_fd=above)
        try:
            if made:
                _give(acts, owner)
            _write(f"{act.at_ns:020}-{secrets.token_hex(4)}.json", act, acts, owner)
        finally:
            os.close(acts)
    finally:
        os.close(above)


def left(directory: Path) -> Iterator[tuple[Path, LateAct | None]]:
    """Go through what was left, oldest first; None for a file that nobody can read."""
    for path in sorted(directory.glob("*.json")):
        try:
            yield path, _read(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError, AttributeError):
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
    # A program of a later release may say more of an act than is known here.
    known = {name: value for name, value in document.items() if name in _FIELDS}
    act = LateAct(**known)  # type: ignore[arg-type]  # looked at in the next lines
    texts = (act.user, act.action, act.about, act.because, act.old, act.new)
    if not all(isinstance(text, str) for text in texts) or type(act.at_ns) is not int:
        raise TypeError("not an act")
    return act


def _make(name: str, above: int) -> bool:
    try:
        os.mkdir(name, 0o700, dir_fd=above)
    except FileExistsError:
        return False
    return True


def _write(name: str, act: LateAct, acts: int, owner: os.stat_result) -> None:
    """Write the file under a name that nobody looks for, and rename it when it is durable."""
    unfinished = f".{name}.unfinished"
    fd = os.open(unfinished, _NEW_FILE, 0o600, dir_fd=acts)
    try:
        os.write(fd, json.dumps(asdict(act)).encode("ascii"))
        _give(fd, owner)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(unfinished, name, src_dir_fd=acts, dst_dir_fd=acts)
    os.fsync(acts)


def _give(fd: int, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.fchown(fd, owner.st_uid, owner.st_gid)
