"""A pool of 100,000 tapes, and more files than the overlay has descriptors."""

import errno
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.attached_vault import POOL, Vault, attached_vault
from tests.support.scratch import scratch_directory
from tests.support.waiting import wait_until

MANY = 100_000
#: What the overlay may take with so many tapes listed and 64 open, in MB.
LIMIT_MB = 80
#: Descriptors of a process that has few: 64 of them are kept back.
FEW = 256

_LIST_AND_STAT = """
import os, sys
with os.scandir(sys.argv[1]) as entries:
    for entry in entries:
        entry.stat(follow_symlinks=False)
"""


def fill(pool: Path, count: int) -> None:
    """Make empty tapes T00000 and so on."""
    top = os.open(pool, os.O_RDONLY)
    for number in range(count):
        os.mknod(f"T{number:05d}", 0o644, dir_fd=top)
    os.close(top)


def peak_memory_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) / 1024


def descriptors_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def ticks_of(pid: int) -> int:
    """Return the processor time a process has used, in clock ticks (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@contextmanager
def open_tapes(pool: Path, count: int, flags: int) -> Iterator[list[int]]:
    """Open T00000 and so on."""
    with ExitStack() as stack:
        opened = []
        for number in range(count):
            opened.append(os.open(pool / f"T{number:05d}", flags))
            stack.callback(os.close, opened[-1])
        yield opened


def longest_wait_while(command: subprocess.Popen[bytes], path: Path) -> float:
    """Return the longest time that a request to the mount took until *command* ended."""
    longest = 0.0
    while command.poll() is None:
        began = time.monotonic()
        os.statvfs(path)  # always asked of the overlay, never answered from the kernel's memory
        longest = max(longest, time.monotonic() - began)
        with suppress(subprocess.TimeoutExpired):
            command.wait(0.002)
    assert command.returncode == 0
    return longest


def test_a_pool_of_100_000_tapes(vault: Vault) -> None:
    fill(vault.backing / POOL, MANY)
    pid = vault.daemon().pid
    command = subprocess.Popen([sys.executable, "-c", _LIST_AND_STAT, str(vault.pool)])
    # 2 to 20 ms where the machine does nothing else.
    assert longest_wait_while(command, vault.mount) < 0.5
    assert vault.status()["known_files"] > MANY
    assert descriptors_of(pid) < 100
    with open_tapes(vault.pool, 64, os.O_RDWR) as opened:
        for fd in opened:
            os.write(fd, bytes(1 << 20))
        assert peak_memory_mb(pid) < LIMIT_MB
        ticks = ticks_of(pid)
        subprocess.run(["sleep", "0.5"], check=True)
        assert ticks_of(pid) == ticks, "idle means idle"
    assert sorted(os.listdir(vault.pool)) == [f"T{number:05d}" for number in range(MANY)]


@pytest.fixture(scope="module")
def few() -> Iterator[Vault]:
    """A vault whose overlay has few descriptors, and a pool of more files than that."""
    with scratch_directory() as top, attached_vault(top) as vault:
        resource.prlimit(vault.daemon().pid, resource.RLIMIT_NOFILE, (FEW, FEW))
        fill(vault.backing / POOL, 4 * FEW)
        yield vault


def test_more_files_than_descriptors(few: Vault) -> None:
    top = few.mount / "files"
    top.mkdir()
    paths = [top / f"file-{number:04d}" for number in range(4 * FEW)]
    for path in paths:
        path.write_bytes(path.name.encode())
        path.chmod(0o600)
    assert sorted(os.listdir(top)) == [path.name for path in paths]
    for path in reversed(paths):
        assert path.read_bytes() == path.name.encode()
        assert path.stat().st_mode & 0o777 == 0o600
        path.rename(path.with_name("renamed." + path.name))
    for path in paths:
        renamed = path.with_name("renamed." + path.name)
        assert (few.backing / "files" / renamed.name).read_bytes() == path.name.encode()
        renamed.unlink()
    assert os.listdir(few.backing / "files") == []


def test_more_directories_than_descriptors(few: Vault) -> None:
    top = few.mount / "directories"
    top.mkdir()
    deep = top
    for number in range(2 * FEW):
        (top / f"d{number}").mkdir()
        (top / f"d{number}" / "a.file").write_bytes(b"%d" % number)
        deep = deep / "deep"
        deep.mkdir()
    (deep / "a.file").write_bytes(b"deep")
    failures: list[OSError] = []
    found = sum(len(files) for _, _, files in os.walk(top, onerror=failures.append))
    assert (found, failures) == (2 * FEW + 1, [])
    for number in range(2 * FEW):
        assert (top / f"d{number}" / "a.file").read_bytes() == b"%d" % number
    assert (deep / "a.file").read_bytes() == b"deep"


def test_too_many_opens_fail_and_nothing_else(few: Vault) -> None:
    with open_tapes(few.pool, 10, os.O_RDWR) as opened, ExitStack() as stack:
        refused = 0
        for number in range(10, FEW):
            # Each refusal makes the overlay let go of what it holds without need.
            try:
                stack.enter_context((few.pool / f"T{number:05d}").open("rb"))
            except OSError as error:
                assert error.errno == errno.EMFILE  # noqa: PT017 - most of them succeed
                refused += 1
        assert 10 < refused < FEW - 30
        new = (few.pool / f"new.{number}" for number in range(FEW))
        with pytest.raises(OSError, match="Too many open files") as caught:
            any(stack.enter_context(path.open("xb")).closed for path in new)
        assert not (few.backing / POOL / Path(caught.value.filename).name).exists()
        # Neither those that are open, nor looking, nor the names suffer.
        for fd in opened:
            assert os.write(fd, b"data") == 4
            assert os.fstat(fd).st_size == 4
        assert (few.pool / "T01001").stat().st_size == 0
        (few.pool / "T01001").rename(few.pool / "T09999")
        (few.pool / "T01002").unlink()
        assert sum(name.startswith("T") for name in os.listdir(few.pool)) == 4 * FEW - 1
    wait_until(lambda: few.status()["open_files"] == 0, 10, "all are closed")
    (few.pool / "T01000").write_bytes(b"x")


# ------------------------------------------------------------- renamed behind the overlay's back


def test_a_name_leads_to_what_it_is_below(few: Vault) -> None:
    below = few.backing / POOL
    (below / "a").write_bytes(b"old")
    (below / "b").write_bytes(b"newer")
    assert (few.pool / "a").stat().st_size == 3
    (below / "a").rename(below / "c")
    (below / "b").rename(below / "a")
    # The kernel still believes the name to be the former file's, and asks by number.
    assert (few.pool / "a").read_bytes() == b"newer"
    assert (few.pool / "c").read_bytes() == b"old"


def test_who_looks_at_a_file_by_descriptor_never_sees_another(few: Vault) -> None:
    (few.pool / "looked-at").write_bytes(b"content of a")
    looking = os.open(few.pool / "looked-at", os.O_PATH)
    (few.pool / "looked-at").unlink()
    for number in range(50):
        (few.pool / f"new{number}").write_bytes(b"")
    found = os.fstat(looking)
    assert (found.st_size, found.st_nlink) == (12, 0)
    os.close(looking)


def test_a_number_that_is_another_file_s_now(few: Vault) -> None:
    below = few.backing / POOL
    (below / "looked-at").write_bytes(b"content")
    looking = os.open(few.pool / "looked-at", os.O_PATH)
    # As far as the overlay can tell, a was removed and b got its number.
    (below / "looked-at").rename(below / "other")
    assert (few.pool / "other").read_bytes() == b"content"
    with pytest.raises(FileNotFoundError):
        (few.pool / "looked-at").open("rb")
    with pytest.raises(OSError, match=r"Stale|Input/output"):
        os.fstat(looking)
    os.close(looking)
