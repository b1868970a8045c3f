"""What the commands ask about a vault: of its daemon over the feed, and of the kernel's mount table.

Nothing here touches the mounted tree itself, so a dead or hung overlay cannot hang a command.
"""

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtsfs.contract.errors import Refused
from vtsfs.contract.feed import MAX_LINE
from vtsfs.contract.settings import Settings
from vtsfs.fuse.mounting import is_ours, layers_at

#: Seconds a daemon has to answer; it answers within one step of its loop.
PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class VaultState:
    """What is known of a vault: its daemon's word (None if none answers), and the mounts of ours."""

    vault: str
    mountpoint: Path
    backing: Path
    daemon: dict[str, Any] | None
    layers: int

    @property
    def attached(self) -> bool:
        """Whether a living overlay covers the vault."""
        return self.daemon is not None and self.layers > 0

    @property
    def dead(self) -> bool:
        """Whether an overlay died here: the mount point is covered, and every access fails."""
        return self.daemon is None and self.layers > 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        told = {} if self.daemon is None else self.daemon
        return {
            "vault": self.vault,
            "mountpoint": str(self.mountpoint),
            "backing": str(self.backing),
            **told,
            "attached": self.attached,
            "dead": self.dead,
        }


def state_of(settings: Settings, vault: str) -> VaultState:
    """Ask for the state of *vault*; raise `Refused` when its socket is not for this user."""
    entry = settings.vaults[vault]
    layers = [layer for layer in layers_at(entry.mountpoint) if is_ours(layer, vault)]
    return VaultState(
        vault=vault,
        mountpoint=entry.mountpoint,
        backing=entry.backing,
        daemon=ask_daemon(settings.feed_socket(vault)),
        layers=len(layers),
    )


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
        except (FileNotFoundError, ConnectionError, TimeoutError, ValueError):
            return None
    return None
