"""The gate in an overlay without a kernel: what is refused, to whom, and what is told."""

import errno
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from fcntl import F_GETFL, fcntl
from pathlib import Path

import pytest
import trio

from tests.support.overlay_rig import ME, find
from tests.support.signal_sink import FixedClock, Sink
from vtsfs.contract.errors import KeyUnavailable
from vtsfs.contract.naming import NamePatterns, TapeId
from vtsfs.contract.settings import Settings, parse_settings
from vtsfs.encryption.engine_users import EngineUsers
from vtsfs.encryption.gate import EncryptionGate, Refusal, build_gate, status_of
from vtsfs.overlay.caller import Caller
from vtsfs.overlay.overlay import Overlay, VaultView

ENGINE = Caller(54_321, 54_321, 0)
ROOT = Caller(0, 0, 0)
HEAD = b"SVTS" + bytes(12) + b"KEY1".ljust(16, b"\0")
SIGNATURE = "signature: {magic: SVTS, key_id: {offset: 16, length: 16}}"


def settings_of(backing: Path, encryption: str) -> Settings:
    text = f"""
system: {{name: TEST}}
vaults: {{VAULT00: {{backing: {backing}, mountpoint: /VAULT00}}}}
encryption: {{{encryption}}}
"""
    return parse_settings(text, "x")


