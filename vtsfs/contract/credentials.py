"""Secrets that a service manager hands to the service it starts (systemd.exec(5), LoadCredential=).

The unit of the agent names the directory `DIRECTORY` as a credential called `NAME`, so each file in
it lies, for the service alone, in the directory that ``CREDENTIALS_DIRECTORY`` names, as it was when
the service was started: ``NAME_FILE``, and a slash within FILE is an underscore there, too. The
settings go on naming the files themselves, and what is told of them names those.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: Where the packages want keys and password files: for root alone.
DIRECTORY: Final = Path("/etc/vts-autocopy/keys")

#: The credential's name in the unit.
NAME: Final = "keys"

#: Where the service manager says the credentials are.
ENVIRONMENT: Final = "CREDENTIALS_DIRECTORY"

#: More than a key or a password file ever has; systemd takes up to a megabyte.
_MOST: Final = 1 << 20


def is_handed_over(path: Path, directory: Path = DIRECTORY) -> bool:
    """Tell whether the agent's service is handed the file *path*, so that it may be root's own."""
    return directory in path.parents and ".." not in path.parts


def credential_of(
    path: Path, environ: Mapping[str, str], directory: Path = DIRECTORY
) -> Path | None:
    """Return where the service manager puts what is in *path*; None if it does not.

    Whether there is such a file is not looked at: one that was made after the service was started
    is not there.
    """
    given = environ.get(ENVIRONMENT, "")
    if not given or not is_handed_over(path, directory):
        return None
    return Path(given) / f"{NAME}_{str(path.relative_to(directory)).replace('/', '_')}"


def place_of(path: Path, environ: Mapping[str, str], directory: Path = DIRECTORY) -> Path:
    """Return the file to read the secret in *path* from, now.

    That is the credential, unless the file itself can be read here and says something else: then it
    was changed after the service was started, and whoever changed it means it. Blocks for two small
    files; an error in reading *path* is left to whoever reads it.
    """
    credential = credential_of(path, environ, directory)
    if credential is None:
        return path
    handed, own = _content(credential), _content(path)
    return path if handed is None or (own is not None and own != handed) else credential


def _content(path: Path) -> bytes | None:
    try:
        # O_NONBLOCK: opening a FIFO would wait for somebody to write into it.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            return file.read(_MOST)
    except OSError:
        return None
