"""Wheels and sources from the package index: fetched by digest, kept in the cache, unpacked."""

import base64
import csv
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bundling.cache import kept
from bundling.lock import COMPILED, BundleError, Pin, digest_of, requirements

#: The Python that the wheels are for.
PYTHON = "3.13"
#: The oldest C library that has to do (PEP 600): wheels for it and for older ones are taken.
NEWEST_GLIBC = (2, 28)
_OLDEST_GLIBC = (2, 5)
_LEGACY = ("manylinux2014", "manylinux2010", "manylinux1")


def fetch_all(pins: dict[str, Pin], cache: Path) -> Path:
    """Return a directory with a wheel of each entry, and with the source of what is compiled.

    pip compares every file with the lock's digests. Raises `BundleError` if one cannot be had.
    """

    def make(to: Path) -> None:
        _download(requirements(pins, pins.keys() - set(COMPILED)), to, _wheel_options())
        _download(requirements(pins, set(COMPILED)), to, _source_options())

    key = digest_of(*(pins[name].text for name in sorted(pins)), _recipe())
    return kept(cache / "wheels" / key[:32], make)


def _recipe() -> str:
    return " ".join((*_wheel_options(), *_source_options(), *COMPILED))


def _wheel_options() -> list[str]:
    tags = [f"manylinux_2_{n}_x86_64" for n in range(NEWEST_GLIBC[1], _OLDEST_GLIBC[1] - 1, -1)]
    platforms = [*tags, *(f"{old}_x86_64" for old in _LEGACY), "any"]
    # pip by itself would take what suits the machine that builds, which may be newer.
    return [
        *(word for platform in platforms for word in ("--platform", platform)),
        *("--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"),
        *("--abi", "cp" + PYTHON.replace(".", ""), "--abi", "abi3", "--abi", "none"),
    ]


def _source_options() -> list[str]:
    return ["--no-binary=:all:", "--no-build-isolation"]


def _download(lines: str, to: Path, options: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(lines)
        file.flush()
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"),
                *("download", "--no-deps", "--require-hashes", "-d", str(to)),
                *(*options, "-r", file.name),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if ended.returncode:
        raise BundleError(
            f"{ended.stdout[-2000:]}{ended.stderr[-2000:]}\nwhat is bundled could not be fetched:"
            " see the lines above (is the package index reachable?), then try again"
        )


def find_wheel(folder: Path, pin: Pin) -> Path:
    """Return the wheel of *pin* in *folder*; raises `BundleError` if it is not there."""
    stem = pin.name.replace("-", "_")
    return _only(folder, pin, [*folder.glob(f"{stem}-{pin.version}-*.whl")])


def find_source(folder: Path, pin: Pin) -> Path:
    """Return the source archive of *pin* in *folder*; raises `BundleError` if it is not there."""
    return _only(folder, pin, [*folder.glob(f"{pin.name}-{pin.version}.tar.gz")])


def _only(folder: Path, pin: Pin, found: list[Path]) -> Path:
    if len(found) != 1:
        raise BundleError(
            f"{folder}: {pin.name} {pin.version} is there {len(found)} times; remove that directory"
        )
    return found[0]


def unpack(wheel: Path, to: Path) -> None:
    """Unpack *wheel* into the directory *to*, without its scripts and headers.

    Every file is compared with the digest in the wheel's own list (RECORD). Raises `BundleError` if
    one differs, is not listed, or would lie outside.
    """
    with zipfile.ZipFile(wheel) as archive:
        digests = _record(archive)
        for info in archive.infolist():
            inside = _place_of(info.filename)
            if info.is_dir() or inside is None:
                continue
            data = archive.read(info)
            if not info.filename.endswith(("/RECORD", "/RECORD.jws")):
                _compare(wheel, info.filename, data, digests)
            path = to.joinpath(*inside.parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def _record(archive: zipfile.ZipFile) -> dict[str, str]:
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
    rows = csv.reader(archive.read(name).decode("utf-8").splitlines())
    return {row[0]: row[1] for row in rows if row}


def _compare(wheel: Path, name: str, data: bytes, digests: dict[str, str]) -> None:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    if digests.get(name) != f"sha256={digest}":
        raise BundleError(f"{wheel}: {name} is not what the wheel's list says; remove the cache")


def _place_of(name: str) -> PurePosixPath | None:
    """Return where a file of a wheel goes; None for what is not wanted (PEP 427, ``.data``)."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise BundleError(f"a wheel wants to write outside of the tree: {name}")
    if path.parts[0].endswith(".data"):
        if path.parts[1] not in {"purelib", "platlib"}:
            return None
        return PurePosixPath(*path.parts[2:])
    return path


def installed(site: Path) -> Iterator[Path]:
    """Go through the metadata directories in *site*, by name."""
    yield from sorted(site.glob("*.dist-info"))


def drop_record(site: Path) -> None:
    """Remove from *site* what tells how its packages came there; names and versions stay."""
    for info in installed(site):
        for name in ("RECORD", "RECORD.jws", "INSTALLER", "REQUESTED", "direct_url.json", "WHEEL"):
            (info / name).unlink(missing_ok=True)
        # The texts are where all licences are, and the bills in the tree's own.
        for name in ("licenses", "sboms"):
            shutil.rmtree(info / name, ignore_errors=True)
