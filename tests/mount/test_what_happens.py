"""What happens to a tape, and which signals tell of it: the table of DESIGN.md, section 9, played.

Each row starts with two tapes that nobody has heard of yet, and the signals of readers are left out
but where the row is about one.
"""

import ctypes
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.attached_vault import POOL, Follower, Vault, attached_vault
from tests.support.posix_case import opened
from tests.support.scratch import scratch_directory
from vtsfs.contract.signals import Access, Kind, Signal

OLD = b"what was on the tape before"
ELSE = "PAY"

_ROUNDS = itertools.count(1)


@dataclass(frozen=True)
class Scene:
    """The mounted directory of a pool with the tapes *a* and *b*, and one of another pool."""

    pool: Path
    other: Path
    a: str
    b: str

    @property
    def tape(self) -> Path:
        return self.pool / self.a

    @property
    def second(self) -> Path:
        return self.pool / self.b


@pytest.fixture(scope="module")
def vault() -> Iterator[Vault]:
    with scratch_directory() as top, attached_vault(top) as attached:
        (attached.backing / ELSE).mkdir()
        yield attached


@pytest.fixture
def feed(vault: Vault) -> Iterator[Follower]:
    with vault.follow_from_now() as follower:
        yield follower


@pytest.fixture
def scene(vault: Vault) -> Scene:
    number = next(_ROUNDS)
    made = Scene(vault.pool, vault.mount / ELSE, f"A{number:05}", f"B{number:05}")
    for label in (made.a, made.b):
        (vault.backing / POOL / label).write_bytes(OLD)
    return made


Act = Callable[[Scene], None]
ROWS: list[tuple[Act, list[str]]] = []


def row(*expected: str) -> Callable[[Act], Act]:
    """Enter what happens; *expected* are the signals as `in_words` writes them."""

    def enter(act: Act) -> Act:
        ROWS.append((act, list(expected)))
        return act

    return enter


def in_words(signal: Signal, scene: Scene) -> str:
    """Write down what a signal says, with A and B for the names of the scene."""
    kind = f"{signal.kind}" if signal.access is Access.WRITE else f"read-{signal.kind}"
    words = [kind, signal.label or f"({signal.pool})"]
    if signal.cause:
        words.append(signal.cause)
    if signal.origin:
        words.append(f"from {signal.origin.removeprefix(f'/{signal.vault}/')}")
    if signal.kind in {Kind.DISMOUNTED, Kind.CHANGED}:
        words.append("wrote" if signal.wrote else "unwritten")
        words.append("any" if signal.extents is None else str(list(signal.extents)))
    if signal.identity is None:
        words.append("gone")
    return " ".join(words).replace(scene.a, "A").replace(scene.b, "B")


def act_write(path: Path, data: bytes = b"new", flags: int = os.O_RDWR) -> None:
    with opened(path, flags) as fd:
        os.write(fd, data)


# ---- opened --------------------------------------------------------------------------------------


@row("mounted A", "dismounted A unwritten []")
def opened_for_writing_and_nothing_written(at: Scene) -> None:
    with opened(at.tape, os.O_RDWR) as fd:
        os.read(fd, 10)


@row("mounted A", "dismounted A unwritten []")
def touched(at: Scene) -> None:
    """touch(1) opens for writing, if only to see that the file is there."""
    with opened(at.tape, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK) as fd:
        os.utime(fd)


@row("mounted A", "dismounted A wrote [(0, 3)]")
def written(at: Scene) -> None:
    act_write(at.tape)


@row("mounted A", f"dismounted A wrote [({len(OLD)}, {len(OLD) + 3})]")
def appended(at: Scene) -> None:
    act_write(at.tape, flags=os.O_WRONLY | os.O_APPEND)


@row("mounted A", f"dismounted A wrote [(0, {len(OLD)})]")
def emptied_by_o_trunc(at: Scene) -> None:
    with opened(at.tape, os.O_WRONLY | os.O_TRUNC):
        pass


@row("changed A2 create wrote any", "mounted A2", "dismounted A2 unwritten []")
def an_empty_tape_emptied(at: Scene) -> None:
    os.mknod(at.pool / f"{at.a}2")
    with opened(at.pool / f"{at.a}2", os.O_WRONLY | os.O_TRUNC):
        pass


@row("mounted A2 create", "dismounted A2 create unwritten any")
def created_and_never_written(at: Scene) -> None:
    with opened(at.pool / f"{at.a}2", os.O_WRONLY | os.O_CREAT | os.O_EXCL):
        pass


@row("mounted A2 create", "dismounted A2 create wrote any")
def created_and_written(at: Scene) -> None:
    act_write(at.pool / f"{at.a}2", flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL)


# ---- without being opened ------------------------------------------------------------------------


@row("changed A truncate wrote [(5, 27)]")
def cut_by_path(at: Scene) -> None:
    os.truncate(at.tape, 5)


@row("changed A truncate wrote [(27, 40)]")
def grown_by_path(at: Scene) -> None:
    os.truncate(at.tape, 40)


@row("changed A times unwritten []")
def new_times(at: Scene) -> None:
    os.utime(at.tape, ns=(5, 7))


