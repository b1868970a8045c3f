"""What the commands ask about a vault: of its daemon, its lock, the mount table, and the mount.

Only a child with a time limit touches the mounted tree itself, and only where nothing else is left
to ask, so a dead or frozen overlay cannot hang a command.
"""

import json
import socket
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from vtsfs.contract.errors import NameUnknown, Refused
from vtsfs.contract.feed import MAX_LINE
from vtsfs.contract.near_names import hint, listed
from vtsfs.contract.settings import Settings
from vtsfs.runtime.files import lock_holder
from vtsfs.runtime.mount_table import DEAD, PATIENCE_S, MountProbe, is_ours, layers_at
from vtsfs.runtime.releases import installed_release

_POLL_S = 0.1


class Cover(Enum):
    """What lies on the mount point. The kernel is asked only where no process is known to serve."""

    BARE = "no mount of ours"
    BURIED = "a mount of ours, beneath one of somebody else"
    DEAD = "a mount of ours that lost its overlay"
    LIVE = "a mount of ours whose overlay lives, or has not answered the kernel in time"


@dataclass(frozen=True, slots=True)
class VaultState:
    """What is known of a vault: its daemon's word (None if none answers), and what covers it."""

    vault: str
    mountpoint: Path
    backing: Path
    daemon: dict[str, Any] | None
    #: The process that has the overlay's lock, asked where none answers; 0: one without a number.
    holder: int | None
    cover: Cover

    @property
    def attached(self) -> bool:
        """Whether an overlay that answers covers the vault."""
        return self.daemon is not None and self.cover is Cover.LIVE

    @property
    def silent(self) -> bool:
        """Whether an overlay lives that does not answer: it may be stopped, or serve tapes."""
        return self.daemon is None and (self.holder is not None or self.cover is Cover.LIVE)

    @property
    def dead(self) -> bool:
        """Whether an overlay died here: the mount point is covered, and every access fails."""
        return self.daemon is None and self.holder is None and self.cover is Cover.DEAD

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        told = {"pid": self.holder or None} if self.silent else {}
        return {
            "schema": 1,
            "vault": self.vault,
            "mountpoint": str(self.mountpoint),
            "backing": str(self.backing),
            **(told if self.daemon is None else self.daemon),
            "installed": installed_release(),
            "attached": self.attached,
            "silent": self.silent,
            "dead": self.dead,
        }


def known_vault(settings: Settings, vault: str) -> str:
    """Return *vault* if the settings know it; raise NameUnknown with those they know."""
    if vault not in settings.vaults:
        known = sorted(settings.vaults)
        raise NameUnknown(
            f"{vault!r} is not under vaults: in the settings (there are: {listed(known)})"
            f"{hint(vault, known)}"
        )
    return vault


def state_of(settings: Settings, vault: str, patience_s: float = PATIENCE_S) -> VaultState:
    """Ask for the state of *vault*; raise `Refused` when its socket is not for this user.

    A daemon that lives is given *patience_s* seconds to answer: it may just be beginning or ending.
    """
    entry = settings.vaults[vault]
    deadline = time.monotonic() + patience_s
    while True:
        told = ask_daemon(settings.feed_socket(vault))
        holder = _holder(settings, vault) if told is None else None
        if holder is None or time.monotonic() >= deadline:
            break
        time.sleep(_POLL_S)  # noqa: TID251  # a command; there is no loop to block
    return VaultState(
        vault=vault,
        mountpoint=entry.mountpoint,
        backing=entry.backing,
        daemon=told,
        holder=holder,
        cover=_cover(vault, entry.mountpoint, is_served=told is not None or holder is not None),
    )


def layers_left(vault: str, mountpoint: Path) -> int:
    """Count the mounts of ours at *mountpoint*, whatever lies above them; touches none of them."""
    return sum(is_ours(layer, vault) for layer in layers_at(mountpoint))


def _holder(settings: Settings, vault: str) -> int | None:
    """The lock is for its owner alone; others learn from the mount what they can."""
    try:
        return lock_holder(settings.overlay_lock(vault))
    except OSError:
        return None


def _cover(vault: str, mountpoint: Path, *, is_served: bool) -> Cover:
    layers = layers_at(mountpoint)
    if not any(is_ours(layer, vault) for layer in layers):
        return Cover.BARE
    if not is_ours(layers[-1], vault):
        return Cover.BURIED
    if is_served:
        return Cover.LIVE
    probe = MountProbe(mountpoint)
    answer = probe.ask()
    probe.give_up()
    return Cover.DEAD if answer in DEAD else Cover.LIVE


def ask_daemon(path: Path) -> dict[str, Any] | None:
    """Return the daemon's status, None if nobody listens on *path* or nobody answers in time.

    Raises `Refused` when the socket is not for this user.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE_S)
        try:
            client.connect(str(path))
            client.sendall(b'{"status": true}\n')
            with client.makefile("rb") as lines:
                while line := lines.readline(MAX_LINE):
                    message = json.loads(line)
                    if "status" in message:
                        return dict(message["status"])
        except PermissionError as error:
            raise Refused(
                f"{path} is not for this user: be root, or in the service's group"
            ) from error
        # unix(7): connect fails with EAGAIN, also before its time-out, when the queue is full.
        except (FileNotFoundError, ConnectionError, TimeoutError, BlockingIOError, ValueError):
            return None
    return None
