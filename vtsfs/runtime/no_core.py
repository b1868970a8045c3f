"""Keeping a process's memory, and the passwords in it, out of core dumps.

Linux alone, like everything here.
"""

import ctypes
import os
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def forbid_core_dumps() -> None:
    """Let this process leave no core, and no process of its user look into its memory.

    Two locks, since each leaves a way open: the limit of core(5) does not count where
    ``/proc/sys/kernel/core_pattern`` names a program to pipe into, and PR_SET_DUMPABLE of
    prctl(2), which does, is given back by execve(2). The second also refuses ptrace(2) and
    ``/proc/PID/mem`` to whoever is not root. Raises OSError if the kernel refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
