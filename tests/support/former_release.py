"""The release before this one, as it was: taken out of the repository's history and really run.

Nothing of it is installed: its two packages lie in a directory, and run with this interpreter and
the dependencies that are there.
"""

import subprocess
from pathlib import Path

from tests.support.nonstop import TREE

#: The release before the present one, and the commit that it is.
VERSION = "0.1.0"
COMMIT = "877f0dda5ab37951db480a4ef605d592df379240"

#: What of it is needed: its programs, and the settings it showed to others.
_PARTS = ("vtsfs", "copyagent", "packaging/examples", "tests/settings/valid")


def why_no_history(commit: str = COMMIT) -> str | None:
    """Say why the release before cannot be had here; None if it can."""
    try:
        found = _git("cat-file", "-e", f"{commit}^{{commit}}")
    except FileNotFoundError:
        return "there is no git"
    if found.returncode:
        return f"this is no clone with commit {commit[:7]} ({VERSION}) in its history"
    return None


def former_release(directory: Path) -> Path:
    """Put the release before into *directory*, which it makes; return *directory*."""
    archive = _git("archive", "--format=tar", COMMIT, "--", *_PARTS)
    if archive.returncode:
        raise AssertionError(f"{VERSION} cannot be had: {archive.stderr.decode()}")
    directory.mkdir(parents=True)
    unpack = ["tar", "--no-same-owner", "-x", "-C", str(directory)]
    subprocess.run(unpack, input=archive.stdout, check=True)
    return directory


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    # Also a clone that belongs to somebody else, as in a container.
    return subprocess.run(
        ["git", "-c", f"safe.directory={TREE}", *arguments],
        cwd=TREE,
        capture_output=True,
        check=False,
    )
