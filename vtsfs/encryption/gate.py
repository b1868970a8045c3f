"""The gate itself: looks at the stored bytes of a tape that is opened, and refuses it or does not.

It never changes a byte and decrypts nothing. It keeps a tape engine from taking encrypted bytes for
a tape; who reads the bytes as they are stored (root, a backup, the copy agent) is let through.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import trio

from vtsfs.contract.errors import KeyUnavailable
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_encryption import Encryption, Signature
from vtsfs.encryption.engine_users import EngineUsers, engine_users
from vtsfs.encryption.key_inquiry import KeyInquiry
from vtsfs.encryption.key_servers import FileKeyServer
from vtsfs.encryption.refusals import Refusals
from vtsfs.encryption.signature import (
    comparable_key_id,
    decoded_key_id,
    key_id_in,
    magic_in,
)
from vtsfs.encryption.stored_bytes import read_piece, readable
from vtsfs.overlay.caller import Caller
from vtsfs.runtime.peers import user_name

#: Seconds the user database has to say who the caller is; without an answer it is a tape engine.
USER_LIMIT_S = 3.0
_READERS = 8
#: A user database that hangs keeps these threads, and those who read from the disk have their own.
_USER_THREADS = 4
#: Shown in place of a key ID that cannot be read.
UNREADABLE = "unknown"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused open, as it is told: which tape, encrypted with which key, why, and to whom."""

    tape: TapeId
    key_id: str
    cause: str
    user: str


Report = Callable[[Refusal], None]


class EncryptionGate:
    """Implements `vtsfs.overlay.gate.Gate`. Without *inquiry*, encryption is not enabled here."""

    def __init__(
        self,
        signature: Signature,
        users: EngineUsers,
        inquiry: KeyInquiry | None,
        report: Report,
        *,
        user_limit_s: float = USER_LIMIT_S,
    ) -> None:
        self._signature = signature
        self._users = users
        self._inquiry = inquiry
        self._report = report
        self._user_limit_s = user_limit_s
        self._readers = trio.CapacityLimiter(_READERS)
        self._user_threads = trio.CapacityLimiter(_USER_THREADS)
        self._refusals = Refusals()
        self._last: Refusal | None = None

    async def admit(self, tape: TapeId, fd: int, caller: Caller) -> None:
        """Return if *caller* may have *tape*; raise `KeyUnavailable` if it is refused."""
        if not self._users.may_include(caller.uid):
            return
        is_encrypted, key_id = await self._look_at(fd)
        if not is_encrypted:
            return
        is_engine, user = await self._look_up(caller)
        if not is_engine:
            return
        cause = await self._why_not(key_id)
        if cause is not None:
            refusal = Refusal(tape, key_id or UNREADABLE, cause, user)
            self._tell(refusal)
            raise KeyUnavailable(f"{tape} is encrypted with key {refusal.key_id}, {cause}")

    async def _look_at(self, fd: int) -> tuple[bool, str | None]:
        """Say whether the tape is encrypted, and its key's ID, None if that cannot be read."""
        size = os.fstat(fd).st_size
        piece = magic_in(self._signature, size)
        if piece is None:
            return False, None
        with readable(fd) as ours:
            if await read_piece(ours, piece, self._readers) != self._signature.magic:
                return False, None
            place = key_id_in(self._signature, size)
            if place is None:
                return True, None
            stored = await read_piece(ours, place, self._readers)
        return True, decoded_key_id(self._signature.key_id, stored)

    async def _look_up(self, caller: Caller) -> tuple[bool, str]:
        """Say whether *caller* is a tape engine, and the user's name."""

        def ask() -> tuple[bool, str]:
            return self._users.include(caller), user_name(caller.uid)

        with trio.move_on_after(self._user_limit_s):
            return await trio.to_thread.run_sync(
                ask, abandon_on_cancel=True, limiter=self._user_threads
            )
        return True, str(caller.uid)

    async def _why_not(self, key_id: str | None) -> str | None:
        if self._inquiry is None:
            return "and encryption is not enabled here"
        if key_id is None:
            return "since its key ID cannot be read"
        return await self._inquiry.why_not(key_id)

    def _tell(self, refusal: Refusal) -> None:
        self._last = refusal
        untold = self._refusals.count(refusal.tape, refusal.key_id, trio.current_time())
        if untold is None:
            return
        more = f"; refused {untold} times more since the last message" if untold else ""
        self._report(Refusal(refusal.tape, refusal.key_id, f"{refusal.cause}{more}", refusal.user))

    def status(self) -> dict[str, Any]:
        """Return what `vtsfs status` shows of it, as JSON values."""
        last = self._last
        return {
            "gate": "on",
            "enabled": self._inquiry is not None,
            "key_servers": [] if self._inquiry is None else list(self._inquiry.names),
            "failures": {} if self._inquiry is None else dict(self._inquiry.failures),
            "refused": self._refusals.total,
            "last_refused": last and {"tape": str(last.tape), "key": last.key_id},
        }


def build_gate(settings: Settings, report: Report) -> EncryptionGate | None:
    """Return the gate that *settings* ask for, None if there is no signature to know a tape by.

    Raises `SettingsError` for users and groups that the system does not know.
    """
    encryption = settings.encryption
    if encryption.signature is None:
        return None
    inquiry = _inquiry(encryption, encryption.signature) if encryption.enabled else None
    return EncryptionGate(encryption.signature, engine_users(settings), inquiry, report)


def _inquiry(encryption: Encryption, signature: Signature) -> KeyInquiry:
    def comparable(written: str) -> str:
        return comparable_key_id(signature.key_id, written)

    servers = {
        name: FileKeyServer(entry.file, comparable)
        for name, entry in encryption.key_servers.items()
    }
    return KeyInquiry(servers)


def status_of(gate: EncryptionGate | None) -> Mapping[str, Any]:
    """Return what `vtsfs status` shows, also of a gate that is off."""
    return {"gate": "off"} if gate is None else gate.status()
