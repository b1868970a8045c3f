"""The first process of a machine: it mounts what every system has, and lives as long as its owner.

Started by `tests.packages.machine` in namespaces of its own; arguments: the root directory, the
host's name, and PLACE=DIRECTORY for each directory that is to be found in it. It ends
when its standard input does, and everything in its process namespace ends with it, so that nothing
stays behind even when the tests are killed. It must be able to run with the standard library alone.
"""

import ctypes
import fcntl
import os
import signal
import socket
import stat
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1  # netdevice(7)
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND = 0x1, 0x2, 0x4, 0x8, 0x1000
#: Name, major and minor number, as in the kernel's devices.txt.
_DEVICES = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
    ("fuse", 10, 229),
)


def main(root: Path, name: str, disks: Sequence[str]) -> None:
    """Set the machine up, say so, and wait for the end."""
    socket.sethostname(name)
    _loopback_up()
    _mount(root, root, None, _MS_BIND)
    # For those who look from outside the root, as `rpm --root` does, the processes are the same.
    safe = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _mount("proc", Path("/proc"), "proc", safe)
    _mount("proc", root / "proc", "proc", safe)
    _mount("sysfs", root / "sys", "sysfs", safe | _MS_RDONLY)
    _mount("tmpfs", root / "run", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755")
    _devices(root / "dev")
    for disk in disks:
        place, _, directory = disk.partition("=")
        _mount(directory, root / place.lstrip("/"), None, _MS_BIND)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel then buries orphans
    print("ready", flush=True)
    sys.stdin.buffer.read()


def _devices(dev: Path) -> None:
    _mount("tmpfs", dev, "tmpfs", _MS_NOSUID, "mode=755")
    for name, major, minor in _DEVICES:
        os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        (dev / name).chmod(0o666)
    for name, kind, options in (
        ("pts", "devpts", "newinstance,ptmxmode=666,mode=620"),
        ("shm", "tmpfs", "mode=1777"),
    ):
        (dev / name).mkdir()
        _mount(kind, dev / name, kind, _MS_NOSUID | _MS_NOEXEC, options)
    for name, target in (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ):
        (dev / name).symlink_to(target)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        name, flags = struct.unpack("16sH14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", name, flags | _IFF_UP))


def _mount(
    source: str | Path, target: Path, kind: str | None, flags: int, options: str | None = None
) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (source, target, kind, flags, options)
    if libc.mount(
        *(item if isinstance(item, int) else item and os.fsencode(item) for item in arguments)
    ):
        number = ctypes.get_errno()
        raise OSError(number, f"mount of {source}: {os.strerror(number)}", str(target))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
