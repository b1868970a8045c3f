"""Lay out what both packages hold below one directory, by the list ``files`` beside this program.

A line of the list has four columns. The kind is ``file``, ``conf`` (a file that belongs to the
operator once it is there), ``dir``, ``link`` (the source is what the link says) or ``tree`` (a
directory with everything in it). The mode is octal, or ``-`` where the source's own counts. A
destination that ends in a slash takes every file that the source's pattern matches, one at least;
one that ends in ``.gz`` is compressed. ``@NAME@`` stands for what ``--set NAME=VALUE`` says.

Every file gets the time of ``SOURCE_DATE_EPOCH``, so that the packages depend on the commit alone.
"""

import argparse
import gzip
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

KINDS = frozenset({"file", "conf", "dir", "link", "tree"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list; *mode* is None where the source's own counts."""

    kind: str
    mode: int | None
    destination: str
    source: str


def read_list(text: str, values: dict[str, str]) -> list[Line]:
    """Read the list, with *values* for the names between at signs.

    Raises `ValueError` for a line that has another form, and for a name that nothing was said for.
    """
    lines = []
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    for number, raw in enumerate(text.splitlines(), 1):
        words = raw.split()
        if not words or raw.startswith("#"):
            continue
        if "@" in raw or len(words) not in {3, 4} or words[0] not in KINDS:
            raise ValueError(f"line {number} of the list of files makes no sense: {raw}")
        if (len(words) == 3) != (words[0] == "dir") or not words[2].startswith("/"):
            raise ValueError(f"line {number} of the list of files makes no sense: {raw}")
        mode = None if words[1] == "-" else int(words[1], 8)
        lines.append(Line(words[0], mode, words[2], words[3] if len(words) == 4 else ""))
    return lines


def stage(lines: Sequence[Line], source: Path, out: Path) -> None:
    """Make below *out* what *lines* say, out of *source*; raise `FileNotFoundError`."""
    for line in lines:
        for single in _singles(line, source):
            _put(single, source, out)


def _singles(line: Line, source: Path) -> Iterator[Line]:
    if not line.destination.endswith("/"):
        yield line
        return
    found = sorted(source.glob(line.source))
    if not found:
        raise FileNotFoundError(f"{line.source}: no such file in {source}")
    for path in found:
        yield Line(line.kind, line.mode, line.destination + path.name, str(path))


def _put(line: Line, source: Path, out: Path) -> None:
    place = out / line.destination.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if line.kind == "dir":
        place.mkdir(exist_ok=True)
    elif line.kind == "link":
        place.symlink_to(line.source)
        return
    elif line.kind == "tree":
        shutil.copytree(source / line.source, place, symlinks=True)
        return
    elif place.suffix == ".gz":
        place.write_bytes(gzip.compress((source / line.source).read_bytes(), 9, mtime=0))
    else:
        shutil.copyfile(source / line.source, place)
    if line.mode is not None:
        place.chmod(line.mode)


def even_out(out: Path, epoch: int, chosen: frozenset[str]) -> None:
    """Give everything below *out* the time *epoch*, and modes that depend on no umask.

    Those of *chosen*, paths as installed, stay; else a directory is 0755, a file 0755 or 0644.
    """
    for place in sorted(out.rglob("*"), reverse=True):
        found = place.lstat()
        if not stat.S_ISLNK(found.st_mode) and f"/{place.relative_to(out)}" not in chosen:
            runs = stat.S_ISDIR(found.st_mode) or found.st_mode & 0o100
            place.chmod(0o755 if runs else 0o644)
        os.utime(place, (epoch, epoch), follow_symlinks=False)
    out.chmod(0o755)
    os.utime(out, (epoch, epoch))


def rpm_list(lines: Sequence[Line], source: Path) -> str:
    """Write the same as the file list of an RPM."""
    written = []
    for line in (single for each in lines for single in _singles(each, source)):
        mark = {"conf": "%config(noreplace) ", "dir": "%dir "}.get(line.kind, "")
        if line.destination.startswith("/usr/share/doc/"):
            mark = "%doc "
        written.append(f"{mark}{line.destination}")
    return "\n".join([*written, ""])


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--list", type=Path, default=Path(__file__).with_name("files"))
    parser.add_argument("--source", type=Path, required=True, help="a checkout")
    parser.add_argument("--out", type=Path, required=True, help="a directory to be made")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--rpm-list", type=Path, help="where to write the file list of the RPM")
    given = parser.parse_args()
    values = dict(each.split("=", 1) for each in given.set)
    try:
        lines = read_list(given.list.read_text("utf-8"), values)
        stage(lines, given.source, given.out)
    except (OSError, ValueError) as error:
        sys.exit(f"stage: {error}")
    chosen = frozenset(
        single.destination
        for line in lines
        if line.mode is not None
        for single in _singles(line, given.source)
    )
    even_out(given.out, int(os.environ["SOURCE_DATE_EPOCH"]), chosen)
    if given.rpm_list is not None:
        given.rpm_list.write_text(rpm_list(lines, given.source), "utf-8")


if __name__ == "__main__":
    main()
