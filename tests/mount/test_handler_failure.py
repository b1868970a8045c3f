"""An error nobody foresaw costs one caller an EIO, and the vault nothing."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.mount.faulty_overlay import FAULTS
from tests.support.attached_vault import POOL, VAULT, Vault
from tests.support.posix_case import fails_with, opened
from tests.support.processes import Program
from tests.support.waiting import wait_until
from vtsfs.fuse.operations import Operations
from vtsfs.inquiry import ask_daemon

Handler = str
#: What ends without an answer that its caller would see.
UNSEEN = frozenset({"release", "releasedir", "forget"})


def with_file(action: Callable[[int], object]) -> Callable[[Path], object]:
    """Let *action* use an open file."""

    def run(pool: Path) -> object:
        with opened(pool / "OLD001", os.O_RDWR) as fd:
            os.pwrite(fd, b"new", 0)
            return action(fd)

    return run


def with_directory(action: Callable[[int], object]) -> Callable[[Path], object]:
    def run(pool: Path) -> object:
        with opened(pool, os.O_RDONLY | os.O_DIRECTORY) as fd:
            return action(fd)

    return run


def forgotten(pool: Path) -> None:
    """The kernel forgets a file that has lost its last name."""
    (pool / ".gone").touch()
    (pool / ".gone").unlink()


#: How each handler is reached.
WAYS: dict[Handler, Callable[[Path], object]] = {
    "lookup": lambda pool: os.stat(pool / "NEW001"),
    "forget": forgotten,
    "mknod": lambda pool: os.mknod(pool / ".fifo", 0o010600),
    "mkdir": lambda pool: os.mkdir(pool / "DIR"),
    "symlink": lambda pool: os.symlink("to", pool / ".link"),
    "link": lambda pool: os.link(pool / "OLD001", pool / "OLD002"),
    "unlink": lambda pool: os.unlink(pool / "OLD001"),
    "rmdir": lambda pool: os.rmdir(pool / "EMPTY"),
    "rename": lambda pool: os.rename(pool / "OLD001", pool / "OLD003"),
    "readlink": lambda pool: os.readlink(pool / "LINK"),
    "getattr": with_file(os.fstat),
    "setattr": lambda pool: os.chmod(pool / "OLD001", 0o600),
    "statfs": os.statvfs,
    "open": lambda pool: os.open(pool / "OLD001", os.O_RDONLY),
    "create": lambda pool: os.open(pool / "NEW001", os.O_WRONLY | os.O_CREAT),
    "read": with_file(lambda fd: os.pread(fd, 10, 0)),
    "write": with_file(lambda fd: os.pwrite(fd, b"new", 1)),
    "release": lambda pool: (pool / ".file").read_bytes(),
    "fsync": with_file(os.fsync),
    "opendir": os.listdir,
    "readdir": os.listdir,
    "releasedir": os.listdir,
    "fsyncdir": with_directory(os.fsync),
}


class Faulty:
    """A vault whose overlay can be given orders to fail."""

    def __init__(self, vault: Vault, program: Program) -> None:
        self.vault = vault
        self.program = program
        self._orders = vault.top / "fault"

    def order(self, handler: str, fault: str) -> None:
        whole = self._orders.with_name("fault.new")
        whole.write_text(f"{handler} {fault}")
        whole.replace(self._orders)

    def cease(self) -> None:
        with suppress(FileNotFoundError):
            self._orders.unlink()

    def failures_of(self, handler: str) -> int:
        told = ask_daemon(self.vault.settings.feed_socket(VAULT))
        assert told is not None, self.program.output()
        counts: dict[str, int] = told["unforeseen_errors"]
        return sum(count for kind, count in counts.items() if kind.startswith(f"{handler}: "))


@pytest.fixture
def faulty(scratch: Path) -> Iterator[Faulty]:
    vault = Vault(scratch)
    (vault.backing / POOL / "EMPTY").mkdir()
    (vault.backing / POOL / "LINK").symlink_to("to")
    (vault.backing / POOL / ".file").touch()
    command: list[str | Path] = [sys.executable, "-m", "tests.mount.faulty_overlay"]
    command += [vault.config, VAULT]
    with Program(command, scratch / "output", cwd=Path(__file__).parents[2]) as program:
        program.wait_for_output("224173", 20)
        yield Faulty(vault, program)


def test_every_handler_is_reached() -> None:
    answered_always = {"getxattr", "flush"}
    handlers = {name for name, found in vars(Operations).items() if hasattr(found, "__wrapped__")}
    assert handlers == set(WAYS)
    declared = {
        name for name, found in vars(Operations).items() if callable(found) and name[0] != "_"
    }
    assert declared - handlers == answered_always


def test_whatever_any_handler_raises_costs_one_caller_an_error(faulty: Faulty) -> None:
    pool = faulty.vault.pool
    faults = list(FAULTS)
    for number, (handler, way) in enumerate(WAYS.items()):
        (faulty.vault.backing / POOL / "OLD001").write_bytes(b"the mount lives")
        fault = faults[number % len(faults)]
        faulty.order(handler, fault)
        if handler in UNSEEN:
            way(pool)
            if fault != "odd":
                wait_until(partial(faulty.failures_of, handler), 10, f"{handler} has failed")
        else:
            with fails_with(errno.EIO):
                way(pool)
            if fault != "odd":
                # Of a read the kernel makes two: ahead, and then what was asked for alone.
                assert faulty.failures_of(handler) in {1, 2}, (handler, fault)
        faulty.cease()
        assert (pool / "OLD001").read_bytes().endswith(b"mount lives"), handler
    assert faulty.program.output().count("224173") == 1
    # A handle whose end was not heard is nobody's any more, and keeps nothing from being detached; the
    # end of others is heard some time after they were closed.
    wait_until(lambda: not faulty.vault.status()["open_tapes"], 20, "every end is heard")
    faulty.vault.detach()
    assert faulty.program.wait(20) == 0


def test_each_is_told_once_and_counted(faulty: Faulty) -> None:
    tape = faulty.vault.pool / "X00001"
    counted = 0
    for fault in FAULTS:
        faulty.order("create", fault)
        for _ in range(3):
            with fails_with(errno.EIO):
                tape.write_bytes(b"no")
        counted += 3 if fault != "odd" else 0
        assert faulty.failures_of("create") == counted
        faulty.cease()
        tape.write_bytes(fault.encode())
        assert tape.read_bytes() == fault.encode()
        tape.unlink()
    assert faulty.program.output().count("824142") == len(FAULTS) - 1
    faulty.vault.detach()
    assert faulty.program.wait(20) == 0


def test_a_task_beside_the_requests_that_fails_costs_its_own_work(faulty: Faulty) -> None:
    tape = faulty.vault.pool / "X00001"
    with opened(tape, os.O_WRONLY | os.O_CREAT) as fd:
        os.write(fd, b"as much as there is")
        faulty.order("background", "MemoryError")
    wait_until(
        lambda: "824142" in faulty.program.output(), 20, "the end of the session cannot be told"
    )
    with fails_with(errno.EIO):
        os.open(faulty.vault.pool / "X00002", os.O_WRONLY | os.O_CREAT)
    faulty.cease()
    assert tape.read_bytes() == b"as much as there is"
    for name in ("X00001", "X00002"):
        (faulty.vault.pool / name).write_bytes(b"again")
        assert (faulty.vault.pool / name).read_bytes() == b"again"
    wait_until(
        lambda: not (ask_daemon(faulty.vault.settings.feed_socket(VAULT)) or {}).get("open_tapes"),
        20,
        "no tape counts as open",
    )
    faulty.vault.detach()
    assert faulty.program.wait(20) == 0


def test_attributes_that_are_not_kept_are_refused_by_name(faulty: Faulty) -> None:
    tape = faulty.vault.pool / ".file"
    for name in ("user.x", "trusted.x", "fuse_stacktrace"):
        with fails_with(errno.ENOSYS, errno.EOPNOTSUPP):
            os.getxattr(tape, name)
        with fails_with(errno.ENOSYS, errno.EOPNOTSUPP):
            os.setxattr(tape, name, b"x")
        with fails_with(errno.ENOSYS, errno.EOPNOTSUPP):
            os.removexattr(tape, name)
    with fails_with(errno.ENOSYS, errno.EOPNOTSUPP):
        os.listxattr(tape)
    os.stat(tape)
