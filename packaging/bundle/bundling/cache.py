"""What took long once is kept: directories in a cache, each under a digest of what went into it."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_root() -> Path:
    """Return the directory that slow results are kept in."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("VTS_PACKAGES_CACHE") or f"{home}/vts-autocopy")


def kept(place: Path, make: Callable[[Path], None]) -> Path:
    """Return *place*, filled by *make* if it is not there; half a result is never seen there."""
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".making-") as scratch:
            made = Path(scratch, "made")
            made.mkdir()
            make(made)
            try:
                made.rename(place)
            except OSError:
                # Another build has put it there meanwhile; the digest says that it is the same.
                if not place.is_dir():
                    raise
    os.utime(place)
    return place


def forget_all_but(newest: int, folder: Path) -> None:
    """Remove what lies in *folder* and was not among the *newest* that were used last."""
    places = [path for path in folder.iterdir() if not path.name.startswith(".")]
    for place in sorted(places, key=lambda path: path.stat().st_mtime, reverse=True)[newest:]:
        shutil.rmtree(place, ignore_errors=True)
