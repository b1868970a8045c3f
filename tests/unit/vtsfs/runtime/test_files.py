import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vtsfs.contract.errors import AgentBusy, AttachError, StateError, VaultBusy
from vtsfs.runtime.files import (
    fsync_directory,
    group_id,
    lock_file,
    lock_holder,
    private_directory,
    write_atomic,
)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_atomic(path, b"old")
    write_atomic(path, b"new" * 100_000, mode=0o644)
    assert path.read_bytes() == b"new" * 100_000
    assert mode_of(path) == 0o644
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_failing_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    """The child may write files of 4 KiB at most, which is what a full disk or quota looks like."""
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from vtsfs.runtime.files import write_atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write_atomic(Path(sys.argv[1]), b'x' * 10_000)\n"
        "except OSError as error: sys.exit(error.errno)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert ended.returncode == errno.EFBIG
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_failing_rename_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(path, b"new")
    assert os.listdir(tmp_path) == ["directory"]


def test_a_directory_can_be_synced_and_a_file_cannot(tmp_path: Path) -> None:
    fsync_directory(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        fsync_directory(tmp_path / "file")


def test_a_lock_excludes_and_names_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock_file(path):
        with pytest.raises(AgentBusy, match=f"locked by process {os.getpid()}"):
            with lock_file(path):
                pass
        with pytest.raises(VaultBusy):
            with lock_file(path, VaultBusy):
                pass
    with lock_file(path):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import sys; from pathlib import Path\n"
        "from vtsfs.runtime.files import lock_file\n"
        "with lock_file(Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(AgentBusy, match=str(process.pid)):
            with lock_file(path):
                pass
        process.kill()
        process.wait()
    with lock_file(path):
        assert path.read_text(encoding="ascii") == f"{os.getpid()}\n"


def test_who_holds_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert lock_holder(path) is None
    with lock_file(path):
        assert lock_holder(path) == os.getpid()
        path.write_text("no number")
        assert lock_holder(path) == 0
    path.write_text(f"{os.getpid()}\n")
    assert lock_holder(path) is None
    with lock_file(path):
        pass


def test_who_asks_for_the_holder_does_not_keep_the_next_one_from_locking(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        # What `lock_holder` holds for an instant, held here for rather longer.
        release = threading.Timer(0.02, fcntl.flock, (fd, fcntl.LOCK_UN))
        release.start()
        with lock_file(path):
            assert lock_holder(path) == os.getpid()
        release.join()
    finally:
        os.close(fd)


def test_a_deleted_lock_file_is_no_lock_to_wait_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock_file(path):
        path.unlink()
        with lock_file(path):
            assert path.exists()


def test_a_lock_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be opened: No such file"):
        with lock_file(tmp_path / "missing" / "lock"):
            pass
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError):
        with lock_file(tmp_path / "link"):
            pass


def test_a_private_directory_is_made_and_mended(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    private_directory(path)
    assert mode_of(path) == 0o700
    path.chmod(0o775)
    private_directory(path, 0o750, os.getegid())
    assert mode_of(path) == 0o750
    assert path.stat().st_gid == os.getegid()


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o1755, 0o757])
@pytest.mark.parametrize("wanted", [0o700, 0o755])
def test_a_directory_that_others_share_is_refused_and_left_alone(
    tmp_path: Path, mode: int, wanted: int
) -> None:
    path = tmp_path / "shared"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(StateError, match=f"{path} is shared .mode {mode:04o}.*in the settings"):
        private_directory(path, wanted)
    assert mode_of(path) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another group")
def test_a_directory_that_another_group_writes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "team"
    path.mkdir()
    os.chown(path, -1, 65534)
    path.chmod(0o2775)
    with pytest.raises(StateError, match="is shared"):
        private_directory(path, 0o755)
    assert mode_of(path) == 0o2775


@pytest.mark.parametrize("mode", [0o700, 0o711, 0o750, 0o755, 0o2755])
def test_a_directory_that_is_strict_enough_is_left_as_it_is(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "there"
    path.mkdir()
    path.chmod(mode)
    private_directory(path, 0o755)
    assert mode_of(path) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could take what is somebody else's")
def test_root_takes_no_directory_of_somebody_else_over(tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    path.mkdir(mode=0o755)
    os.chown(path, 65534, 65534)
    with pytest.raises(StateError, match="belongs to uid 65534"):
        private_directory(path, 0o700)
    assert (mode_of(path), path.stat().st_uid) == (0o755, 65534)


def test_a_private_directory_is_no_symlink_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    for name in ("link", "file", "file/below"):
        with pytest.raises(AttachError, match="cannot be prepared"):
            private_directory(tmp_path / name, error=AttachError)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_directory_of_somebody_else_is_refused(scratch: Path) -> None:
    path = scratch / "theirs"
    path.mkdir(mode=0o777)
    code = (
        "import os, sys; from pathlib import Path\n"
        "from vtsfs.contract.errors import StateError\n"
        "from vtsfs.runtime.files import private_directory\n"
        "os.setuid(65534)\n"
        "try: private_directory(Path(sys.argv[1]))\n"
        "except StateError as error: print(error)\n"
    )
    for directory in (scratch, path):
        directory.chmod(0o777)
    ended = subprocess.run(
        [sys.executable, "-c", code, path], check=True, capture_output=True, text=True
    )
    assert "belongs to uid 0" in ended.stdout


def test_groups_by_name_or_number() -> None:
    assert group_id(7, StateError) == 7
    assert group_id("root", StateError) == 0
    with pytest.raises(StateError, match="no group 'no-such-group'"):
        group_id("no-such-group", StateError)
