"""The packages under test: those of this tree, and others that upgrade them."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.packages.roots import cache_directory
from vtsfs import __version__

_TREE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Built:
    """The packages of one version."""

    version: str
    directory: Path

    @property
    def deb(self) -> Path:
        """The Debian package; raise AssertionError if it was not built."""
        return self._there(f"vts-autocopy_{self.version}_amd64.deb")

    @property
    def rpm(self) -> Path:
        """The RPM; raise AssertionError if it was not built."""
        return self._there(f"vts-autocopy-{self.version}.x86_64.rpm")

    def _there(self, name: str) -> Path:
        path = self.directory / name
        assert path.is_file(), f"{path} is not there: run make test-packages, which builds it"
        return path


def present() -> Built:
    """What is built of this tree under its own version."""
    return Built(f"{__version__}-1", _directory(_TREE / "dist"))


def following() -> Built:
    """The same programs under the next version, as an upgrade brings them."""
    first, last = __version__.rsplit(".", 1)
    return Built(f"{first}.{int(last) + 1}-1", _directory(cache_directory() / "following"))


def _directory(usual: Path) -> Path:
    return Path(os.environ.get("VTS_PACKAGES") or usual)


def main() -> None:
    """Build what the tests need, unless VTS_PACKAGES names a directory in which it is."""
    if os.environ.get("VTS_PACKAGES"):
        return
    for built, quick in ((present(), []), (following(), ["--quick"])):
        options = ["--version", built.version, "--out", str(built.directory), *quick]
        done = subprocess.run([_TREE / "packaging" / "build", *options], check=False)
        if done.returncode:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
