"""A scratch directory is gone afterwards, also if the block fails."""

import pytest

from tests.support.scratch import scratch_directory


def test_nothing_is_left_of_it() -> None:
    with scratch_directory() as directory:
        (directory / "file").write_bytes(b"x")
    assert not directory.exists()


def test_nothing_is_left_of_it_after_an_error() -> None:
    seen = []

    def fail() -> None:
        with scratch_directory() as directory:
            seen.append(directory)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    assert not seen[0].exists()


def test_a_sockets_path_fits_into_it() -> None:
    with scratch_directory() as directory:
        assert len(str(directory / "src" / "run" / "copyagent.sock")) < 108
