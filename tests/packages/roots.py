"""Root directories of freshly installed Debian systems, made once and kept in the packages' cache.

A root is made by debootstrap(8) from the archive, as small as it gets (minbase), and never changed
afterwards: who wants to install something takes a copy. Making one needs root and the network, and
about a minute; copying one takes half a second.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.scratch import scratch_directory

_MIRROR = "http://deb.debian.org/debian"
#: Counted up when a root is made in another way than before.
_RECIPE = 1
_MEMORY = Path("/dev/shm")
#: For some roots of 300 MB and packages of 30.
_ENOUGH = 3 << 30


class NoRoot(AssertionError):
    """A root could not be made; the message ends with what debootstrap said last."""


@dataclass(frozen=True)
class Root:
    """A release of Debian and what is installed besides the least there can be."""

    release: str
    packages: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A name that another content would not have."""
        digest = hashlib.sha256(f"{_RECIPE} {sorted(self.packages)}".encode()).hexdigest()
        return f"{self.release}-{digest[:12]}"


#: An appliance: no Python, and of what the package depends on all but the package itself.
APPLIANCES = {release: Root(release, ("fuse3",)) for release in ("trixie", "bookworm", "bullseye")}
#: The same with a service manager and what comes with it on a usual system.
SERVED = {
    release: Root(release, ("fuse3", "systemd", "systemd-sysv", "logrotate"))
    for release in ("trixie", "bookworm")
}
#: A receiving system: an OpenSSH server and nothing of ours.
RECEIVER = Root("bookworm", ("openssh-server",))


def cache_directory() -> Path:
    """Where what takes long to make is kept, as the build of the packages has it."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("VTS_PACKAGES_CACHE") or base / "vts-autocopy")


def pristine(root: Root) -> Path:
    """Return the directory with that root, after making it if it is not there; it is not to be changed."""
    directory = cache_directory() / "roots" / root.key
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(directory.with_suffix(".lock")):
        if not directory.is_dir():
            _make(root, directory)
    return directory


def copy_of(root: Root | Path, to: Path) -> Path:
    """Copy a root, or one in which something was installed, to *to*, which must not exist."""
    source = pristine(root) if isinstance(root, Root) else root
    subprocess.run(
        ["cp", "--archive", "--reflink=auto", str(source), str(to)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return to


@contextmanager
def in_memory() -> Iterator[Path]:
    """Give a directory for roots: in memory where there is room, since dpkg waits for the disk a lot."""
    room = shutil.disk_usage(_MEMORY).free if _MEMORY.is_dir() else 0
    with scratch_directory(_MEMORY if room > _ENOUGH else None) as directory:
        yield directory


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(root: Root, directory: Path) -> None:
    unfinished = directory.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    archives = directory.parent / "archives"
    archives.mkdir(exist_ok=True)
    command = ["debootstrap", "--variant=minbase", f"--cache-dir={archives}"]
    if root.packages:
        command.append(f"--include={','.join(root.packages)}")
    command += [root.release, str(unfinished), os.environ.get("VTS_DEBIAN_MIRROR") or _MIRROR]
    print(f"making a root of {root.release} with {', '.join(root.packages)}", flush=True)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
    )
    if done.returncode:
        raise NoRoot(
            f"debootstrap could not make a root of {root.release}; what it did is in "
            f"{unfinished}/debootstrap:\n{done.stdout[-2000:]}"
        )
    _prune(unfinished)
    unfinished.rename(directory)


def _prune(root: Path) -> None:
    """Take out what only makes copies slow: an appliance without a network has no package lists."""
    for waste in ("var/cache/apt", "var/lib/apt/lists", "debootstrap"):
        shutil.rmtree(root / waste, ignore_errors=True)
    # apt makes these anew, but says so.
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)
