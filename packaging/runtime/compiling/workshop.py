"""Where stages are compiled: one fixed directory, taken by one build at a time, and the cache.

The directory is the same for everybody, so that what compilers write down of it is too.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compiling.archive import Archive
from compiling.sources import Choice, Component, debian_of, orig_of
from compiling.stages import patches_to_apply

PLACE: Final = Path("/var/tmp/vts-autocopy-build")  # noqa: S108 - taken with a lock, its owner checked
NEEDED_MB: Final = 3072
HERE: Final = Path(__file__).resolve().parents[1]


class BuildError(RuntimeError):
    """The runtime cannot be built; the message says why and what to do."""


@dataclass(frozen=True)
class Stage:
    """One component about to be compiled."""

    component: Component
    choice: Choice
    key: str
    needs: tuple[Path, ...]
    """Results of the stages that it is linked against."""


def say(text: str) -> None:
    """Tell the person who waits; standard output is for the result alone."""
    sys.stderr.write(f"runtime: {text}\n")
    sys.stderr.flush()


def check_space(*places: Path, needed_mb: int = NEEDED_MB) -> None:
    """Raise BuildError unless each of *places* is on a disk with room for a build."""
    for place in places:
        free = shutil.disk_usage(place).free // (1 << 20)
        if free < needed_mb:
            raise BuildError(
                f"the disk of {place} has {free} MB free, and {needed_mb} MB are needed: free some, "
                "or name another cache with VTS_PACKAGES_CACHE=/path."
            )


@dataclass(frozen=True)
class Taken:
    """The directory that a build has for itself, and the open descriptor that locks it."""

    place: Path
    lock: int


@contextmanager
def taken(place: Path = PLACE) -> Iterator[Taken]:
    """Have *place* for oneself, waiting for another build to end; it is removed when it is empty.

    Raises BuildError if it belongs to another user.
    """
    while True:
        place.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid != os.getuid():
                raise BuildError(
                    f"{place} belongs to another user (number {os.fstat(descriptor).st_uid}), and "
                    "everything is compiled there so that it comes out the same everywhere: wait "
                    "for their build to end, or have the directory removed if none is running."
                )
            _lock(descriptor, place)
            if _still_there(descriptor, place):
                break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    try:
        yield Taken(place, descriptor)
    finally:
        shutil.rmtree(place / "runtime", ignore_errors=True)
        try:
            place.rmdir()
        except OSError:
            pass  # Another part of the packaging keeps something there.
        os.close(descriptor)


def _lock(descriptor: int, place: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"another build has {place}: waiting for it to end")
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _still_there(descriptor: int, place: Path) -> bool:
    # Who had it before may have removed it after we opened it.
    try:
        return os.path.samestat(os.fstat(descriptor), place.stat())
    except FileNotFoundError:
        return False


def ninja_of(tools: Path) -> Path:
    """Find ninja's program where its wheel has it."""
    return next(tools.glob("ninja-*.data/scripts/ninja"))


