"""An error nobody foresaw costs one caller an EIO, and the vault nothing."""

import errno
import os
import sys
from pathlib import Path

from tests.support.attached_vault import VAULT, Vault
from tests.support.posix_case import fails_with
from tests.support.processes import Program


def test_an_unforeseen_error_is_eio_for_one_caller(scratch: Path) -> None:
    vault = Vault(scratch)
    script: list[str | Path] = [
        sys.executable,
        "-m",
        "tests.mount.faulty_overlay",
        vault.config,
        VAULT,
    ]
    with Program(script, scratch / "output", cwd=Path(__file__).parents[2]) as program:
        program.wait_for_output("224173", 20)
        for _ in range(3):
            with fails_with(errno.EIO):
                os.stat(vault.mount / "bomb")
        (vault.pool / "X00001").write_bytes(b"the mount lives")
        assert (vault.pool / "X00001").read_bytes() == b"the mount lives"
        assert program.output().count("Traceback") == 1
        assert program.output().count("824142") == 1
        assert list(vault.status()["unforeseen_errors"].values()) == [3]
        vault.detach()
        assert program.wait(20) == 0
