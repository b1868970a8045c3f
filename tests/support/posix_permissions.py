"""POSIX cases: owners, groups, set-id bits, and who may do what."""

# ruff: noqa: S103 - permissions are what these cases are about

import errno
import os
import socket
import stat
from pathlib import Path

from tests.support.posix_case import (
    ALONE,
    COLLEAGUE,
    GROUP,
    MEMBER,
    OTHER_GROUP,
    OUTSIDER,
    PEOPLE,
    ROOT,
    USER,
    case,
    fails_with,
    needs_root,
    opened,
    umask,
)


def make_everything(top: Path) -> None:
    """Make one of each kind in *top*."""
    with opened(top / "file", os.O_WRONLY | os.O_CREAT, 0o444) as fd:
        os.write(fd, b"x")
    os.mknod(top / "node", 0o644)
    os.mkdir(top / "dir", 0o755)
    os.symlink("file", top / "link")
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "socket"))
    os.link(top / "node", top / "linked")


EVERYTHING = ("file", "node", "dir", "link", "fifo", "socket", "linked")


@case
def access_follows_permissions(top: Path) -> None:
    needs_root()
    (top / "secret").write_bytes(b"x")
    os.chmod(top / "secret", 0o600)
    (top / "shared").write_bytes(b"x")
    os.chown(top / "shared", 0, OTHER_GROUP)
    os.chmod(top / "shared", 0o640)

    def stranger() -> None:
        with fails_with(errno.EACCES):
            os.open(top / "secret", os.O_RDONLY)
        with fails_with(errno.EACCES):
            os.open(top / "shared", os.O_RDONLY)
        with fails_with(errno.EACCES):
            os.open(top / "new", os.O_WRONLY | os.O_CREAT)
        with fails_with(errno.EACCES):
            os.truncate(top / "shared", 0)
        # What needs no permission of the file.
        with opened(top / "secret", os.O_PATH) as fd:
            assert os.fstat(fd).st_size == 1

    def member() -> None:
        assert (top / "shared").read_bytes() == b"x"
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC):
            with fails_with(errno.EACCES):
                os.open(top / "shared", flags)

    ALONE.does(stranger)
    MEMBER.does(member)
    os.chmod(top / "shared", 0o604)
    # The group's permissions are the members', also where others may do more.
    ALONE.does(lambda: _readable(top / "shared"))

    def shut_out() -> None:
        with fails_with(errno.EACCES):
            os.open(top / "shared", os.O_RDONLY)

    MEMBER.does(shut_out)


def _readable(path: Path) -> None:
    assert path.read_bytes() == b"x"


@case
def access_asks_for_the_real_user(top: Path) -> None:
    needs_root()
    (top / "secret").write_bytes(b"x")
    os.chmod(top / "secret", 0o600)
    (top / "program").write_bytes(b"")
    os.chmod(top / "program", 0o755)

    def set_id_program() -> None:
        # euid 0, as a set-user-ID program has it that some user started.
        os.setresgid(GROUP, 0, 0)
        os.setresuid(USER, 0, 0)
        assert not os.access(top / "secret", os.R_OK)
        assert os.access(top / "secret", os.R_OK, effective_ids=True)
        assert os.access(top / "program", os.R_OK | os.X_OK)
        assert not os.access(top / "program", os.W_OK)
        assert not os.access(top / "none", os.F_OK)
        with opened(top / "secret", os.O_RDONLY):
            pass

    ROOT.does(set_id_program)
    assert not os.access(top / "secret", os.X_OK)
    assert os.access(top / "secret", os.R_OK | os.W_OK)


@case
def new_things_belong_to_their_maker(top: Path) -> None:
    needs_root()
    for person in PEOPLE:
        place = top / person.name
        os.mkdir(place)
        os.chmod(place, 0o777)

        def make(place: Path = place) -> None:
            with umask(0o022):
                make_everything(place)

        person.does(make)
        for name in EVERYTHING:
            found = os.lstat(place / name)
            assert (found.st_uid, found.st_gid) == (person.uid, person.gid), name
        assert stat.S_IMODE((place / "file").stat().st_mode) == 0o444


@case
def the_effective_group_is_the_makers(top: Path) -> None:
    needs_root()
    os.chmod(top, 0o777)

    def make() -> None:
        os.setresgid(GROUP, OTHER_GROUP, GROUP)
        os.setresuid(USER, USER, USER)
        (top / "a").write_bytes(b"")

    ROOT.does(make)
    assert (top / "a").stat().st_gid == OTHER_GROUP


