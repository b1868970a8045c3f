"""What a whole file holds: how it is named, and which way it is had."""

import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from copyagent.core.copying import PublishedCopy, TargetStamp
from copyagent.transfer.attempt import Attempt
from copyagent.transfer.chunks import MapBuilder
from copyagent.transfer.content import Content, content_of_source, content_of_target, map_source
from copyagent.transfer.source import open_tape
from tests.support.copy_rig import CopyRig
from vtsfs.contract.signals import Identity

pytestmark = pytest.mark.ssh

MIB = 1 << 20
SIZE = 9 * MIB


@pytest.fixture
async def attempt(rig: CopyRig) -> AsyncIterator[Attempt]:
    """Connect, with a tape that is long enough for a command to pay, and an equal one there."""
    content = os.urandom(SIZE)
    rig.write(content)
    rig.published().parent.mkdir()
    rig.published().write_bytes(content)
    with open_tape(rig.backing, rig.job().tape) as source:
        async with rig.connect() as target:
            yield rig.attempt(source, target)


def copy_of(content: bytes, *, root: bool, sha256: bool) -> PublishedCopy:
    builder = MapBuilder(len(content))
    builder.feed(0, content)
    return PublishedCopy(
        generation=1,
        source=Identity(1, 2, len(content), 3, 4),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest() if sha256 else "",
        stamp=TargetStamp(len(content), 5),
        verified="size",
        root=builder.result().root if root else "",
    )


async def test_a_command_is_enough_where_all_that_is_known_has_its_digest(
    rig: CopyRig, attempt: Attempt
) -> None:
    content = rig.tape().read_bytes()
    there = await content_of_target(attempt, SIZE, [copy_of(content, root=False, sha256=True)])
    assert (there.how, there.root) == ("sha256", "")
    assert there.sha256 == hashlib.sha256(content).hexdigest()
    here = await content_of_source(attempt, there)
    assert there.equals(here)
    assert here.chunk_map is not None
    assert there.is_of(copy_of(content, root=True, sha256=True))
    assert not there.is_of(copy_of(content, root=True, sha256=False)), "no digest in common"
    assert there.short.startswith("SHA-256 ")


async def test_it_is_read_back_where_a_map_alone_tells(rig: CopyRig, attempt: Attempt) -> None:
    content = rig.tape().read_bytes()
    there = await content_of_target(attempt, SIZE, [copy_of(content, root=True, sha256=False)])
    assert there.how == "readback"
    assert there.is_of(copy_of(content, root=True, sha256=False))
    assert there.is_of(copy_of(content, root=False, sha256=True)), "as of the former release"
    assert not there.is_of(copy_of(content[:-1] + b"x", root=True, sha256=False))
    assert there.equals(await content_of_source(attempt, there))


async def test_another_content_of_the_same_size_is_told_without_a_map(
    rig: CopyRig, attempt: Attempt
) -> None:
    rig.published().write_bytes(os.urandom(SIZE))
    there = await content_of_target(attempt, SIZE, [])
    here = await content_of_source(attempt, there)
    assert here.chunk_map is None
    assert not there.equals(here)


@pytest.mark.parametrize("size", [0, 1, SIZE - 1, 5 * MIB])
async def test_a_file_that_became_shorter_meanwhile_is_nothing_that_is_known(
    rig: CopyRig, attempt: Attempt, size: int
) -> None:
    content = rig.tape().read_bytes()
    os.truncate(rig.published(), size)
    known = copy_of(content, root=True, sha256=False)
    there = await content_of_target(attempt, SIZE, [known])
    assert not there.is_of(known)
    assert not there.equals(Content(SIZE))


async def test_no_chunk_is_read_twice_for_the_map(rig: CopyRig, attempt: Attempt) -> None:
    chunk_map = await map_source(attempt)
    first = chunk_map.digest(0)
    attempt.digests[0] = bytes(32)
    assert (await map_source(attempt)).digest(0) == bytes(32)
    attempt.digests[0] = first
    assert (await map_source(attempt)).root == chunk_map.root


def test_two_contents_without_a_digest_in_common_are_not_equal() -> None:
    assert not Content(5).equals(Content(5))
    assert not Content(5, sha256="ab").equals(Content(5))
    copy = copy_of(b"12345", root=False, sha256=False)
    assert not Content(5).is_of(copy)
    assert not Content(5).is_of(replace(copy, size=6))
