"""Everything is imported before a process says that it is ready.

An upgrade takes the files of the release that runs away beneath it, sooner or later, and an import
that comes after that fails, in the middle of whatever it was wanted for. So the programs import at
their start also what they may need years later, and tell of what they have forgotten.
"""

import importlib
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

_logger = logging.getLogger(__name__)

#: What a log says of an import that comes late.
LATE_IMPORT: Final = "is imported only now, after the start"

#: What Python and the libraries that both programs use import at the moment of need alone.
_LAZY: Final = (
    "encodings.ascii",
    "encodings.latin_1",
    "_strptime",
    "encodings.idna",
    "encodings.punycode",
    "encodings.unicode_escape",
    "encodings.utf_8_sig",
    "linecache",
    "tokenize",
    "traceback",
)


def import_now(names: Iterable[str] = ()) -> None:
    """Import the modules *names*, and what Python itself puts off; what is not installed is left out."""
    for name in (*_LAZY, *names):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            # Optional for the library that would ask for it; our own must be there.
            if name.partition(".")[0] in {"vtsfs", "copyagent"} or error.name != name:
                raise


class _Teller:
    """A finder that finds nothing (importlib.abc.MetaPathFinder), and tells what was looked for."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Tell of *fullname*, once, and leave the finding to others."""
        if fullname not in self._told:
            self._told.add(fullname)
            _logger.warning(
                "%s %s: after an upgrade it might be gone; this is a bug, please report it",
                fullname,
                LATE_IMPORT,
            )
        return None


@contextmanager
def told_if_late() -> Iterator[None]:
    """Have each import that is not the first of its module, nor of before, told as a warning."""
    teller = _Teller()
    sys.meta_path.insert(0, teller)
    try:
        yield
    finally:
        sys.meta_path.remove(teller)
