"""The overlay of a small vault, called directly: no kernel, no outbox."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio

from tests.support.signal_sink import FixedClock, Sink
from vtsfs.contract.naming import NamePatterns
from vtsfs.overlay.caller import Caller
from vtsfs.overlay.inodes import Inode
from vtsfs.overlay.overlay import Overlay, VaultView

ME = Caller(os.geteuid(), os.getegid(), os.getpid())


@contextmanager
def backing_directory() -> Iterator[Path]:
    """Give a vault's directory with the pool BILL."""
    top = Path(tempfile.mkdtemp(prefix="vault-"))
    (top / "BILL").mkdir()
    try:
        yield top
    finally:
        shutil.rmtree(top)


@asynccontextmanager
async def overlay_on(
    backing: Path, sink: Sink | None = None
) -> AsyncIterator[tuple[Overlay, Sink]]:
    """Run an overlay on *backing*; when the block has ended, so have its sessions."""
    sink = sink or Sink()
    async with trio.open_nursery() as nursery:
        view = VaultView("VAULT00", backing, NamePatterns())
        overlay = Overlay(view, sink, FixedClock(), nursery)
        yield overlay, sink
    assert overlay.open_tapes() == []
    assert len(overlay.files) == 0
    overlay.close()


def find(overlay: Overlay, path: str) -> Inode:
    """Look a path up, as the kernel does: name by name."""
    inode = overlay.inodes.root
    for name in path.split("/"):
        inode, _ = overlay.names.lookup(inode, os.fsencode(name))
    return inode
