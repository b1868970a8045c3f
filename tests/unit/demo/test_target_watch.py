import os
from pathlib import Path

from tests.demo.content import sha256
from tests.demo.target_watch import TargetWatch
from tests.support.waiting import wait_until


def looked(watch: TargetWatch, more: int = 3) -> None:
    wanted = watch.looks + more
    wait_until(lambda: watch.looks >= wanted, 10.0, "the watch looks")


def publish(path: Path, content: bytes) -> None:
    stage = path.with_name("stage")
    stage.write_bytes(content)
    stage.replace(path)


def test_every_file_that_bore_the_name_is_known(tmp_path: Path) -> None:
    path = tmp_path / "X00001"
    path.write_bytes(b"one")
    digests = [sha256(path)]
    with TargetWatch(path) as watch:
        publish(path, b"two")
        looked(watch)
        digests.append(sha256(path))
        publish(path, b"three")
        looked(watch)
        digests.append(sha256(path))
    assert watch.digests == digests
    assert not watch.rewritten
    assert not watch.missing


def test_a_file_written_in_place_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "X00001"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))
    with TargetWatch(path) as watch:
        path.write_bytes(b"two")
        looked(watch)
    assert watch.rewritten


def test_a_name_that_was_gone_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "X00001"
    path.write_bytes(b"one")
    with TargetWatch(path) as watch:
        path.unlink()
        looked(watch)
    assert watch.missing
