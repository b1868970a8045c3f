"""The agent's own chunk maps: one file per tape and target, with a map for each content over there.

A map is read when its tape is copied, and at no other time. It counts only where a record names its
root: what is damaged, or another content's, is no map, and then the copy at the target is compared
by reading it. Everything here blocks; it is run in a thread.

A file is a magic of 8 bytes and then, for each map, its length (4 bytes, big-endian) and the map as
`copyagent.transfer.chunks` writes it.
"""

import logging
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from copyagent.transfer.chunks import ChunkMap, decode, encode
from copyagent.transfer.layout import file_key
from vtsfs.contract.errors import StateError
from vtsfs.contract.naming import TapeId
from vtsfs.runtime.files import fsync_directory, private_directory, write_atomic

_log = logging.getLogger(__name__)

_MAGIC = b"VTSMAPS\1"
_LENGTH = 4
_SUFFIX = ".maps"


class MapStore:
    """The maps below *directory*, which is made when the first one is put there.

    One copy of a tape to a target runs at a time, so nobody else writes a file that we write;
    others may read, and find the old file or the new one.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, tape: TapeId, target: str) -> Path:
        """Return the file of *tape* at *target*."""
        key = file_key(tape.pool, tape.label, tape.vault, target)
        return self.directory / f"{key}{_SUFFIX}"

    def read(self, tape: TapeId, target: str, root: str) -> ChunkMap | None:
        """Return the map of that root, None if it is not there or damaged."""
        maps = self._maps(self.path(tape, target))
        return next((found for found in maps if found.root == root), None)

    def put(self, tape: TapeId, target: str, chunk_map: ChunkMap, also: Collection[str]) -> None:
        """Return when *chunk_map* is durable, beside those maps of the file whose root is in *also*.

        All other maps of the tape at that target are forgotten. Raises `StateError`.
        """
        path = self.path(tape, target)
        there = {found.root: found for found in self._maps(path)}
        wanted = {root: found for root, found in there.items() if root in also}
        wanted[chunk_map.root] = chunk_map
        if wanted.keys() == there.keys():
            return
        try:
            if not self.directory.is_dir():
                private_directory(self.directory)
                fsync_directory(self.directory.parent)
            write_atomic(path, _written(wanted.values()))
        except OSError as error:
            raise StateError(
                f"the chunk map {path} of {tape} cannot be written: {error.strerror or error}; "
                "make room, or see to the directory's owner and permissions"
            ) from error

    def forget(self, tape: TapeId, target: str) -> None:
        """Remove all maps of *tape* at *target*; raises `StateError`."""
        self._remove(self.path(tape, target))

    def count(self) -> int:
        """Return how many files there are; raises `StateError`."""
        return len(self._names(before_ns=None))

    def collect(self, known: Iterable[tuple[TapeId, str]], before_ns: int) -> int:
        """Remove the maps of all but the *known* tapes and targets; return how many files went.

        Only what was written before *before_ns*, since the epoch: what is *known* was asked for
        then, and a tape may have come since. What a crash left half written goes, too. Raises
        `StateError`.
        """
        wanted = {self.path(tape, target).name for tape, target in known}
        stray = [name for name in self._names(before_ns) if name not in wanted]
        for name in stray:
            self._remove(self.directory / name)
        return len(stray)

    def _names(self, before_ns: int | None) -> list[str]:
        try:
            with os.scandir(self.directory) as entries:
                return [
                    entry.name
                    for entry in entries
                    if _SUFFIX in entry.name
                    and (before_ns is None or entry.stat().st_mtime_ns < before_ns)
                ]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StateError(
                f"{self.directory} cannot be read: {error.strerror}; see to its owner and permissions"
            ) from error

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(
                f"{path} cannot be removed: {error.strerror}; see to its directory's permissions"
            ) from error

    def _maps(self, path: Path) -> Iterator[ChunkMap]:
        """Go through the whole and undamaged maps of a file."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("the chunk maps %s cannot be read: %s", path, error.strerror)
            return
        at = len(_MAGIC) if data.startswith(_MAGIC) else len(data) + 1
        while at + _LENGTH <= len(data):
            length = int.from_bytes(data[at : at + _LENGTH], "big")
            at += _LENGTH
            found = decode(data[at : at + length]) if at + length <= len(data) else None
            if found is None:
                break
            yield found
            at += length
        if at != len(data):
            _log.warning("the chunk maps %s are damaged; the copies are compared by content", path)


def _written(maps: Iterable[ChunkMap]) -> bytes:
    encoded = [encode(found) for found in maps]
    lengths = (len(each).to_bytes(_LENGTH, "big") for each in encoded)
    return _MAGIC + b"".join(part for pair in zip(lengths, encoded, strict=True) for part in pair)
