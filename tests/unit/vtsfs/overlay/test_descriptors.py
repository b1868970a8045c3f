import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vtsfs.overlay.descriptors import RESERVE, affordable, expect_room, is_scarce, most_held


@contextmanager
def limit_of_descriptors(soft: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_quarter_of_the_descriptors_is_for_files_that_are_not_open() -> None:
    with limit_of_descriptors(400):
        assert most_held() == 100


def test_the_last_descriptors_are_not_given_to_opens() -> None:
    fd = os.open("/", os.O_RDONLY)
    with limit_of_descriptors(fd + RESERVE + 1):
        assert affordable(fd) == fd
    with limit_of_descriptors(fd + RESERVE), pytest.raises(OSError, match="Too many") as caught:
        affordable(fd)
    assert caught.value.errno == errno.EMFILE
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_what_creates_asks_first() -> None:
    with limit_of_descriptors(4096):
        before = len(os.listdir("/proc/self/fd"))
        expect_room(0)
        assert len(os.listdir("/proc/self/fd")) == before
    fd = os.open("/", os.O_RDONLY)
    os.close(fd)
    with limit_of_descriptors(fd + 2 * RESERVE):
        assert is_scarce(fd)
        assert not is_scarce(fd - 1)
        expect_room(0)
    with limit_of_descriptors(fd + RESERVE), pytest.raises(OSError, match="Too many"):
        expect_room(0)
