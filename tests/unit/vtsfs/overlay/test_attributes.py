from pathlib import Path

import pytest

from tests.support.overlay_rig import ME, find, overlay_on
from vtsfs.contract.signals import Kind
from vtsfs.overlay.attributes import Attributes
from vtsfs.overlay.store import Changes


@pytest.mark.parametrize(
    ("changes", "cause", "extents", "wrote"),
    [
        (Changes(size=4), "truncate", ((4, 10),), True),
        (Changes(size=20), "truncate", ((10, 20),), True),
        (Changes(size=10), "truncate", (), False),
        (Changes(mtime_ns=5), "times", (), False),
    ],
)
async def test_what_a_tape_s_attributes_tell(
    backing: Path,
    changes: Changes,
    cause: str,
    extents: tuple[tuple[int, int], ...],
    wrote: bool,
) -> None:
    (backing / "BILL" / "X00001").write_bytes(b"0123456789")
    async with overlay_on(backing) as (overlay, sink):
        await overlay.attributes.set(find(overlay, "BILL/X00001"), changes, None, ME.uid)
    (changed,) = sink.signals
    assert (changed.kind, changed.cause, changed.extents, changed.wrote) == (
        Kind.CHANGED,
        cause,
        extents,
        wrote,
    )


async def test_what_changes_no_byte_and_no_time_is_not_told(backing: Path) -> None:
    (backing / "BILL" / "X00001").write_bytes(b"0123456789")
    (backing / "BILL" / "X00001.meta").write_bytes(b"0123456789")
    async with overlay_on(backing) as (overlay, sink):
        assert isinstance(overlay.attributes, Attributes)
        tape = find(overlay, "BILL/X00001")
        found = await overlay.attributes.set(tape, Changes(mode=0o600, atime_ns=7), None, ME.uid)
        assert (found.st_mode & 0o7777, found.st_atime_ns) == (0o600, 7)
        await overlay.attributes.set(
            find(overlay, "BILL/X00001.meta"), Changes(size=0), None, ME.uid
        )
        await overlay.attributes.set(find(overlay, "BILL"), Changes(mtime_ns=7), None, ME.uid)
    assert sink.signals == []
