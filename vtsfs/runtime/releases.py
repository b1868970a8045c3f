"""Which release runs, and which one is installed by now.

A package puts each version into a directory of its own, ``/usr/lib/vts-autocopy/VERSION``, and the
link ``current`` beside them names the one that is installed. A process is of the version it was
started from, whatever `current` says later. From source there is no such directory: what runs is
then the version of the source, and nothing is installed.
"""

import os
import sys
from pathlib import Path
from typing import Final

from vtsfs import __version__

#: The directory of the versions, and the link in it to the one that is installed.
_VERSIONS: Final = "vts-autocopy"
_CURRENT: Final = "current"
#: The end of a former version's name while another one is being installed.
_KEPT: Final = "~kept"
#: Where this process's version lies; asked now, for who was started by way of the link is still of
#: the version that it named then.
_OWN: Final = os.path.realpath(sys.prefix)


def running_release(prefix: str = _OWN) -> str:
    """Return the version of this process: a package's whole (``0.2.0-1``), or the source's."""
    tree = Path(prefix)
    return _plain(tree.name) if tree.parent.name == _VERSIONS else __version__


def installed_release(prefix: str = _OWN) -> str | None:
    """Return the version that is installed now; None from source, and where none is installed."""
    tree = Path(prefix)
    if tree.parent.name != _VERSIONS:
        return None
    try:
        return _plain(Path(os.readlink(tree.parent / _CURRENT)).name)
    except OSError:
        return None


def _plain(name: str) -> str:
    return name.removesuffix(_KEPT)
