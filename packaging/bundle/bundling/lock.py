"""The lock of what is bundled from the package index: names, versions and digests."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

#: What is compiled here, since no wheel can be taken as it is: pyfuse3 has none, and that of greenlet
#: needs the system's C++ library.
COMPILED = ("greenlet", "pyfuse3")

_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\\n]+)")


class BundleError(Exception):
    """The tree cannot be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One distribution of the lock; *text* is its entry as it stands there, with its digests."""

    name: str
    version: str
    text: str


def read_lock(path: Path) -> dict[str, Pin]:
    """Return the lock's entries by name; raises `BundleError` for one without a digest."""
    pins: dict[str, Pin] = {}
    for entry in re.split(r"\n(?=\S)", path.read_text(encoding="ascii")):
        found = _ENTRY.match(entry)
        if found is None:
            continue
        if "--hash=sha256:" not in entry:
            raise BundleError(f"{path}: {found['name']} has no digest; run 'make lock'")
        pins[found["name"]] = Pin(found["name"], found["version"], entry)
    return pins


def requirements(pins: dict[str, Pin], names: set[str]) -> str:
    """Return the lock's lines for *names* alone, as pip reads them."""
    return "".join(f"{pins[name].text.rstrip()}\n" for name in sorted(names))


def digest_of(*parts: bytes | str) -> str:
    """Return one digest of all *parts*, each with its length, so that none runs into the next."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(b"%d:" % len(data) + data)
    return total.hexdigest()


def file_digest(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
