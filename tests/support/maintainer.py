"""A scratch root for what maintainer scripts do to versions, and a power cut at any of their commands."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Self

from tests.support.nonstop import TREE

FILL = TREE / "packaging" / "maintainer" / "fill"

#: Commands by which the scripts change anything. What only looks cannot be cut off with an effect.
CHANGING = ("cp", "ln", "mkdir", "mv", "rm", "rmdir", "sync")

#: What a tree is made of; enough for one of them to be there and another not.
FILES = ("bin/copyagent", "bin/vtsfs", "lib/a.py", "lib/b.py", "lib/deep/c.py", "sbom.json")

_WRAPPER = """\
#!/bin/sh
read -r count <"$VTS_COUNT"
count=$((count + 1))
echo "$count" >"$VTS_COUNT"
if [ "$count" = "$VTS_CUT_AT" ]; then
    case "$VTS_CUT_HALF {name} $*" in
    "yes cp -al "*)
        {real} "$@"
        for last; do :; done
        {rm} "$last/lib/a.py" "$last/sbom.json"
        ;;
    "yes rm -rf "*)
        for last; do :; done
        {rm} -f "$last/lib/a.py" "$last/sbom.json"
        ;;
    esac
    echo "{name} $*" >"$VTS_COUNT"
    kill -9 0
fi
exec {real} "$@"
"""


class Cut(Exception):
    """The power was cut; *divisible*: what was about to run can be cut off in its middle as well."""

    def __init__(self, command: str) -> None:
        super().__init__(command)
        self.divisible = command.startswith(("cp -al ", "rm -rf "))


@cache
def filled(text: str) -> str:
    """Return the script *text* with the parts that it includes."""
    with subprocess.Popen(
        [FILL, "/dev/stdin", "EXAMPLE_SHA256=none"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        written, _ = process.communicate(text)
    assert process.returncode == 0
    return written


def calling(*calls: str, parts: Sequence[str] = ("versions.sh",)) -> str:
    """Return a script that makes *calls* to functions of *parts*."""
    includes = "\n".join(f"#include {part}" for part in parts)
    return filled(f"#!/bin/sh\nset -eu\n{includes}\n") + "\n".join(calls) + "\n"


class Appliance:
    """A root with `current` and trees of versions, as the scripts find it by ``DPKG_ROOT``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "usr" / "lib" / "vts-autocopy"
        self._count = root / "count"
        self._commands = root / "commands"
        self._quick = root / "quick"
        if self.home.exists():
            return
        self.home.mkdir(parents=True)
        self._commands.mkdir()
        self._quick.mkdir()
        (self._quick / "sync").symlink_to(str(shutil.which("true")))
        for name in CHANGING:
            wrapper = self._commands / name
            # What a disk that is busy with other tests would take minutes for proves nothing here.
            real = shutil.which("true" if name == "sync" else name)
            wrapper.write_text(_WRAPPER.format(name=name, real=real, rm=shutil.which("rm")))
            wrapper.chmod(0o755)

    def again(self, root: Path) -> Self:
        """Return a second one in the same state, in *root*."""
        shutil.copytree(self.root, root, symlinks=True)
        return type(self)(root)

    def run(self, script: str, *arguments: str, cut_at: int = 0, half: bool = False) -> str:
        """Run *script* and return what it wrote to standard error.

        Raises `Cut` when the power goes, before the changing command numbered *cut_at* or, with
        *half*, in its middle; `CalledProcessError` when the script fails.
        """
        self._count.write_text("0\n")
        path = f"{self._quick}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "DPKG_ROOT": str(self.root)}
        if cut_at:
            environment |= {
                "PATH": f"{self._commands}:{os.environ['PATH']}",
                "VTS_COUNT": str(self._count),
                "VTS_CUT_AT": str(cut_at),
                "VTS_CUT_HALF": "yes" if half else "no",
            }
        done = subprocess.run(
            ["/bin/sh", "-c", script, "script", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if done.returncode == -signal.SIGKILL:
            raise Cut(self._count.read_text())
        done.check_returncode()
        return done.stdout + done.stderr

    def unpack(self, version: str, files: Sequence[str] = FILES) -> None:
        """Write *files* of the tree of *version*, each new, as package managers do."""
        for name in files:
            place = self.home / version / name
            place.parent.mkdir(parents=True, exist_ok=True)
            new = place.with_name(f"{place.name}.new")
            new.write_text(version)
            new.chmod(0o755)
            new.replace(place)

    def remove(self, version: str, files: Sequence[str] = FILES) -> None:
        """Remove *files* of the tree of *version*, and its directories that are empty then."""
        for name in files:
            (self.home / version / name).unlink(missing_ok=True)
        for place in sorted((self.home / version).rglob("*"), reverse=True):
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
        if (self.home / version).is_dir() and not any((self.home / version).iterdir()):
            (self.home / version).rmdir()

    def started(self) -> str:
        """Return the version that is started now; its tree has to be whole."""
        tree = self.home / "current"
        texts = {(tree / name).read_text() for name in FILES}
        assert len(texts) == 1, f"{os.readlink(tree)} has files of {texts}"
        return texts.pop()

    def trees(self) -> list[str]:
        """Name what lies beside `current`."""
        return sorted(place.name for place in self.home.iterdir() if place.name != "current")
