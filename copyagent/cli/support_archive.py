"""An archive for those who help: what is put in, what was left out, and no secret.

Whatever goes in passes through here, where the values that are known to be secret are taken out
once more, wherever they may have come from.
"""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vtsfs.contract.errors import UsageError, VtsError

#: What stands in place of a secret.
TAKEN_OUT: Final = "(taken out)"

#: A shorter secret would be found in everything.
_LEAST: Final = 4

#: No part is longer, in bytes: its end is kept, where what happened last stands.
MOST_BYTES: Final = 8 * 1024 * 1024

MANIFEST: Final = "MANIFEST.txt"

#: What collecting a part may run into: it is left out, and why is told.
_TROUBLE: Final = (VtsError, OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the archive."""

    name: str
    about: str
    data: bytes


@dataclass(slots=True)
class Archive:
    """Gathers parts under one *directory*; *secrets* are taken out of each."""

    directory: str
    at_s: int
    secrets: tuple[str, ...] = ()
    parts: list[Part] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, about: str, collect: Callable[[], Any]) -> None:
        """Put in what *collect* returns: a text, bytes, lines (a list of documents) or a document.

        If that fails, the part is left out, and it is said why.
        """
        try:
            found = collect()
        except _TROUBLE as error:
            self.leave_out(name, f"{type(error).__name__}: {error}")
            return
        self.parts.append(Part(name, about, self._clean(name, encoded(found))))

    def leave_out(self, name: str, why: str) -> None:
        """Say that *name* is not in it, and *why*."""
        self.left_out.append((name, self._clean(name, why.encode("utf-8", "replace")).decode()))

    def _clean(self, name: str, data: bytes) -> bytes:
        if len(data) > MOST_BYTES:
            self.left_out.append((name, f"its first {len(data) - MOST_BYTES} bytes: too long"))
            data = data[-MOST_BYTES:]
        for secret in self.secrets:
            # In a document a secret may have been escaped on its way.
            for form in (secret, json.dumps(secret)[1:-1]):
                data = data.replace(form.encode("utf-8", "surrogateescape"), TAKEN_OUT.encode())
        return data

    def manifest(self) -> str:
        """Say what is in it, and what is not."""
        lines = [f"{self.directory}: what is in this archive", ""]
        lines += [
            f"{part.name}\n    {part.about}\n    {len(part.data)} bytes, sha256 "
            f"{hashlib.sha256(part.data).hexdigest()}"
            for part in self.parts
        ]
        lines += ["", "Left out:"]
        lines += [f"{name}\n    {' '.join(why.split())}" for name, why in self.left_out]
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> None:
        """Write it as a new file that only its owner can read; raises `UsageError` for a known name.

        Nothing is left of one that could not be finished.
        """
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError as error:
            raise UsageError(f"{path} is there already; name another file with --output") from error
        except OSError as error:
            raise UsageError(f"{path} cannot be made: {error.strerror}") from error
        try:
            with os.fdopen(fd, "wb") as file:
                self._write(file)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _write(self, file: Any) -> None:
        manifest = Part(MANIFEST, "", self.manifest().encode("utf-8", "replace"))
        # Without the name of a file in its head, which would be a path of this machine.
        with (
            gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=self.at_s) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for part in (manifest, *self.parts):
                entry = tarfile.TarInfo(f"{self.directory}/{part.name}")
                entry.size, entry.mode, entry.mtime = len(part.data), 0o600, self.at_s
                tar.addfile(entry, io.BytesIO(part.data))


def encoded(found: Any) -> bytes:
    """Return a part's content as bytes: JSON for what is no text."""
    if isinstance(found, bytes):
        return found
    if isinstance(found, str):
        return found.encode("utf-8", "replace")
    if isinstance(found, list):
        return "".join(f"{json.dumps(one)}\n" for one in found).encode()
    return json.dumps(found, indent=1).encode() + b"\n"


def as_secrets(values: Iterable[str]) -> tuple[str, ...]:
    """Return the *values* that can be told from other text, the longest first."""
    found = {value.strip() for value in values}
    return tuple(sorted((v for v in found if len(v) >= _LEAST), key=lambda v: (-len(v), v)))
