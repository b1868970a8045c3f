"""POSIX cases: FIFOs, sockets and device nodes."""

import errno
import os
import socket
import stat
from pathlib import Path

from tests.support.posix_case import (
    MEMBER,
    OUTSIDER,
    apart,
    case,
    fails_with,
    for_everyone,
    needs_root,
    opened,
)


@for_everyone
def fifos(top: Path) -> None:
    os.mkfifo(top / "fifo", 0o600)
    assert stat.S_ISFIFO((top / "fifo").stat().st_mode)
    with opened(top / "fifo", os.O_RDWR) as fd:
        os.write(fd, b"through")
        assert os.read(fd, 10) == b"through"
    with fails_with(errno.ENXIO):
        os.open(top / "fifo", os.O_WRONLY | os.O_NONBLOCK)
    with opened(top / "fifo", os.O_RDONLY | os.O_NONBLOCK) as reader:

        def writer() -> None:
            with opened(top / "fifo", os.O_WRONLY) as fd:
                os.write(fd, b"from a child")

        apart(writer)
        assert os.read(reader, 100) == b"from a child"
        with fails_with(errno.ESPIPE):
            os.lseek(reader, 0, os.SEEK_SET)
    os.rename(top / "fifo", top / "renamed")
    os.unlink(top / "renamed")


@for_everyone
def sockets(top: Path) -> None:
    # By the shorter way: a socket's name has at most 107 bytes.
    with opened(top, os.O_RDONLY | os.O_DIRECTORY) as fd:
        name = f"/proc/self/fd/{fd}/s"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(name)
            listener.listen()
            assert stat.S_ISSOCK((top / "s").stat().st_mode)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(name)
                accepted, _ = listener.accept()
                with accepted:
                    client.sendall(b"hello")
                    assert accepted.recv(10) == b"hello"
            with socket.socket(socket.AF_UNIX) as second, fails_with(errno.EADDRINUSE):
                second.bind(name)
            os.rename(top / "s", top / "t")
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"/proc/self/fd/{fd}/t")
        with socket.socket(socket.AF_UNIX) as client, fails_with(errno.ECONNREFUSED):
            client.connect(f"/proc/self/fd/{fd}/t")
        with fails_with(errno.ENXIO):
            os.open(top / "t", os.O_RDWR)


@case
def sockets_ask_for_permission(top: Path) -> None:
    needs_root()
    os.chmod(top, 0o777)  # noqa: S103 - everybody binds here
    name = str(top / "s")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        os.chmod(name, 0o700)

        def refused() -> None:
            with socket.socket(socket.AF_UNIX) as client, fails_with(errno.EACCES):
                client.connect(name)

        OUTSIDER.does(refused)


@case
def device_nodes(top: Path) -> None:
    needs_root()
    os.mknod(top / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(top / "far", 0o600 | stat.S_IFBLK, os.makedev(4095, 1_048_575))
    assert os.lstat(top / "null").st_rdev == os.makedev(1, 3)
    assert os.lstat(top / "far").st_rdev == os.makedev(4095, 1_048_575)
    os.rename(top / "null", top / "nothing")
    os.link(top / "nothing", top / "linked")
    assert stat.S_ISCHR((top / "linked").stat().st_mode)
    os.chmod(top, 0o777)  # noqa: S103 - others try here

    def ordinary() -> None:
        for kind in (stat.S_IFCHR, stat.S_IFBLK):
            with fails_with(errno.EPERM):
                os.mknod(top / "x", 0o666 | kind, os.makedev(1, 3))

    MEMBER.does(ordinary)
