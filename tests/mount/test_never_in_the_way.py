"""Host I/O goes on beside whatever is slow, hung, used up or over-eager."""

import errno
import os
import resource
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.attached_vault import POOL, VAULT, Follower, Vault, attached_vault
from tests.support.disks import memory_image, mounted_disk
from tests.support.injection import delay, injected
from tests.support.posix_case import close_dead, opened
from tests.support.processes import ProcessId
from tests.support.waiting import wait_until
from vtsfs.contract.signals import Kind
from vtsfs.inquiry import ask_daemon

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do that to a daemon")

#: How long the slow disk takes for one write.
SLOW_S = 1.6
#: How long an open waits for a commit that does not come; less is not to have waited for it.
COMMIT_S = 2.0


def told_by(vault: Vault) -> dict[str, Any]:
    told = ask_daemon(vault.settings.feed_socket(VAULT))
    assert told is not None, vault.log
    return told


def timed(action: Callable[[], object]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def memory_kib(process: ProcessId) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


# ---- subscribers ---------------------------------------------------------------------------------


def open_for_writing(vault: Vault, label: str) -> Callable[[], None]:
    def run() -> None:
        with opened(vault.pool / label, os.O_WRONLY | os.O_CREAT) as fd:
            os.write(fd, b"x")

    return run


def test_subscribers_that_never_read_are_not_noticed(vault: Vault) -> None:
    def measure(prefix: str, count: int) -> list[float]:
        return [timed(open_for_writing(vault, f"{prefix}{n:05}")) for n in range(count)]

    daemon = vault.daemon()
    measure("W", 20)
    alone = measure("A", 100)
    with ExitStack() as stack:
        for _ in range(20):
            # As agents that were stopped: subscribed, and then silent.
            stack.enter_context(vault.follow())
        wait_until(lambda: told_by(vault)["subscribers"] == 20, 10, "all have subscribed")
        before = memory_kib(daemon)
        beside = measure("B", 100)
        assert statistics.median(beside) < 3 * statistics.median(alone) + 0.01
        # Enough for every socket's buffer to be full many times over, had it been kept for them.
        measure("C", 300)
        grown = memory_kib(daemon) - before
    assert grown < 8 * 1024, f"{grown} KiB for what nobody reads"


def test_those_who_come_and_do_not_go_are_turned_away(vault: Vault) -> None:
    path = str(vault.settings.feed_socket(VAULT))
    with ExitStack() as stack:
        clients = []
        for _ in range(130):
            client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            # Without a time limit it waits for its turn in the listener's queue.
            client.connect(path)
            client.settimeout(10)
            clients.append(client)
        greeted = [bool(client.recv(10)) for client in clients]
        assert greeted.count(True) == 100
        (vault.pool / "X00001").write_bytes(b"served all the same")
    wait_until(lambda: ask_daemon(Path(path)), 10, "there is room again")


# ---- a slow disk ---------------------------------------------------------------------------------


class Rounds:
    """Rounds of the same actions, one after the other: when each began and when it was done."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []

    def add(self, begun: float) -> None:
        self._spans.append((begun, time.monotonic()))

    def went_on(self, since: float, until: float) -> bool:
        """Tell whether several were begun and done between the two.

        Whoever waits for what lasts from before *since* to after *until* does none. How long a
        round takes is the machine's affair, which has other work too.
        """
        return sum(since <= begun and done <= until for begun, done in self._spans) >= 3


@contextmanager
def rounds_of(*actions: Callable[[], object]) -> Iterator[Rounds]:
    """Do the *actions* all the time while the block runs."""
    over = threading.Event()
    rounds = Rounds()

    def run() -> None:
        while not over.is_set():
            begun = time.monotonic()
            for action in actions:
                action()
            rounds.add(begun)
            over.wait(0.01)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield rounds
    finally:
        over.set()
        thread.join()


def goes_on_beside(slow: Callable[[], object], rounds: Rounds) -> bool:
    """Do what the injected delay makes slow; tell whether the *rounds* went on meanwhile."""
    begun = time.monotonic()
    slow()
    done = time.monotonic()
    assert done - begun >= SLOW_S
    # The delay began some time after the call, and ended some time before it came back.
    return rounds.went_on(done - 0.8 * SLOW_S, done - 0.1)


@needs_root
def test_a_slow_tape_does_not_hold_up_the_others(vault: Vault, feed: Follower) -> None:
    slow, quick = vault.backing / POOL / "SLOW01", vault.backing / POOL / "QUICK1"
    for tape in (slow, quick):
        tape.write_bytes(bytes(100_000))
    with ExitStack() as stack:
        on_slow = stack.enter_context(opened(vault.pool / "SLOW01", os.O_RDWR))
        on_quick = stack.enter_context(opened(vault.pool / "QUICK1", os.O_RDWR))
        names = iter(range(1_000_000))
        with injected(vault.daemon(), slow, delay("pwrite64", seconds=SLOW_S)):
            # The first one nobody could foresee.
            os.pwrite(on_slow, b"1" * 50_000, 0)
            with rounds_of(
                lambda: os.pwrite(on_quick, b"q" * 28_672, 0),
                lambda: os.pread(on_quick, 4096, 50_000),
                lambda: os.path.exists(vault.pool / f"X{next(names)}"),
                lambda: os.statvfs(vault.mount),
            ) as others:
                assert goes_on_beside(lambda: os.pwrite(on_slow, b"2" * 50_000, 25_000), others)
                # In order: the later one counts where they overlap.
                os.pwrite(on_slow, b"3" * 1000, 40_000)
        os.fsync(on_slow)
        os.pwrite(on_slow, b"4", 99_999)
    wanted = b"1" * 25_000 + b"2" * 15_000 + b"3" * 1000 + b"2" * 34_000 + bytes(24_999) + b"4"
    assert slow.read_bytes() == wanted
    ended = feed.until(Kind.DISMOUNTED, "SLOW01")
    assert (ended.synced, ended.bytes_written) == (True, 101_001)


@needs_root
def test_a_slow_read_does_not_hold_up_the_others(vault: Vault) -> None:
    slow, quick = vault.backing / POOL / "SLOW01", vault.backing / POOL / "QUICK1"
    slow.write_bytes(os.urandom(4 << 20))
    quick.write_bytes(bytes(4096))
    with opened(slow, os.O_RDONLY) as fd:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    names = iter(range(1_000_000))
    with (
        injected(vault.daemon(), slow, delay("pread64", seconds=SLOW_S)),
        opened(vault.pool / "SLOW01", os.O_RDONLY) as on_slow,
        rounds_of(
            (vault.pool / "QUICK1").read_bytes,
            lambda: os.path.exists(vault.pool / f"X{next(names)}"),
        ) as others,
    ):
        assert goes_on_beside(lambda: os.pread(on_slow, 4096, 2 << 20), others)


@needs_root
def test_a_kill_during_a_slow_write_loses_nothing_acknowledged(vault: Vault) -> None:
    below = vault.backing / POOL / "SLOW01"
    below.write_bytes(b"")
    fd = os.open(vault.pool / "SLOW01", os.O_WRONLY)
    acknowledged = 0

    def write_on() -> None:
        nonlocal acknowledged
        with suppress(OSError):
            while True:
                acknowledged += os.pwrite(fd, os.urandom(10_000), acknowledged)

    writer = threading.Thread(target=write_on)
    with injected(vault.daemon(), below, delay("pwrite64", seconds=0.3)):
        writer.start()
        wait_until(lambda: acknowledged >= 20_000, 20, "some writes are acknowledged")
        vault.kill()
    writer.join(20)
    close_dead(fd)
    assert below.stat().st_size >= acknowledged >= 20_000


@needs_root
def test_two_hundred_opens_in_flight_and_a_stat_answers(scratch: Path) -> None:
    with (
        memory_image() as image,
        mounted_disk(image, scratch / "state") as disk,
        attached_vault(scratch) as vault,
    ):
        for number in range(200):
            (vault.backing / POOL / f"X{number:05}").touch()
        (vault.pool / "OLD001").write_bytes(b"old")
        failed: list[OSError] = []
        begun: list[float] = []
        ended: list[float] = []
        together = threading.Barrier(200)

        def open_one(number: int) -> None:
            together.wait(20)
            begun.append(time.monotonic())
            try:
                # Of tapes that are there: the kernel makes one new file after the other.
                with opened(vault.pool / f"X{number:05}", os.O_WRONLY) as fd:
                    ended.append(time.monotonic())
                    os.write(fd, b"x")
            except OSError as error:
                failed.append(error)

        threads = [threading.Thread(target=open_one, args=(n,)) for n in range(200)]
        names = iter(range(1_000_000))
        # All opens wait for a commit that does not come, until they have waited long enough.
        disk.freeze()
        with rounds_of(
            lambda: os.path.exists(vault.pool / f"Y{next(names)}"),
            (vault.pool / "OLD001").read_bytes,
        ) as others:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
        disk.thaw()
        assert failed == []
        assert max(begun) < min(ended), "they did not wait at the same time"
        assert others.went_on(max(begun), min(ended))
        wait_until(lambda: not told_by(vault)["outbox"]["failure"], 20, "it is well again")


# ---- logs ----------------------------------------------------------------------------------------


@needs_root
@pytest.mark.parametrize("how", ["frozen", "full"])
def test_words_for_the_operator_wait_for_their_disk_alone(scratch: Path, how: str) -> None:
    with memory_image() as image, mounted_disk(image, scratch / "d") as disk:
        vault = Vault(scratch)
        text = vault.config.read_text()
        for name in ("state", "run", "log"):
            text = text.replace(str(scratch / name), str(disk.point / name))
        vault.config.write_text(text)
        events = disk.point / "log" / "event.log"
        try:
            vault.attach()
            (disk.freeze if how == "frozen" else disk.fill)()
            # The first finds out that the outbox cannot be written, and that is to be told.
            open_for_writing(vault, "X00000")()
            for number in range(1, 20):
                assert timed(open_for_writing(vault, f"X{number:05}")) < COMMIT_S
            assert (vault.pool / "X00000").read_bytes() == b"x"
            (disk.thaw if how == "frozen" else disk.empty)()
            wait_until(lambda: not told_by(vault)["outbox"]["failure"], 20, "it is well again")
            vault.detach()
            assert "|224174|" in events.read_text()
            if how == "frozen":
                assert events.read_text().count("|824141|") == 1
        finally:
            with suppress(OSError):
                disk.thaw()
            vault.end()


def test_an_event_log_that_cannot_be_written_ends_nothing(scratch: Path) -> None:
    (scratch / "log").write_text("a file where the directory should be")
    with attached_vault(scratch) as vault:
        (vault.pool / "X00001").write_bytes(b"served all the same")
        vault.detach()
        assert "cannot be written" in (vault.top / "run" / f"vtsfs-{VAULT}.log").read_text()


# ---- descriptors ---------------------------------------------------------------------------------


@needs_root
def test_without_descriptors_an_open_fails_and_nothing_hangs(vault: Vault) -> None:
    daemon = vault.daemon()
    for number in range(400):
        (vault.backing / POOL / f"X{number:05}").write_bytes(b"here")
    with ExitStack() as stack:
        writing = stack.enter_context(opened(vault.pool / "X00399", os.O_RDWR))
        limit = len(os.listdir(f"/proc/{daemon.pid}/fd")) + 200
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, limit))
        refusals = []
        for number in range(399):
            try:
                stack.enter_context(opened(vault.pool / f"X{number:05}", os.O_RDONLY))
            except OSError as error:
                refusals.append(error.errno)
        assert set(refusals) == {errno.EMFILE}
        # What is open goes on, and so does who only looks.
        assert os.pwrite(writing, b"more", 4) == 4
        os.fsync(writing)
        assert os.stat(vault.pool / "X00398").st_size == 4
        assert len(os.listdir(vault.pool)) == 400
        assert told_by(vault)["attached"]
    (vault.pool / "NEW001").write_bytes(b"and again")
    assert vault.log.count("files cannot be opened until others are closed") == 1


@needs_root
def test_a_feed_without_descriptors_says_so_once_and_goes_on(vault: Vault) -> None:
    daemon = vault.daemon()
    taken = max(int(name) for name in os.listdir(f"/proc/{daemon.pid}/fd"))
    before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    assert taken > 3
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(vault.settings.feed_socket(VAULT)))
        client.settimeout(20)
        wait_until(lambda: "the feed can accept nobody" in vault.log, 10, "it is said")
        os.statvfs(vault.mount)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)
        assert client.recv(10)
    assert vault.log.count("the feed can accept nobody") == 1
    assert "Traceback" not in vault.log


# ---- idle ----------------------------------------------------------------------------------------


def ticks(process: ProcessId) -> int:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_an_idle_overlay_uses_no_processor(vault: Vault, feed: Follower) -> None:
    for number in range(1000):
        (vault.backing / POOL / f"X{number:05}").touch()
    for entry in os.scandir(vault.pool):
        entry.stat()
    (vault.pool / "X00001").write_bytes(b"0")
    feed.until(Kind.DISMOUNTED, "X00001")
    assert told_by(vault)["subscribers"] == 1
    daemon = vault.daemon()
    # The answer just given is still being cleared away.
    previous = -1
    while previous != (previous := ticks(daemon)):
        time.sleep(0.1)  # noqa: TID251 - it comes to rest
    begun, used = time.monotonic(), ticks(daemon)
    while time.monotonic() < begun + 3:
        time.sleep(0.5)  # noqa: TID251 - nothing is to happen
    assert ticks(daemon) == used
