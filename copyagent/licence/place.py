"""Where the licence lies: one small file in the state directory, for those who may look.

It holds the licence's text and who put it there. It can be written while no agent runs; the agent
verifies it at its start and puts on record what has changed. All of it blocks.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from copyagent.core.licence import Installed
from copyagent.licence.token import MAX_TEXT, decode
from vtsfs.contract.errors import LicenceInvalid, Refused, StateError
from vtsfs.contract.settings import Service, Settings
from vtsfs.contract.signals import MALFORMED
from vtsfs.runtime.files import lock_file
from vtsfs.runtime.shown_files import write_shown

_SCHEMA: Final = 1
#: More than any licence with its remarks takes, in bytes.
_MAX_BYTES: Final = 4 * MAX_TEXT


def licence_path(settings: Settings) -> Path:
    """Return the file that holds the licence."""
    return settings.paths.state / "licence.json"


def lock_path(settings: Settings) -> Path:
    """Return the file that an agent keeps locked for as long as it lives."""
    return settings.agent_directory() / "lock"


def verified(text: str, issuers: Sequence[str], user: str, because: str, at_ns: int) -> Installed:
    """Return the licence that *text* is; raise `LicenceInvalid` for one that is none."""
    terms = decode(text, issuers)
    return Installed(terms, "", _digest(text), user, because, at_ns)


def find_licence(path: Path, issuers: Sequence[str]) -> Installed:
    """Read what is installed at *path*; what is no valid licence is told in its ``fault``."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return Installed()
    except OSError as error:
        return Installed(fault=f"{path} cannot be read: {error.strerror}", digest="unread")
    try:
        document = json.loads(data)
        text, user, because = (str(document[key]) for key in ("licence", "user", "because"))
        at_ns = int(document["at_ns"])
        if document["schema"] != _SCHEMA or len(data) > _MAX_BYTES:
            raise ValueError
    except MALFORMED:
        return Installed(fault=f"{path} is damaged", digest=hashlib.sha256(data).hexdigest())
    if not text:
        return Installed(user=user, because=because, at_ns=at_ns)
    try:
        return verified(text, issuers, user, because, at_ns)
    except LicenceInvalid as error:
        return Installed(None, str(error), _digest(text), user, because, at_ns)


def store_licence(path: Path, text: str, found: Installed, service: Service) -> None:
    """Put *text* in place, durably; an empty one says that the licence was removed, and by whom.

    The file is for those who may look, as *service* names them.
    Raises `StateError` when it cannot be written.
    """
    document = {
        "schema": _SCHEMA,
        "licence": text,
        "user": found.user,
        "because": found.because,
        "at_ns": found.at_ns,
    }
    try:
        write_shown(path, json.dumps(document, indent=1).encode("ascii") + b"\n", service)
    except OSError as error:
        raise StateError(
            f"{path} cannot be written: {error.strerror or error}; nothing was changed"
        ) from error


def without_agent(settings: Settings) -> AbstractContextManager[None]:
    """Keep an agent from starting while the block changes the licence.

    Raises `AgentBusy` if one runs, `Refused` if this user is not the one whose state it is, and
    `StateError` where there is no state directory yet.
    """
    state = settings.paths.state
    try:
        owner = state.stat().st_uid
    except OSError as error:
        raise StateError(
            f"{state} cannot be used: {error.strerror}; start the agent once, or make the directory "
            "for its user"
        ) from error
    if os.geteuid() not in (0, owner):
        raise Refused(
            f"no agent runs, and without one only root and the owner of {state} may do it"
        )
    lock = lock_path(settings)
    return lock_file(lock) if lock.exists() else nullcontext()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
