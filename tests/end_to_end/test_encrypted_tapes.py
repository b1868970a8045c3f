"""Encrypted tapes: copied as they are stored, and refused to the engine of the receiving system."""

import errno
import os
from functools import partial
from pathlib import Path

import pytest

from tests.support.posix_case import as_user, fails_with, needs_root
from tests.support.site import Site
from tests.support.sshd import Sshd
from tests.support.world import POOL, assert_no_bug_was_met, settle_quickly

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

TAPE = f"{POOL}/X00001"
ENCRYPTION = {
    "signature": {"magic": "SVTSENC1", "offset": -64, "key_id": {"offset": 8, "length": 16}}
}


def encrypted(key_id: bytes) -> bytes:
    """Return a tape with SecureVTS's marks at its end."""
    return os.urandom(700_000) + b"SVTSENC1" + key_id.ljust(56, b"\0")


def holds(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content


def test_a_copy_is_the_stored_bytes_and_the_receiver_s_engine_cannot_open_it(
    scratch: Path, sshd: Sshd
) -> None:
    needs_root()
    with Site(scratch / "a", "HERE") as here, Site(scratch / "b", "THERE") as there:
        scratch.chmod(0o755)
        settle_quickly(here)
        for site in (here, there):
            site.settings["encryption"] = ENCRYPTION
            site.make_pool("BILL")
        here.add_target("peer", sshd, {"VAULT00": there.mountpoint()})
        here.watch(POOL, "peer")
        here.attach()
        there.attach()
        here.start()
        tape = here.mountpoint() / "BILL" / "X00001"
        copy = there.mountpoint() / "BILL" / "X00001"
        for key_id in (b"KEY1", b"KEY2"):
            stored = encrypted(key_id)
            tape.write_bytes(stored)
            here.wait(partial(holds, copy, stored), "the copy is what is stored")

            def as_the_engine() -> None:
                with fails_with(errno.ENOKEY):
                    os.open(copy, os.O_RDONLY)

            as_user(as_the_engine)
            here.wait_for_state(TAPE, "copied")
        told = [line.split("|")[-1] for line in there.events(624180)]
        assert [text.split(", ")[0].rsplit(" ", 1)[-1] for text in told] == ["KEY1", "KEY2"]
        assert here.events(624180) == []
        for site in (here, there):
            assert_no_bug_was_met(site)