@case
def set_group_id_directory_gives_its_group(top: Path) -> None:
    needs_root()
    for person in (ROOT, ALONE, MEMBER):
        place = top / person.name
        os.mkdir(place)
        os.chown(place, 0, OTHER_GROUP)
        os.chmod(place, 0o2777)

        def make(place: Path = place) -> None:
            make_everything(place)
            with opened(place / "sg", os.O_WRONLY | os.O_CREAT, 0o2777):
                pass
            with opened(place / "sg-plain", os.O_WRONLY | os.O_CREAT, 0o2766):
                pass

        person.does(make)
        for name in EVERYTHING:
            assert os.lstat(place / name).st_gid == OTHER_GROUP, name
        assert (place / "dir").stat().st_mode & stat.S_ISGID
        # Only a member of the group, or root, may make a file that runs with its rights.
        allowed = person is not ALONE
        assert bool((place / "sg").stat().st_mode & stat.S_ISGID) == allowed
        assert (place / "sg-plain").stat().st_mode & stat.S_ISGID


@case
def supplementary_group_may_create(top: Path) -> None:
    needs_root()
    for name, mode in (("plain", 0o770), ("set-gid", 0o2770)):
        os.mkdir(top / name)
        os.chown(top / name, 0, OTHER_GROUP)
        os.chmod(top / name, mode)

    def make() -> None:
        for name in ("plain", "set-gid"):
            (top / name / "file").write_bytes(b"x")
            os.mkdir(top / name / "dir")
            (top / name / "dir" / "file").write_bytes(b"x")
            os.rename(top / name / "file", top / name / "dir" / "renamed")

    MEMBER.does(make)
    for name, gid in (("plain", GROUP), ("set-gid", OTHER_GROUP)):
        for made in ("dir", "dir/file", "dir/renamed"):
            found = (top / name / made).stat()
            assert (found.st_uid, found.st_gid) == (USER, gid)

    def stranger() -> None:
        with fails_with(errno.EACCES):
            os.open(top / "plain" / "x", os.O_WRONLY | os.O_CREAT)
        with fails_with(errno.EACCES):
            os.listdir(top / "plain")

    ALONE.does(stranger)


@case
def who_may_chown(top: Path) -> None:
    needs_root()
    (top / "a").write_bytes(b"x")
    os.chown(top / "a", USER, GROUP)

    def owner() -> None:
        os.chown(top / "a", USER, GROUP)
        os.chown(top / "a", -1, OTHER_GROUP)
        os.chown(top / "a", USER, GROUP)
        for uid, gid in ((0, -1), (OUTSIDER.uid, GROUP), (-1, OUTSIDER.gid), (-1, 0)):
            with fails_with(errno.EPERM):
                os.chown(top / "a", uid, gid)

    MEMBER.does(owner)

    def not_in_the_group() -> None:
        with fails_with(errno.EPERM):
            os.chown(top / "a", -1, OTHER_GROUP)

    ALONE.does(not_in_the_group)

    def not_the_owner() -> None:
        for uid, gid in ((-1, GROUP), (COLLEAGUE.uid, -1), (-1, COLLEAGUE.gid)):
            with fails_with(errno.EPERM):
                os.chown(top / "a", uid, gid)

    COLLEAGUE.does(not_the_owner)


@case
def who_may_chmod(top: Path) -> None:
    needs_root()
    os.chmod(top, 0o777)
    (top / "a").write_bytes(b"x")
    os.chmod(top / "a", 0o666)

    def stranger() -> None:
        with fails_with(errno.EPERM):
            os.chmod(top / "a", 0o777)
        (top / "mine").write_bytes(b"")
        os.chmod(top / "mine", 0o6755)
        os.chmod(top / "mine", 0o1644)

    ALONE.does(stranger)
    # The owner of a file of a group that is not theirs cannot make it run with the group's rights.
    os.chown(top / "a", USER, OTHER_GROUP)
    ALONE.does(lambda: os.chmod(top / "a", 0o2755))
    assert stat.S_IMODE((top / "a").stat().st_mode) == 0o755
    MEMBER.does(lambda: os.chmod(top / "a", 0o2755))
    assert stat.S_IMODE((top / "a").stat().st_mode) == 0o2755


@case
def sticky_directory(top: Path) -> None:
    needs_root()
    os.mkdir(top / "d")
    os.chmod(top / "d", 0o1777)
    (top / "d" / "roots").write_bytes(b"x")
    os.mkdir(top / "d" / "roots-dir")

    def stranger() -> None:
        with fails_with(errno.EPERM):
            os.unlink(top / "d" / "roots")
        with fails_with(errno.EPERM):
            os.rmdir(top / "d" / "roots-dir")
        (top / "d" / "mine").write_bytes(b"x")
        os.unlink(top / "d" / "mine")

    ALONE.does(stranger)
    os.chown(top / "d", USER, GROUP)

    def owner_of_the_directory() -> None:
        os.unlink(top / "d" / "roots")
        os.rmdir(top / "d" / "roots-dir")

    ALONE.does(owner_of_the_directory)


@case
def access_times_are_kept_by_owners_only(top: Path) -> None:
    needs_root()
    os.chmod(top, 0o777)
    (top / "roots").write_bytes(b"")
    os.chmod(top / "roots", 0o666)

    def ordinary() -> None:
        with fails_with(errno.EPERM):
            os.open(top / "roots", os.O_RDONLY | os.O_NOATIME)

    MEMBER.does(ordinary)
