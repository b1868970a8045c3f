"""What is mounted where, and whether it answers."""

import errno
import os
import sys
from pathlib import Path

import pytest

from vtsfs.runtime.mount_table import DEAD, Layer, MountProbe, is_ours, layers_at, source_of

TABLE = """\
24 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 24 0:40 / /VAULT00 rw,nosuid,nodev shared:1 - fuse.vtsfs vtsfs\\043VAULT00 rw,user_id=0
31 30 0:41 / /VAULT00 rw,nosuid,nodev - fuse.vtsfs vtsfs\\043VAULT00 rw,user_id=0
32 24 0:42 / /VAULT00x rw - fuse.vtsfs vtsfs\\043VAULT01 rw
33 24 0:43 / /with\\040blank rw - fuse vtsfs\\043VAULT02 rw
"""


def test_layers_bottom_first() -> None:
    layers = layers_at(Path("/VAULT00"), TABLE)
    assert layers == [
        Layer("fuse.vtsfs", "vtsfs#VAULT00", "0:40"),
        Layer("fuse.vtsfs", "vtsfs#VAULT00", "0:41"),
    ]
    assert all(is_ours(layer, "VAULT00") for layer in layers)
    assert not is_ours(layers[0], "VAULT01")
    assert layers_at(Path("/with blank"), TABLE)[0].source == source_of("VAULT02")
    assert layers_at(Path("/elsewhere"), TABLE) == []


def test_ends_of_lines_in_the_names_of_others_are_no_ends_of_lines() -> None:
    for odd in "\r\v\f\x1c\x85\u2028":
        table = f"50 24 0:50 / /home/ann/a{odd}b rw - fuse s{odd}r rw\n{TABLE}"
        assert len(layers_at(Path("/VAULT00"), table)) == 2
        assert [layer.source for layer in layers_at(Path(f"/home/ann/a{odd}b"), table)] == [
            f"s{odd}r"
        ]


def test_the_kernels_own_table_is_read() -> None:
    assert layers_at(Path("/proc"))[-1].fstype == "proc"


def test_a_directory_answers_and_one_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert MountProbe(tmp_path).ask() == 0
    answer = MountProbe(tmp_path / "missing").ask()
    assert answer is not None
    assert os.strerror(answer) == "No such file or directory"
    assert answer not in DEAD


def test_asking_needs_no_file_of_the_version_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an upgrade unpacks, the files of the running version are not where they were."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python3.13"))
    assert MountProbe(tmp_path).ask() == 0
    assert MountProbe(tmp_path / "missing").ask() == errno.ENOENT


def test_the_answer_is_read_in_every_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert MountProbe(tmp_path / "missing: File exists").ask() == errno.ENOENT
    (tmp_path / "file").touch()
    assert MountProbe(tmp_path / "file" / "x").ask() == errno.ENOTDIR


def test_who_asks_what_does_not_answer_is_not_held_and_asks_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for stat(1) hangs as that does at a frozen overlay."""
    hanging = tmp_path / "stat"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    probe = MountProbe(tmp_path, patience_s=0.0)
    assert probe.ask() is None
    children = [probe._child]
    assert probe.ask() is None
    children.append(probe._child)
    probe.give_up()
    children.append(probe._child)
    first, second, none = children
    assert first is not None
    assert second is first
    assert none is None
    os.waitpid(first.pid, 0)
