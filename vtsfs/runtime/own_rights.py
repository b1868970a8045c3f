"""Keeping what a service may do from the programs that it starts.

A service that does not run as root gets its capabilities as *ambient* ones (capabilities(7),
AmbientCapabilities= of systemd.exec(5)), which every program it starts inherits: a site's own command
for alarms could then read every file of the system.
"""

import ctypes
import os
from typing import Final

_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4


def keep_rights_from_children() -> None:
    """Let programs that this process starts have none of its capabilities; it keeps its own.

    For this thread and those started from it, so it comes before any other. For root nothing
    changes: the rights of root's programs are root's. Raises OSError if the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
