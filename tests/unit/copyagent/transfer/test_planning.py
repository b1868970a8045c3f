"""What is known here and there, put together; on real files, over a real server."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.changes import Change
from copyagent.core.copying import CopyDone, CopyJob, PublishedCopy
from copyagent.transfer import chunks, manifest
from copyagent.transfer.chunks import MapBuilder
from copyagent.transfer.source import identity_of
from tests.support.copy_rig import CopyRig

pytestmark = pytest.mark.ssh

CHUNK = 256 * 1024
SIZE = 4 * CHUNK


async def first_copy(rig: CopyRig) -> PublishedCopy:
    rig.write(os.urandom(SIZE))
    done = await rig.copy(rig.job())
    assert isinstance(done, CopyDone)
    return done.copy


def changed(rig: CopyRig, base: PublishedCopy, at: int, data: bytes) -> CopyJob:
    """Change the tape; return the order for its next generation, with what the overlay saw."""
    with rig.tape().open("r+b") as tape:
        tape.seek(at)
        tape.write(data)
    job = rig.job(generation=base.generation + 1)
    assert job.identity is not None
    change = Change(job.generation, base.source, job.identity, ((at, at + len(data)),))
    return replace(job, base=base, changes=(change,))


async def test_what_the_overlay_saw_is_sent(rig: CopyRig) -> None:
    base = await first_copy(rig)
    done = await rig.copy(changed(rig, base, CHUNK + 5, b"changed"))
    assert isinstance(done, CopyDone)
    assert (done.way, done.sent) == ("extents", 4096)
    assert rig.published().read_bytes() == rig.tape().read_bytes()


async def test_without_a_chain_the_digests_decide(rig: CopyRig) -> None:
    base = await first_copy(rig)
    job = replace(changed(rig, base, CHUNK + 5, b"changed"), changes=())
    done = await rig.copy(job)
    assert isinstance(done, CopyDone)
    assert (done.way, done.sent) == ("digests", CHUNK)
    assert rig.published().read_bytes() == rig.tape().read_bytes()


async def test_a_record_that_only_the_target_has_vouches_for_its_bytes_and_for_nothing_else(
    rig: CopyRig,
) -> None:
    """Somebody's content stands there, with a record that says it was our first generation."""
    base = await first_copy(rig)
    job = changed(rig, base, CHUNK + 5, b"changed")
    content = os.urandom(SIZE)
    builder = MapBuilder(SIZE)
    builder.feed(0, content)
    forged = replace(base, root=builder.result().root, sha256="")
    rig.published().write_bytes(content)
    layout = rig.layout()
    Path(layout.map(forged.root)).write_bytes(chunks.encode(builder.result()))
    Path(layout.manifest).write_bytes(manifest.encode(layout.tape, forged))
    done = await rig.copy(job)
    assert isinstance(done, CopyDone)
    assert rig.published().read_bytes() == rig.tape().read_bytes()
    assert identity_of(os.lstat(rig.tape())) == done.copy.source
