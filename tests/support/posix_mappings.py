"""POSIX cases: mappings of files, and copies that the kernel makes."""

import errno
import mmap
import os
import subprocess
from pathlib import Path

from tests.support.posix_case import apart, case, fails_with, for_everyone, opened

_PAGE = 4096


@for_everyone
def mapped_shared_write(top: Path) -> None:
    (top / "a").write_bytes(bytes(2 * _PAGE))
    with opened(top / "a", os.O_RDWR) as fd, mmap.mmap(fd, 2 * _PAGE) as mapped:
        mapped[_PAGE : _PAGE + 4] = b"mmap"
        mapped.flush()
        assert os.pread(fd, 4, _PAGE) == b"mmap"
    assert (top / "a").read_bytes()[_PAGE : _PAGE + 4] == b"mmap"


@for_everyone
def mapped_read(top: Path) -> None:
    (top / "a").write_bytes(b"x" * 5000)
    with (
        opened(top / "a", os.O_RDONLY) as fd,
        mmap.mmap(fd, 0, prot=mmap.PROT_READ) as mapped,
    ):
        assert mapped[:] == b"x" * 5000


@for_everyone
def mapped_privately(top: Path) -> None:
    (top / "a").write_bytes(b"x" * _PAGE)
    for flags in (os.O_RDONLY, os.O_RDWR):
        with (
            opened(top / "a", flags) as fd,
            mmap.mmap(fd, _PAGE, flags=mmap.MAP_PRIVATE) as mapped,
        ):
            mapped[:4] = b"mine"
            assert os.pread(fd, 4, 0) == b"xxxx"
    assert (top / "a").read_bytes() == b"x" * _PAGE


@for_everyone
def mappings_see_writes_and_writes_see_mappings(top: Path) -> None:
    (top / "a").write_bytes(bytes(4 * _PAGE))
    with (
        opened(top / "a", os.O_RDWR) as fd,
        mmap.mmap(fd, 4 * _PAGE) as mapped,
        opened(top / "a", os.O_RDWR) as other,
        mmap.mmap(other, 4 * _PAGE) as twin,
        opened(top / "a", os.O_WRONLY) as writer,
        opened(top / "a", os.O_RDONLY) as reader,
    ):
        for n, through in enumerate((fd, other, writer)):
            os.pwrite(through, b"written", n * _PAGE + 100)
            assert mapped[n * _PAGE + 100 : n * _PAGE + 107] == b"written"
            assert twin[n * _PAGE + 100 : n * _PAGE + 107] == b"written"
        mapped[10:16] = b"mapped"
        for through in (fd, other, reader):
            assert os.pread(through, 6, 10) == b"mapped"
        assert twin[10:16] == b"mapped"
        # A write into a page that a mapping has changed keeps the change.
        os.pwrite(writer, b"beside", 16)
        assert mapped[10:22] == b"mappedbeside"
    assert (top / "a").read_bytes()[10:22] == b"mappedbeside"


@for_everyone
def mapped_while_it_grows_and_shrinks(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, _PAGE)
        with mmap.mmap(fd, _PAGE) as mapped:
            mapped[:] = b"m" * _PAGE
            os.ftruncate(fd, 100)
            os.ftruncate(fd, _PAGE)
            assert mapped[:200] == b"m" * 100 + bytes(100)
            os.pwrite(fd, b"more", _PAGE)
            assert os.fstat(fd).st_size == _PAGE + 4
        with mmap.mmap(fd, _PAGE + 4) as mapped:
            assert mapped[_PAGE:] == b"more"


@for_everyone
def a_mapping_outlives_its_descriptor(top: Path) -> None:
    def write() -> None:
        with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
            os.ftruncate(fd, _PAGE)
            mapped = mmap.mmap(fd, _PAGE)
        mapped[:5] = b"later"
        os.unlink(top / "b")
        # And the process ends without msync(2) or munmap(2).

    (top / "b").write_bytes(b"")
    apart(write)
    assert not (top / "b").exists()
    assert (top / "a").read_bytes()[:5] == b"later"


