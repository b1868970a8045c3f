"""How long the path of a Unix socket may be; apart, so that who only connects imports no event loop."""

import os
from pathlib import Path

from vtsfs.contract.errors import SettingsError

#: The kernel's sun_path has 108 bytes, one for the final NUL (unix(7)).
MAX_PATH = 107


def check_length(path: Path) -> None:
    """Raise `SettingsError` if *path* cannot name a Unix socket."""
    length = len(os.fsencode(path))
    if length > MAX_PATH:
        problem = (
            f"socket path {path} has {length} bytes and the kernel allows {MAX_PATH}; "
            "choose a shorter paths.run"
        )
        raise SettingsError(problem, (problem,))
