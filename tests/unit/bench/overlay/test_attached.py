import gzip
from pathlib import Path

import pytest

from tests.bench.overlay.attached import BenchError, example


def test_an_example_is_found_plain_or_packed(tmp_path: Path) -> None:
    examples = tmp_path / "usr/share/doc/libfuse3-dev/examples"
    examples.mkdir(parents=True)
    (examples / "plain.c").write_bytes(b"int plain;\n")
    (examples / "packed.c.gz").write_bytes(gzip.compress(b"int packed;\n"))
    assert example("plain.c", [tmp_path]) == b"int plain;\n"
    assert example("packed.c", [tmp_path / "nothing", tmp_path]) == b"int packed;\n"


def test_an_example_that_is_nowhere_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"libfuse3-dev holds no plain\.c"):
        example("plain.c", [tmp_path])
