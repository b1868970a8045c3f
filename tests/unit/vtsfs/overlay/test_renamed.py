"""What is made durable behind its caller's back: bounded, and nothing is left open."""

import logging
import os
from pathlib import Path

import trio

from tests.support.expected_logs import ExpectedLogs
from tests.support.waiting import wait_until_async
from vtsfs.overlay.inodes import InodeTable
from vtsfs.overlay.renamed import RenamedFiles


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_files_and_directories_and_nothing_is_left_open(backing: Path) -> None:
    (backing / "X00001").write_bytes(b"x")
    table = InodeTable(backing)
    before = descriptors()
    async with trio.open_nursery() as nursery:
        files = RenamedFiles(nursery)
        for name in (b"X00001", b"BILL", b"gone"):
            files.make_durable(table.root, name)
        assert descriptors() > before
    assert descriptors() == before
    table.close()


async def test_so_many_wait_and_no_more(backing: Path, expect_log: ExpectedLogs) -> None:
    expect_log("X00001, renamed, is not made durable at once: the vault's disk is too slow")
    (backing / "X00001").write_bytes(b"x")
    table = InodeTable(backing)
    async with trio.open_nursery() as nursery:
        files = RenamedFiles(nursery, most_waiting=2)
        before = descriptors()
        for _ in range(3):
            files.make_durable(table.root, b"X00001")
        assert descriptors() == before + 4
    table.close()


async def test_whoever_has_had_a_turn_waits_no_more(backing: Path) -> None:
    (backing / "X00001").write_bytes(b"x")
    table = InodeTable(backing)
    async with trio.open_nursery() as nursery:
        files = RenamedFiles(nursery, most_waiting=1)
        before = descriptors()
        for _ in range(3):
            files.make_durable(table.root, b"X00001")
            await wait_until_async(lambda: descriptors() == before, 5, "the file is durable")
    table.close()


async def test_what_cannot_be_synced_is_said(backing: Path, expect_log: ExpectedLogs) -> None:
    expect_log("X00001, renamed, could not be made durable: Invalid argument", logging.ERROR)
    os.mkfifo(backing / "X00001")
    table = InodeTable(backing)
    before = descriptors()
    async with trio.open_nursery() as nursery:
        RenamedFiles(nursery).make_durable(table.root, b"X00001")
    assert descriptors() == before
    table.close()
