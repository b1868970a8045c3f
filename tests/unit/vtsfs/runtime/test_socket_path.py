from pathlib import Path

import pytest

from vtsfs.contract.errors import SettingsError
from vtsfs.runtime.socket_path import MAX_PATH, check_length


def test_the_kernels_limit_is_told_in_bytes() -> None:
    check_length(Path("/" + "x" * (MAX_PATH - 1)))
    with pytest.raises(SettingsError, match="has 108 bytes and the kernel allows 107"):
        check_length(Path("/" + "x" * MAX_PATH))
    with pytest.raises(SettingsError):
        check_length(Path("/" + "\N{SNOWMAN}" * 36))
