"""Companions on a real mount: what is told of them, also after a crash."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.attached_vault import POOL, VAULT, Follower, Vault, attached_vault
from tests.support.posix_case import close_dead, opened
from vtsfs.contract.signals import Kind

TAPE, META = "X00001", "X00001.meta"


@pytest.fixture
def vault(scratch: Path) -> Iterator[Vault]:
    with attached_vault(scratch) as attached:
        attached.detach()
        told = yaml.safe_load(attached.config.read_text(encoding="utf-8"))
        pool = f"/{VAULT}/{POOL}"
        told["targets"] = {
            "far": {
                "host": "far.example.com",
                "user": "vts",
                "key": "/nowhere/key",
                "known_hosts": "/nowhere/known_hosts",
                "vaults": {VAULT: f"/{VAULT}"},
            }
        }
        told["autocopy"] = [
            {"pool": pool, "target": "far", "target_pool": pool, "companions": ["{label}.*"]}
        ]
        told["ems"] = {"required": False}
        attached.config.write_text(yaml.safe_dump(told), encoding="utf-8")
        for name in (TAPE, META):
            (attached.backing / POOL / name).write_bytes(b"before")
        attached.attach()
        yield attached


def test_a_companion_s_change_is_its_tape_s(vault: Vault, feed: Follower) -> None:
    with opened(vault.pool / META, os.O_WRONLY) as fd:
        os.write(fd, b"changed")
    changed = feed.next()
    assert (changed.kind, changed.label, changed.cause) == (Kind.CHANGED, TAPE, "companion")
    assert (changed.extents, changed.companions) == ((), (META,))
    with opened(vault.pool / TAPE, os.O_RDWR) as fd:
        os.unlink(vault.pool / META)
        os.write(fd, b"written")
    dismounted = feed.until(Kind.DISMOUNTED, TAPE)
    assert (dismounted.wrote, dismounted.companions) == (True, (META,))
    (vault.pool / f"{TAPE}.new").write_bytes(b"made")
    assert feed.next().companions == (f"{TAPE}.new",)


def test_killed_while_a_companion_is_written(vault: Vault) -> None:
    """The tape is whole; which of its companions may not be is told."""
    fd = os.open(vault.pool / META, os.O_WRONLY)
    os.write(fd, b"half")
    vault.kill()
    close_dead(fd)
    vault.attach()
    with vault.follow() as feed:
        changed = feed.next()
    assert (changed.kind, changed.label) == (Kind.CHANGED, TAPE)
    assert (changed.cause, changed.companions) == ("companion-interrupted", (META,))
    assert changed.identity is not None
    assert changed.identity.size == len(b"before")
    # It is told once.
    vault.kill()
    vault.attach()
    with vault.follow() as feed:
        assert feed.hello.highest == changed.seq
