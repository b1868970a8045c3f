"""Small disks on loop devices, which can be filled, frozen, broken and mended. All of it needs root."""

import ctypes
import fcntl
import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

# ioctl numbers of <linux/fs.h> and of ext4, on 64-bit machines.
_FIFREEZE = 0xC0045877
_FITHAW = 0xC0045878
_EXT4_IOC_SHUTDOWN = 0x8004587D
_NOLOGFLUSH = 2

_libc = ctypes.CDLL(None, use_errno=True)


class Disk:
    """An ext4 file system on the file *image*, to be mounted at *point*."""

    def __init__(self, image: Path, point: Path, megabytes: int = 16) -> None:
        self.image = image
        self.point = point
        self._filler = point / "filler"
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        options = ["-q", "-m", "0", "-O", "^has_journal"] if megabytes < 8 else ["-q", "-m", "0"]
        subprocess.run(["mkfs.ext4", *options, image], check=True, capture_output=True)
        point.mkdir(parents=True, exist_ok=True)

    def mount(self, options: str = "loop") -> None:
        """Mount it; the test is skipped where there are no loop devices."""
        command = ["mount", "-o", options, str(self.image), str(self.point)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")

    def unmount(self) -> None:
        """Take it off; fails while somebody has a file of it open."""
        subprocess.run(["umount", self.point], check=True, capture_output=True)

    def fill(self) -> None:
        """Leave no room, not for a byte."""
        with self._filler.open("ab", buffering=0) as file, suppress(OSError):
            for size in (1 << 20, 4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    def freeze(self) -> None:
        """Let whoever writes wait, as a disk that does not answer."""
        self._control(_FIFREEZE, 0)

    def thaw(self) -> None:
        """Let them go on."""
        self._control(_FITHAW, 0)

    def kill(self) -> None:
        """Let every further access fail with EIO, as a disk that is gone; unmount and mount mends it."""
        self._control(_EXT4_IOC_SHUTDOWN, struct.pack("I", _NOLOGFLUSH))

    def make_read_only(self) -> None:
        """Have the kernel find an error, as on a bad disk; mounted with errors=remount-ro it stops writing."""
        with self.image.open("rb"):
            device = os.stat(self.point).st_dev
        name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("by a test")

    def _control(self, request: int, argument: int | bytes) -> None:
        fd = os.open(self.point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, request, argument)
        finally:
            os.close(fd)


@contextmanager
def memory_image() -> Iterator[Path]:
    """Give a file for a disk that answers at once, whatever else the machine's own disks have to do."""
    with tempfile.TemporaryDirectory(prefix="vts-", dir="/dev/shm") as directory:
        yield Path(directory) / "image"


@contextmanager
def mounted_disk(image: Path, point: Path, options: str = "loop") -> Iterator[Disk]:
    """Make and mount a disk; what is mounted at the end is the `scratch` fixture's business.

    A disk that was left frozen is thawed, or nobody could ever take it off.
    """
    disk = Disk(image, point)
    disk.mount(options)
    try:
        yield disk
    finally:
        with suppress(OSError):
            disk.thaw()
