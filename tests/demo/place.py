"""Where a demonstration lives: its directory, what lies where in it, and how a kept one is found."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.nonstop import TREE

#: The beginning of a demonstration's directory name.
PREFIX = "vts-demo-"
VAULT = "VAULT00"
POOL = "BILL"


@dataclass(frozen=True)
class Place:
    """What lies where under *root*."""

    root: Path

    @property
    def source(self) -> Path:
        return self.root / "source"

    @property
    def config(self) -> Path:
        return self.source / "vts-autocopy.yaml"

    @property
    def event_log(self) -> Path:
        return self.source / "event.log"

    @property
    def target(self) -> Path:
        """The target's vault: a directory, nothing more."""
        return self.root / "target" / VAULT

    @property
    def sshd(self) -> Path:
        return self.root / "target" / "sshd"

    @property
    def host(self) -> Path:
        return self.root / "host"

    @property
    def content(self) -> Path:
        return self.root / "content"

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def processes(self) -> Path:
        return self.root / "processes"

    def tape(self, label: str) -> Path:
        """Where the tape engine finds a tape."""
        return self.source / VAULT / POOL / label

    def backing(self, label: str) -> Path:
        """Where its bytes really lie, as the agent reads them."""
        return self.source / "backing" / VAULT / POOL / label

    def copy(self, label: str) -> Path:
        """Where its copy lies at the target."""
        return self.target / POOL / label

    def environment(self) -> dict[str, str]:
        """Return what makes `vtsfs`, `copyagent` and `demo` work in a shell."""
        return {
            "DEMO": str(self.root),
            "VTS_AUTOCOPY_CONFIG": str(self.config),
            "PATH": f"{self.bin}:{os.environ.get('PATH', '')}",
        }

    def export_line(self) -> str:
        """Return the one line that does the same in the shell of whoever looks on."""
        return (
            f"export DEMO={self.root} VTS_AUTOCOPY_CONFIG={self.config.as_posix()} "
            f'PATH="{self.bin}:$PATH"'
        )


def tape_name(label: str) -> str:
    """Name the tape with *label* as the two programs do."""
    return f"/{VAULT}/{POOL}/{label}"


def scratch() -> Path:
    """Return the directory that demonstrations are made in: on a disk, unlike /tmp perhaps."""
    return Path(os.environ.get("VTS_TEST_SCRATCH") or "/var/tmp")


def make() -> Place:
    """Make a new directory for a demonstration."""
    # Short, for the path of a Unix socket has room for 107 bytes.
    return Place(Path(tempfile.mkdtemp(prefix=PREFIX, dir=scratch())).resolve())


def all_places() -> Iterator[Place]:
    """Find every demonstration of this user on this machine."""
    for root in sorted(scratch().glob(f"{PREFIX}*")):
        if root.is_dir() and not root.is_symlink() and root.lstat().st_uid == os.geteuid():
            yield Place(root.resolve())


def pointer() -> Path:
    """Return the name under which a kept demonstration is found.

    A shell with another XDG_RUNTIME_DIR looks elsewhere; it can still end what it does not find
    there, for `all_places` needs no pointer.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    where = Path(runtime) if runtime and os.access(runtime, os.W_OK) else Path("/tmp")
    return where / f"vts-autocopy-demo-{os.geteuid()}"


def kept() -> Place | None:
    """Return the demonstration that was kept, None if there is none."""
    link = pointer()
    try:
        # Anybody may put a name into /tmp; only our own is followed.
        if link.lstat().st_uid != os.geteuid() or not link.is_symlink():
            return None
        root = link.resolve(strict=True)
    except OSError:
        return None
    return Place(root) if root.name.startswith(PREFIX) else None


def bad_settings() -> Path:
    """Return the example of a settings file in which much is wrong."""
    return TREE / "packaging" / "examples" / "bad.yaml"
