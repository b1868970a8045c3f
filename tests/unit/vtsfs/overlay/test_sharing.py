"""Which handles may bypass the kernel's pages of a file."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.overlay.sharing import Sharing

REGULAR = stat.S_IFREG | 0o644


@pytest.mark.parametrize(
    ("before", "flags", "mode", "bypasses"),
    [
        ([], os.O_WRONLY, REGULAR, True),
        ([], os.O_WRONLY | os.O_APPEND, REGULAR, True),
        ([], os.O_RDWR, REGULAR, False),
        ([], os.O_RDONLY, REGULAR, False),
        ([], os.O_RDONLY | os.O_TRUNC, REGULAR, False),
        ([os.O_RDONLY], os.O_WRONLY, REGULAR, False),
        ([os.O_RDWR], os.O_WRONLY, REGULAR, False),
        ([os.O_WRONLY], os.O_WRONLY, REGULAR, True),
        ([os.O_WRONLY], os.O_RDWR, REGULAR, True),
        ([os.O_WRONLY], os.O_RDONLY, REGULAR, False),
        ([], os.O_WRONLY, REGULAR | stat.S_ISUID, False),
        ([], os.O_WRONLY, REGULAR | stat.S_ISGID, False),
        ([], os.O_WRONLY, stat.S_IFIFO | 0o644, False),
    ],
)
def test_who_bypasses(before: list[int], flags: int, mode: int, bypasses: bool) -> None:
    sharing = Sharing()
    for earlier in before:
        sharing.enter(direct=sharing.bypasses(earlier, REGULAR))
    assert sharing.bypasses(flags, mode) is bypasses


@given(
    st.lists(
        st.tuples(st.sampled_from([os.O_RDONLY, os.O_WRONLY, os.O_RDWR]), st.booleans()),
        max_size=30,
    )
)
def test_no_page_is_dirty_beside_a_handle_that_bypasses(steps: list[tuple[int, bool]]) -> None:
    sharing = Sharing()
    handles: list[tuple[int, bool]] = []
    for flags, leave in steps:
        if leave and handles:
            _, direct = handles.pop(0)
            sharing.leave(direct=direct)
        else:
            direct = sharing.bypasses(flags, REGULAR)
            sharing.enter(direct=direct)
            handles.append((flags, direct))
        direct_ones = [flags for flags, direct in handles if direct]
        cached_ones = [flags for flags, direct in handles if not direct]
        assert not (direct_ones and os.O_RDWR in cached_ones)
        assert sharing.must_drop is bool(cached_ones)
        assert sharing.unused is (not handles)