def data_descriptors(path: Path) -> set[int]:
    """Find our descriptors of *path* by which its data can be reached."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}") == str(path):
                found.append(int(name))
    return {fd for fd in found if not fcntl(fd, F_GETFL) & os.O_PATH}


class Rig:
    """An overlay with a gate, and what the gate told."""

    def __init__(self, backing: Path, nursery: trio.Nursery, settings: Settings) -> None:
        self.backing = backing
        self.refusals: list[Refusal] = []
        self.gate = build_gate(settings, self.refusals.append)
        self.sink = Sink()
        view = VaultView("VAULT00", backing, NamePatterns(), gate=self.gate)
        self.overlay = Overlay(view, self.sink, FixedClock(), nursery)

    async def open(self, path: str, flags: int = os.O_RDONLY, caller: Caller = ENGINE) -> None:
        files = self.overlay.files
        files.release(await files.open(find(self.overlay, path), flags, caller))

    async def refused(self, path: str, flags: int = os.O_RDONLY) -> None:
        inode = find(self.overlay, path)
        before = data_descriptors(self.backing / path)
        with pytest.raises(KeyUnavailable) as refused:
            await self.overlay.files.open(inode, flags, ENGINE)
        assert refused.value.errno == errno.ENOKEY
        assert path in str(refused.value)
        assert data_descriptors(self.backing / path) <= before, "the refused open's is closed"


@asynccontextmanager
async def rig_on(backing: Path, encryption: str) -> AsyncIterator[Rig]:
    async with trio.open_nursery() as nursery:
        rig = Rig(backing, nursery, settings_of(backing, encryption))
        yield rig
    rig.overlay.close()


@pytest.fixture
def backing(tmp_path: Path) -> Path:
    (tmp_path / "BILL").mkdir()
    (tmp_path / "BILL" / "X00001").write_bytes(HEAD + b"encrypted")
    (tmp_path / "BILL" / "X00002").write_bytes(b"plain")
    return tmp_path


@pytest.mark.parametrize(
    "flags",
    [
        os.O_RDONLY,
        os.O_WRONLY,
        os.O_RDWR,
        os.O_WRONLY | os.O_TRUNC,
        os.O_RDONLY | os.O_TRUNC,
        os.O_WRONLY | os.O_APPEND,
    ],
)
async def test_every_open_of_the_data_is_refused_and_changes_nothing(
    backing: Path, flags: int
) -> None:
    async with rig_on(backing, SIGNATURE) as rig:
        await rig.refused("BILL/X00001", flags)
        await rig.open("BILL/X00002", flags)
    assert (backing / "BILL" / "X00001").read_bytes() == HEAD + b"encrypted"
    assert {signal.label for signal in rig.sink.signals} <= {"X00002"}, "no mount is reported"
    (refusal,) = rig.refusals
    assert (str(refusal.tape), refusal.key_id, refusal.user) == (
        "/VAULT00/BILL/X00001",
        "KEY1",
        "54321",
    )
    assert refusal.cause == "and encryption is not enabled here"


async def test_who_is_no_tape_engine_reads_what_is_stored(backing: Path) -> None:
    async with rig_on(backing, SIGNATURE) as rig:
        await rig.open("BILL/X00001", caller=ROOT)
    async with rig_on(backing, f"{SIGNATURE}, engine_users: [1001]") as rig:
        await rig.open("BILL/X00001")
    assert rig.refusals == []


async def test_no_signature_no_gate(backing: Path) -> None:
    async with rig_on(backing, "enabled: false") as rig:
        assert rig.gate is None
        await rig.open("BILL/X00001")
    assert status_of(rig.gate) == {"gate": "off"}


async def test_a_new_tape_is_not_encrypted(backing: Path) -> None:
    async with rig_on(backing, f"{SIGNATURE}, engine_users: [{ME.uid}]") as rig:
        pool = find(rig.overlay, "BILL")
        files = rig.overlay.files
        handle, _, _ = await files.create(pool, b"X00003", 0o600, os.O_RDWR, ME)
        (backing / "BILL" / "X00003").write_bytes(HEAD)
        files.release(handle)
        with pytest.raises(KeyUnavailable):
            await files.open(find(rig.overlay, "BILL/X00003"), os.O_RDWR, ME)
        # The kernel then opens what it finds there, as above.
        with pytest.raises(OSError, match="Stale file handle"):
            await files.create(pool, b"X00003", 0o600, os.O_RDWR, ME)
    assert len(rig.refusals) == 1, "one message a tape and hour"


@pytest.mark.parametrize("stored", [b"", b"S", b"SVT", b"SVTX" + bytes(100), b" SVTS"])
async def test_what_does_not_begin_with_the_magic_is_a_tape_like_others(
    backing: Path, stored: bytes
) -> None:
    (backing / "BILL" / "X00001").write_bytes(stored)
    async with rig_on(backing, SIGNATURE) as rig:
        await rig.open("BILL/X00001", os.O_RDWR)


async def test_only_tapes_are_looked_at(backing: Path) -> None:
    (backing / "BILL" / ".X00001").write_bytes(HEAD)
    (backing / "X00001").write_bytes(HEAD)
    async with rig_on(backing, SIGNATURE) as rig:
        await rig.open("BILL/.X00001")
        await rig.open("X00001")


@pytest.mark.parametrize("stored", [HEAD[:31], HEAD[:16] + bytes(16), HEAD[:16] + b"\xff" * 16])
async def test_an_encrypted_tape_without_a_key_id_that_can_be_read(
    backing: Path, stored: bytes
) -> None:
    (backing / "BILL" / "X00001").write_bytes(stored)
    (backing / "keys").write_text("unknown\n")
    servers = f"key_servers: {{main: {{file: {backing}/keys}}}}"
    async with rig_on(backing, f"{SIGNATURE}, enabled: true, {servers}") as rig:
        await rig.refused("BILL/X00001")
    assert rig.refusals[0].key_id == "unknown"
    assert rig.refusals[0].cause == "since its key ID cannot be read"


async def test_a_key_may_have_any_name(backing: Path) -> None:
    (backing / "BILL" / "X00001").write_bytes(HEAD[:16] + b"unknown".ljust(16))
    (backing / "keys").write_text("unknown\n")
    servers = f"key_servers: {{main: {{file: {backing}/keys}}}}"
    async with rig_on(backing, f"{SIGNATURE}, enabled: true, {servers}") as rig:
        await rig.open("BILL/X00001")


async def test_enabled_without_a_key_server(backing: Path) -> None:
    async with rig_on(backing, f"{SIGNATURE}, enabled: true") as rig:
        await rig.refused("BILL/X00001")
    assert rig.refusals[0].cause == "no key server is configured"


async def test_a_key_that_a_server_gets_and_loses_counts_at_once(backing: Path) -> None:
    keys = backing / "keys"
    servers = f"key_servers: {{main: {{file: {keys}}}}}"
    async with rig_on(backing, f"{SIGNATURE}, enabled: true, {servers}") as rig:
        await rig.refused("BILL/X00001")
        keys.write_text("KEY1\n")
        await rig.open("BILL/X00001", os.O_RDWR)
        keys.write_text("KEY2\n")
        await rig.refused("BILL/X00001")
        assert rig.gate is not None
        status = rig.gate.status()
    assert "No such file" in rig.refusals[0].cause
    assert len(rig.refusals) == 1
    assert status == {
        "gate": "on",
        "enabled": True,
        "key_servers": ["main"],
        "failures": {},
        "refused": 2,
        "last_refused": {"tape": "/VAULT00/BILL/X00001", "key": "KEY1"},
    }


class UnknownUsers(EngineUsers):
    """As if the user database hung, until it is let go."""

    go_on = threading.Event()

    def include(self, caller: Caller) -> bool:
        self.go_on.wait(30)
        return False


async def test_a_user_database_that_hangs_holds_up_nobody_else(backing: Path) -> None:
    settings = settings_of(backing, SIGNATURE)
    assert settings.encryption.signature is not None
    tape = TapeId("VAULT00", "BILL", "X00001")
    gate = EncryptionGate(
        settings.encryption.signature, UnknownUsers(), None, lambda _: None, user_limit_s=0.05
    )

    async def refused() -> None:
        with (backing / "BILL" / "X00001").open("rb") as file, pytest.raises(KeyUnavailable):
            await gate.admit(tape, file.fileno(), ENGINE)

    try:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                for _ in range(30):
                    nursery.start_soon(refused)
            with (backing / "BILL" / "X00002").open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                await gate.admit(tape, file.fileno(), ENGINE)
    finally:
        UnknownUsers.go_on.set()
    assert gate.status()["refused"] == 30


async def test_a_signature_at_the_end_of_the_tape(backing: Path) -> None:
    trailer = "signature: {magic: SVTS, offset: -8, key_id: {offset: 4, length: 4, encoding: hex}}"
    async with rig_on(backing, trailer) as rig:
        await rig.open("BILL/X00001")
        with (backing / "BILL" / "X00001").open("ab") as tape:
            tape.write(b"SVTS\x0a\x0b\x0c\x0d")
        await rig.refused("BILL/X00001")
    assert rig.refusals[0].key_id == "0a0b0c0d"
