"""What is on the tapes: archives of files that are on this machine already."""

import hashlib
import io
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: A NonStop host writes blocks of up to 56 KiB.
BLOCK = 56 << 10
#: Members of a tar archive begin at multiples of this.
UNIT = 512
#: What stays free on the disk whatever happens, and how often the content lies there at the most.
SPARE = 256 << 20
COPIES = 9


class NoContent(Exception):
    """There is no room, or nothing to fill it with; the message says the remedy."""


@dataclass(frozen=True)
class Archive:
    """A tar archive at *path*: *files* members, *size* bytes."""

    path: Path
    files: int
    size: int


def room(directory: Path, wanted: int) -> int:
    """Return how large the content may be: *wanted*, or less when the disk has not so much room."""
    free = shutil.disk_usage(directory).free
    fits = (free - SPARE) // COPIES
    if fits < min(wanted, 16 << 20):
        raise NoContent(
            f"{directory} has {free >> 20} MiB free, too little for tapes: free some, or name "
            "another directory with VTS_TEST_SCRATCH"
        )
    return min(wanted, fits)


def pack(path: Path, top: Path, limit: int) -> Archive:
    """Archive the files under *top* at *path*, in the order of their names, up to *limit* bytes."""
    files = size = 0
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for file in _files(top):
            status = file.lstat()
            # The header, perhaps a long name's, the content, and the archive's own end.
            needed = status.st_size + 5 * UNIT
            if not stat.S_ISREG(status.st_mode) or size + needed > limit - 2 * BLOCK:
                continue
            if _add(archive, file):
                files += 1
                size = archive.offset
            if limit - size < limit // 100:
                break
    if not files:
        raise NoContent(f"there are no files under {top} to fill tapes with")
    return Archive(path, files, path.stat().st_size)


def _files(top: Path) -> Iterator[Path]:
    for directory, below, names in os.walk(top):
        below.sort()
        for name in sorted(names):
            yield Path(directory, name)


def _add(archive: tarfile.TarFile, file: Path) -> bool:
    try:
        content = file.read_bytes()
    except PermissionError:
        return False  # the next one will do
    member = tarfile.TarInfo(str(file).lstrip("/"))
    member.size = len(content)
    member.mtime = int(file.stat().st_mtime)
    archive.addfile(member, io.BytesIO(content))
    return True


def blocks(archive: Path, label: str, number: int) -> Iterator[bytes]:
    """Give what is on the tape with *label* when it is written for the *number*-th time.

    A label record of as many units comes first, so that everything behind it moves and hardly one
    block of two generations is equal. The whole is an archive that tar can read.
    """
    with archive.open("rb") as source:
        block = _label_record(label, number)
        block += source.read(BLOCK - len(block) % BLOCK)
        while block:
            yield block
            block = source.read(BLOCK)


def _label_record(label: str, number: int) -> bytes:
    text = f"VOL1{label} generation {number}\n".encode().ljust(UNIT * number, b".")
    member = tarfile.TarInfo(f"VOLUME-LABEL-{label}-{number}")
    member.size = len(text)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as record:
        record.addfile(member, io.BytesIO(text))
        end = record.offset
    return made.getvalue()[:end]  # without the blocks that say an archive ends


def write_tape(tape: Path, archive: Path, label: str, number: int) -> str:
    """Write a tape as a tape engine does, block by block; return the SHA-256 of what was written.

    The file is written anew, but keeps its name and its inode, as virtual tapes do.
    """
    digest = hashlib.sha256()
    with tape.open("wb", buffering=0) as sink:
        for block in blocks(archive, label, number):
            if sink.write(block) != len(block):
                raise OSError(f"{tape} took part of a block only")
            digest.update(block)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def megabytes(size: int) -> str:
    """Write a size as people say it."""
    return f"{size / 1e6:.1f} MB"
