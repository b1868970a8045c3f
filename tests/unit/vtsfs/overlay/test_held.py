import os

import pytest

from vtsfs.overlay.held import HeldFiles


class Descriptors:
    """Opens descriptors, and notes which of them were closed."""

    def __init__(self) -> None:
        self.closed: list[int] = []

    def new(self) -> int:
        return os.open("/", os.O_PATH)

    def close(self, fd: int) -> None:
        os.close(fd)
        self.closed.append(fd)


@pytest.fixture
def descriptors() -> Descriptors:
    return Descriptors()


def test_what_is_kept_is_not_counted_nor_let_go(descriptors: Descriptors) -> None:
    held: HeldFiles[str] = HeldFiles(2, descriptors.close)
    fd = descriptors.new()
    held.keep("a", fd)
    held.add("b", descriptors.new(), directory=False)
    assert len(held) == 1
    assert "a" in held
    held.trim(lambda _: True, 0)
    assert held.get("a") == fd
    assert "b" not in held
    assert held.get("b") is None
    held.keep_no_more("a")
    assert len(held) == 1
    held.trim(lambda _: True, 0)
    assert fd in descriptors.closed
    held.close()


def test_the_oldest_go_first_and_directories_last(descriptors: Descriptors) -> None:
    held: HeldFiles[str] = HeldFiles(3, descriptors.close)
    for name in ("d1", "f1", "d2", "f2", "f3"):
        held.add(name, descriptors.new(), directory=name.startswith("d"))
    assert held.too_many
    gone: list[str] = []
    for most in range(4, -1, -1):
        before = {name for name in ("d1", "d2", "f1", "f2", "f3") if name in held}
        held.trim(lambda _: True, most)
        gone += [name for name in before if name not in held]
    assert gone == ["f1", "f2", "f3", "d1", "d2"]
    held.close()


def test_what_may_not_go_puts_the_next_batch_off(descriptors: Descriptors) -> None:
    held: HeldFiles[int] = HeldFiles(16, descriptors.close)
    asked = 0

    def may_not_go(_: int) -> bool:
        nonlocal asked
        asked += 1
        return False

    for number in range(64):
        held.add(number, descriptors.new(), directory=False)
        if held.too_many:
            held.trim(may_not_go)
    assert len(held) == 64
    assert asked < 64 * 20
    held.trim(lambda _: True)
    assert len(held) == 14
    assert not held.too_many
    held.close()


def test_scarcity_lets_go_of_half(descriptors: Descriptors) -> None:
    held: HeldFiles[int] = HeldFiles(100, descriptors.close)
    for number in range(20):
        held.add(number, descriptors.new(), directory=False)
    due = [held.too_many]
    held.note_scarcity()
    due.append(held.too_many)
    held.trim(lambda _: True)
    due.append(held.too_many)
    assert due == [False, True, False]
    assert len(held) == 10
    held.close()


def test_closing_closes_all(descriptors: Descriptors) -> None:
    before = len(os.listdir("/proc/self/fd"))
    held: HeldFiles[int] = HeldFiles(10, descriptors.close)
    held.keep(1, descriptors.new())
    held.add(2, descriptors.new(), directory=True)
    held.close()
    assert len(held) == 0
    assert len(os.listdir("/proc/self/fd")) == before