class Workshop:
    """Compiles stages at *place* and keeps their results in *cache*."""

    def __init__(
        self,
        taken: Taken,
        cache: Path,
        archive: Archive,
        *,
        epoch: int,
        recipes: Path = HERE / "recipes",
    ) -> None:
        self._root = taken.place / "runtime"
        self._lock = taken.lock
        self._cache = cache
        self._archive = archive
        self._epoch = epoch
        self._recipes = recipes

    def tools(self, key: str) -> Path:
        """Have compiler and builders in the cache, with their digests checked; return where."""
        kept = self._cache / "tools" / key[:16]
        if kept.is_dir():
            return kept
        say("fetching the compiler (100 MB)")
        with self.arriving(kept) as arriving, tempfile.TemporaryDirectory() as wheels:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            command += ["--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"]
            command += ["--dest", wheels, "--requirement", str(HERE / "tools.lock")]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            if ended.returncode:
                raise BuildError(
                    f"the compiler could not be fetched:\n{ended.stderr.strip()}\nSee whether the "
                    "package index can be reached, then try again."
                )
            for wheel in sorted(Path(wheels).iterdir()):
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(arriving)
            for program in (arriving / "ziglang" / "zig", ninja_of(arriving)):
                program.chmod(0o755)
        return kept

    def result(self, stage: Stage, tools: Path) -> Path:
        """Have the result of *stage* in the cache, compiling it if it is not; return where."""
        kept = self._cache / "stages" / f"{stage.component.name}-{stage.key[:16]}"
        if kept.is_dir():
            return kept
        say(f"compiling {stage.component.name} {stage.choice.revision}")
        started = time.monotonic()
        shutil.rmtree(self._root, ignore_errors=True)
        for name in ("out", "licences", "deps"):
            (self._root / name).mkdir(parents=True)
        patches = self._unpack(stage)
        for need in stage.needs:
            shutil.copytree(need / "files", self._root / "deps", symlinks=True, dirs_exist_ok=True)
        self._bench(tools)
        self._run_recipe(stage)
        with self.arriving(kept) as arriving:
            result = self._root / "out" / (self._root / "deps").relative_to("/")
            shutil.copytree(result, arriving / "files", symlinks=True)
            shutil.copytree(self._root / "licences", arriving / "licences")
            (arriving / "patches.json").write_text(json.dumps(patches), encoding="utf-8")
        shutil.rmtree(self._root)
        say(f"compiled {stage.component.name} in {time.monotonic() - started:.0f} s")
        return kept

    def _unpack(self, stage: Stage) -> dict[str, Sequence[str]]:
        files = stage.choice.files
        source = self._root / "source"
        source.mkdir()
        orig = orig_of(files)
        assert orig is not None  # noqa: S101 - the lock's reader has seen to it
        self._tar(self._archive.path(orig, files[orig]), source, "--strip-components=1")
        applied: Sequence[str] = ()
        left_out: Sequence[str] = ()
        debian = debian_of(files)
        if debian is not None:
            self._tar(self._archive.path(debian, files[debian]), self._root)
            patches = self._root / "debian" / "patches"
            series = patches / "series"
            text = series.read_text(encoding="utf-8") if series.exists() else ""
            applied, left_out = patches_to_apply(text, stage.component.leave_out)
            for name in applied:
                self._patch(patches / name, source, stage)
        # A patched input newer than what is generated from it would have make generate it anew.
        for directory, names, leaves in os.walk(source):
            for name in (*names, *leaves):
                path = os.path.join(directory, name)
                os.utime(path, (self._epoch, self._epoch), follow_symlinks=False)
        return {"applied": list(applied), "left_out": list(left_out)}

    @staticmethod
    def _tar(file: Path, into: Path, *options: str) -> None:
        command = [
            "tar",
            "--extract",
            "--no-same-owner",
            *options,
            "-f",
            str(file),
            "-C",
            str(into),
        ]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise BuildError(
                f"{file.name} cannot be unpacked: {ended.stderr.strip()}. Is xz-utils there, and "
                "the disk not full? Then try again."
            )

    @staticmethod
    def _patch(patch: Path, source: Path, stage: Stage) -> None:
        command = ["patch", "-p1", "-F0", "--batch", "--no-backup-if-mismatch", "-i", str(patch)]
        ended = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise BuildError(
                f"Debian's patch {patch.name} does not fit {stage.component.name} "
                f"{stage.choice.revision}:\n{ended.stdout.strip()}\nIf it is about Debian's own "
                f"layout, name it under 'leave_out' of {stage.component.name} in sources.lock."
            )

    def _bench(self, tools: Path) -> None:
        programs = self._root / "bin"
        programs.mkdir()
        shutil.copy(HERE / "compiler", programs / "compiler")
        for name in ("cc", "ar", "ranlib"):
            (programs / name).symlink_to("compiler")
        (programs / "zig").symlink_to(tools / "ziglang")
        (programs / "ninja").symlink_to(ninja_of(tools))
        meson = programs / "meson"
        meson.write_text(
            f'#!/bin/sh\nexport PYTHONPATH="{tools}"\n'
            f'exec "{sys.executable}" -B -m mesonbuild.mesonmain "$@"\n',
            encoding="utf-8",
        )
        meson.chmod(0o755)

    def _run_recipe(self, stage: Stage) -> None:
        log = self._cache / "logs" / f"{stage.component.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        recipe = self._recipes / stage.component.name
        with log.open("wb") as output:
            # It has the lock, too: should this process be killed, no other build begins before the
            # recipe has come to its end.
            process = subprocess.Popen(
                [HERE / "stage", recipe],
                cwd=self._root / "source",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[self._lock],
                process_group=0,
            )
            try:
                status = process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
        if status:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            last = "\n".join(lines[-20:])
            raise BuildError(
                f"{stage.component.name} did not compile. The last lines of {log}:\n{last}\nWhat to "
                f"do: see there what is missing ('packaging/setup/prepare --packages' installs what "
                f"building needs); the recipe is {recipe}. What is compiled already is kept."
            )

    def _environment(self) -> Mapping[str, str]:
        # Nothing of the caller's environment, lest it end up in what is compiled. What is the same
        # for every build the script `stage` sets, whose text is part of every stage's key.
        return {
            "SOURCE_DATE_EPOCH": str(self._epoch),
            "ZIG_GLOBAL_CACHE_DIR": str(self._cache / "zig"),
            "BENCH": str(self._root / "bin"),
            "DEPS": str(self._root / "deps"),
            "OUT": str(self._root / "out"),
            "LICENCES": str(self._root / "licences"),
            "JOBS": str(len(os.sched_getaffinity(0))),
        }

    @contextmanager
    def arriving(self, kept: Path) -> Iterator[Path]:
        """Have a directory beside *kept* that becomes it, if all went well."""
        # A result is in the cache whole or not at all.
        kept.parent.mkdir(parents=True, exist_ok=True)
        arriving = Path(tempfile.mkdtemp(prefix=f".{kept.name}.", dir=kept.parent))
        try:
            yield arriving
            arriving.chmod(0o755)
            arriving.rename(kept)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
