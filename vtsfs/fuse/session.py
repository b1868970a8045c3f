"""From a mounted descriptor to a loop that serves it, and to its end.

When this process dies, the kernel keeps the mount and answers ENOTCONN: the mount point stays
covered. That is wanted. An empty or raw directory in its place would take the tape engine's writes
unseen, so nothing here unmounts on the way out; only a detach does.
"""

import logging
import os
from pathlib import Path

import pyfuse3

from vtsfs.contract.errors import AttachError
from vtsfs.fuse.mounting import mount_vault, remove_dead_layers
from vtsfs.fuse.operations import Operations
from vtsfs.runtime.mount_table import source_of

_logger = logging.getLogger(__name__)

#: Requests served at once. Nearly all are answered within one step; those that wait are fsyncs and
#: opens whose commit is on its way. Beyond this many the kernel queues.
MAX_TASKS = 1000


def attach(operations: Operations, vault: str, mountpoint: Path) -> None:
    """Cover *mountpoint*; `serve` must follow at once. Raises `AttachError`."""
    if os.geteuid() == 0:
        fd = mount_vault(vault, mountpoint)
        target, options = f"/dev/fd/{fd}", set[str]()
    else:
        # fusermount3 does not mount over a dead mount, so an ordinary user must take it off first.
        remove_dead_layers(vault, mountpoint)
        target, options = str(mountpoint), _options_for_users(vault)
    try:
        pyfuse3.init(operations, target, options)
    except RuntimeError as error:
        raise AttachError(
            f"vault {vault} cannot be attached at {mountpoint}: {error}; "
            "see what fusermount3 wrote above"
        ) from error


async def serve() -> None:
    """Serve requests until the file system is unmounted, or until cancelled."""
    # Each task that waits for requests has a buffer of 1 MiB, and they take turns; others are made
    # as soon as nobody waits.
    await pyfuse3.main(min_tasks=2, max_tasks=MAX_TASKS)


def close() -> None:
    """Give the session's memory and descriptor back; a mount that is still there becomes dead."""
    pyfuse3.close(unmount=False)


def _options_for_users(vault: str) -> set[str]:
    options = {"default_permissions", f"fsname={source_of(vault)}", "subtype=vtsfs"}
    try:
        lines = Path("/etc/fuse.conf").read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    if "user_allow_other" in (line.strip() for line in lines):
        options.add("allow_other")
    else:
        _logger.warning(
            "vault %s: only this user can see the mount; to let others, put user_allow_other into "
            "/etc/fuse.conf, or attach as root",
            vault,
        )
    return options
