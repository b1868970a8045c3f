"""A program of ours that is started by another runs as isolated as that, and finds the same modules."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import vtsfs
from vtsfs.runtime.interpreter import own_command, own_environment


@dataclass(frozen=True)
class Flagged:
    isolated: int
    dont_write_bytecode: int


PACKAGED = Flagged(1, 1)
FROM_SOURCE = Flagged(0, 0)


def test_a_packaged_programs_child_is_isolated_too() -> None:
    command = own_command("vtsfs", "status", flags=PACKAGED)
    assert command == [sys.executable, "-I", "-B", "-m", "vtsfs", "status"]
    kept = {"PATH": "/bin", "PYTHONPATH": "/elsewhere"}
    assert own_environment(kept, PACKAGED) == kept
    assert own_environment({"PATH": "/bin"}, PACKAGED) == {"PATH": "/bin"}


def test_from_source_the_child_finds_what_we_found_first(tmp_path: Path) -> None:
    assert own_command("vtsfs", flags=FROM_SOURCE) == [sys.executable, "-m", "vtsfs"]
    (tmp_path / "vtsfs.py").write_text("raise SystemExit('this is another vtsfs')\n")
    environment = own_environment({**os.environ, "PYTHONPATH": str(tmp_path)}, FROM_SOURCE)
    question = [sys.executable, "-P", "-c", "import vtsfs; print(vtsfs.__file__)"]
    told = subprocess.run(
        question, env=environment, cwd="/", capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == vtsfs.__file__
    assert environment["PYTHONPATH"].endswith(f":{tmp_path}")


def test_a_child_has_the_flags_of_this_process() -> None:
    script = (
        "import subprocess, sys; sys.path.insert(0, sys.argv[1])\n"
        "from vtsfs.runtime.interpreter import own_command\n"
        "print(own_command('x')[1:-1])"
    )
    root = str(Path(vtsfs.__file__).parents[1])
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    told = [
        subprocess.run(
            [sys.executable, *flags, "-c", script, root],
            env=plain,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for flags in ([], ["-B"], ["-I", "-B"])
    ]
    assert told == ["['-m']", "['-B', '-m']", "['-I', '-B', '-m']"]
