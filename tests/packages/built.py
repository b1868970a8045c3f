"""The packages under test: those of this tree, and others that upgrade them."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

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
    return Built(f"{__version__}-1", _directory())


def following() -> Built:
    """The same programs under the next version, as an upgrade brings them."""
    first, last = re.fullmatch(r"(.*\.)(\d+)", __version__).groups()  # type: ignore[union-attr]
    return Built(f"{first}{int(last) + 1}-1", _directory())


def _directory() -> Path:
    return Path(os.environ.get("VTS_PACKAGES") or _TREE / "dist")