@for_everyone
def an_unlinked_file_stays_mapped(top: Path) -> None:
    (top / "a").write_bytes(b"x" * _PAGE)
    with opened(top / "a", os.O_RDWR) as fd, mmap.mmap(fd, _PAGE) as mapped:
        os.unlink(top / "a")
        mapped[:4] = b"gone"
        mapped.flush()
        assert os.pread(fd, 4, 0) == b"gone"


@for_everyone
def mappings_need_the_right_access(top: Path) -> None:
    (top / "a").write_bytes(b"x" * _PAGE)
    with opened(top / "a", os.O_WRONLY) as fd:
        for flags in (mmap.MAP_SHARED, mmap.MAP_PRIVATE):
            with fails_with(errno.EACCES):
                mmap.mmap(fd, _PAGE, flags=flags, prot=mmap.PROT_READ)
    with opened(top / "a", os.O_RDONLY) as fd, fails_with(errno.EACCES):
        mmap.mmap(fd, _PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE)


@for_everyone
def copied_with_the_kernel(top: Path) -> None:
    data = b"0123456789" * 10_000
    (top / "a").write_bytes(data)
    with (
        opened(top / "a", os.O_RDONLY) as source,
        opened(top / "b", os.O_WRONLY | os.O_CREAT) as to,
    ):
        left = len(data)
        while left:
            left -= os.sendfile(to, source, None, left)
    assert (top / "b").read_bytes() == data


@for_everyone
def copied_by_range(top: Path) -> None:
    data = os.urandom(300_000)
    (top / "a").write_bytes(data)
    with (
        opened(top / "a", os.O_RDONLY) as source,
        opened(top / "b", os.O_RDWR | os.O_CREAT) as to,
    ):
        done = 0
        while done < 200_000:
            done += os.copy_file_range(source, to, 200_000 - done, 50_000 + done, 7 + done)
        assert os.pread(to, 300_000, 7) == data[50_000:250_000]
        assert os.copy_file_range(source, to, 1, 300_000) == 0
        with fails_with(errno.EBADF):
            os.copy_file_range(to, source, 1)
        with fails_with(errno.EINVAL):
            os.copy_file_range(to, to, 100, 0, 50)
        assert os.copy_file_range(to, to, 100, 7, 250_000) == 100
        assert os.pread(to, 100, 250_000) == data[50_000:50_100]


@for_everyone
def copied_out_of_the_file_system_and_in(top: Path) -> None:
    (top / "a").write_bytes(b"0123456789")
    with opened("/dev/shm", os.O_RDWR | os.O_TMPFILE) as outside:
        with opened(top / "a", os.O_RDWR) as fd:
            assert os.sendfile(outside, fd, 0, 10) == 10
            assert os.pread(outside, 10, 0) == b"0123456789"
            os.lseek(fd, 0, os.SEEK_END)
            assert os.sendfile(fd, outside, 5, 5) == 5
            # Between file systems of different kinds cp(1) and others are prepared for this.
            with fails_with(errno.EXDEV):
                os.copy_file_range(fd, outside, 10)
    assert (top / "a").read_bytes() == b"012345678956789"


@for_everyone
def spliced_through_a_pipe(top: Path) -> None:
    (top / "a").write_bytes(b"0123456789" * 500)
    with (
        opened(top / "a", os.O_RDONLY) as source,
        opened(top / "b", os.O_RDWR | os.O_CREAT) as to,
    ):
        end, begin = os.pipe()
        try:
            assert os.splice(source, begin, 4000, offset_src=1) == 4000
            assert os.splice(end, to, 4000, offset_dst=3) == 4000
            os.write(begin, b"straight")
            assert os.splice(end, to, 100, offset_dst=0) == 8
        finally:
            os.close(begin)
            os.close(end)
        copied = (b"0123456789" * 500)[1:4001]
        assert os.pread(to, 5000, 0) == b"straight" + copied[5:]


@case
def a_program_runs_from_here(top: Path) -> None:
    program = top / "true"
    program.write_bytes(Path("/bin/true").read_bytes())
    os.chmod(program, 0o700)
    assert subprocess.run([program], check=False).returncode == 0
    with opened(program, os.O_WRONLY), fails_with(errno.ETXTBSY):
        os.posix_spawn(str(program), ["true"], {})
    os.chmod(program, 0o600)
    with fails_with(errno.EACCES):
        os.posix_spawn(str(program), ["true"], {})
