"""Whole contents over a real connection, at sizes around a block and a window."""

import hashlib
import os

import pytest

from copyagent.transfer.source import SourceDiffers, open_tape
from copyagent.transfer.streams import digest_file, digest_source, send
from copyagent.transfer.target import TargetError
from tests.support.copy_rig import CopyRig

pytestmark = pytest.mark.ssh

BLOCK = 1000


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 200 * BLOCK + 7, 5_000_000])
async def test_what_is_sent_is_what_is_read_back(rig: CopyRig, size: int) -> None:
    content = os.urandom(size)
    rig.write(content)
    sent: list[int] = []
    read: list[int] = []
    block = BLOCK if size < 1_000_000 else 200_000
    with open_tape(rig.backing, rig.job().tape) as source:
        async with rig.connect() as target:
            file = await target.create(str(rig.vault / "stage"))
            digests = await send(source, file, block=block, patience_s=10, report=sent.append)
            back = await digest_file(file, size, block=block, patience_s=10, report=read.append)
        assert await digest_source(source, lambda _: None) == digests
    assert (rig.vault / "stage").read_bytes() == content
    assert digests == back
    assert digests.sha256 == hashlib.sha256(content).hexdigest()
    assert sent == sorted(sent)
    assert sent[-1] == read[-1] == size


async def test_a_file_shorter_than_expected_gives_another_digest(rig: CopyRig) -> None:
    (rig.vault / "short").write_bytes(b"x" * 2500)
    async with rig.connect() as target:
        file = await target.open(str(rig.vault / "short"))
        back = await digest_file(file, 4000, block=BLOCK, patience_s=10, report=lambda _: None)
    assert back.sha256 == hashlib.sha256(b"x" * 2500).hexdigest()


async def test_many_failing_requests_are_one_failure(rig: CopyRig) -> None:
    rig.write(bytes(100 * BLOCK))
    (rig.vault / "read-only").write_bytes(b"")
    async with rig.connect() as target:
        file = await target.open(str(rig.vault / "read-only"))
        with open_tape(rig.backing, rig.job().tape) as source, pytest.raises(TargetError):
            await send(source, file, block=BLOCK, patience_s=10, report=lambda _: None)
        assert await target.lstat("/") is not None, "the connection still works"


async def test_a_source_that_shrinks_while_it_is_read(rig: CopyRig) -> None:
    path = rig.write(bytes(9_000_000))
    with open_tape(rig.backing, rig.job().tape) as source:
        os.truncate(path, 5_000_000)
        async with rig.connect() as target:
            file = await target.create(str(rig.vault / "stage"))
            with pytest.raises(SourceDiffers):
                await send(source, file, block=200_000, patience_s=10, report=lambda _: None)