@row()
def new_mode_and_owner(at: Scene) -> None:
    os.chmod(at.tape, 0o600)
    os.chown(at.tape, os.geteuid(), os.getegid())


@row("changed A2 create wrote any")
def made_by_mknod(at: Scene) -> None:
    os.mknod(at.pool / f"{at.a}2")


@row("moved A2 link")
def made_by_a_link(at: Scene) -> None:
    os.link(at.tape, at.pool / f"{at.a}2")


@row("moved A2 link", "removed A2 unlink gone")
def one_of_two_links_removed(at: Scene) -> None:
    os.link(at.tape, at.pool / f"{at.a}2")
    os.unlink(at.pool / f"{at.a}2")


# ---- renamed and removed -------------------------------------------------------------------------


@row("moved A2 rename from BILL/A")
def renamed(at: Scene) -> None:
    os.rename(at.tape, at.pool / f"{at.a}2")


@row("moved A2 rename from BILL/A", "read-dismounted A2 unwritten []")
def renamed_while_it_is_read(at: Scene) -> None:
    with opened(at.tape, os.O_RDONLY):
        os.rename(at.tape, at.pool / f"{at.a}2")


@row("mounted A", "moved A2 rename from BILL/A", "dismounted A2 wrote [(0, 3)]")
def renamed_while_it_is_written(at: Scene) -> None:
    with opened(at.tape, os.O_WRONLY) as fd:
        os.rename(at.tape, at.pool / f"{at.a}2")
        os.write(fd, b"new")


@row("moved A rename from BILL/A")
def moved_to_another_pool(at: Scene) -> None:
    """The one signal tells both pools: which of them is watched, the overlay does not know."""
    os.rename(at.tape, at.other / at.a)


@row("mounted A", "moved A rename from BILL/A", "dismounted A wrote [(0, 3)]")
def moved_to_another_pool_while_it_is_written(at: Scene) -> None:
    with opened(at.tape, os.O_WRONLY) as fd:
        os.rename(at.tape, at.other / at.a)
        os.write(fd, b"new")


@row("moved B rename-over from BILL/A")
def renamed_over_another(at: Scene) -> None:
    os.rename(at.tape, at.second)


@row("mounted B", "moved B rename-over from BILL/A", "dismounted B removed wrote [(0, 3)] gone")
def replaced_while_it_is_written(at: Scene) -> None:
    with opened(at.second, os.O_WRONLY) as fd:
        os.rename(at.tape, at.second)
        os.write(fd, b"new")


@row("removed A rename gone", "moved A rename")
def away_to_no_tape_s_name_and_back(at: Scene) -> None:
    os.rename(at.tape, at.pool / f"{at.a}.old")
    os.rename(at.pool / f"{at.a}.old", at.tape)


@row("removed A unlink gone")
def unlinked(at: Scene) -> None:
    os.unlink(at.tape)


@row("removed A unlink gone", "read-dismounted A removed unwritten [] gone")
def unlinked_while_it_is_read(at: Scene) -> None:
    with opened(at.tape, os.O_RDONLY):
        os.unlink(at.tape)


@row("mounted A", "removed A unlink gone", "dismounted A removed wrote [(0, 3)] gone")
def unlinked_while_it_is_written(at: Scene) -> None:
    with opened(at.tape, os.O_WRONLY) as fd:
        os.unlink(at.tape)
        os.write(fd, b"new")


@row(
    "mounted A",
    "removed A unlink gone",
    "mounted A create",
    "dismounted A removed unwritten [] gone",
    "dismounted A create wrote any",
)
def unlinked_and_made_anew_while_it_is_open(at: Scene) -> None:
    with ExitStack() as stack:
        new = -1
        with opened(at.tape, os.O_WRONLY):
            os.unlink(at.tape)
            new = stack.enter_context(opened(at.tape, os.O_WRONLY | os.O_CREAT))
        os.write(new, b"new")


@row("moved B rename from BILL/A", "moved A rename from BILL/B")
def exchanged(at: Scene) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    names = os.fsencode(at.tape), os.fsencode(at.second)
    assert libc.renameat2(here, names[0], here, names[1], exchange) == 0


@row("moved (PAY2) rename from PAY gone", "moved (PAY) rename from PAY2 gone")
def a_pool_renamed(at: Scene) -> None:
    os.rename(at.other, at.other.with_name("PAY2"))
    os.rename(at.other.with_name("PAY2"), at.other)


@pytest.mark.parametrize(("act", "expected"), ROWS, ids=[act.__name__ for act, _ in ROWS])
def test_what_is_told(
    vault: Vault, feed: Follower, scene: Scene, act: Act, expected: list[str]
) -> None:
    act(scene)
    # A reader's beginning is not told when its end follows at once.
    about_readers = any(words.startswith("read-") for words in expected)
    told: list[str] = []
    while len(told) < len(expected):
        signal = feed.next()
        is_reader = signal.session != "" and signal.access is Access.READ
        if not is_reader or (about_readers and signal.label.startswith(scene.a)):
            told.append(in_words(signal, scene))
    mark = f"M{scene.a}"
    os.mknod(vault.pool / mark)
    rest = feed.up_to(Kind.CHANGED, mark)[:-1]
    told += [in_words(s, scene) for s in rest if not (s.session and s.access is Access.READ)]
    assert told == expected
