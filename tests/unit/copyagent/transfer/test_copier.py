"""Copies to a real sshd: what arrives, what is not copied, and how failures are told."""

import hashlib
import os
import stat
from dataclasses import replace

import pytest
import trio

from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyWaits,
    HoldReason,
    SourceChanged,
    SourceErased,
    WaitReason,
)
from copyagent.transfer.progress import Phase
from tests.support.copy_rig import NOW_NS, CopyRig
from tests.support.sshd import make_key

pytestmark = pytest.mark.ssh


async def test_a_tape_arrives_whole(rig: CopyRig) -> None:
    content = os.urandom(9_000_001)
    path = rig.write(content)
    path.chmod(0o640)
    os.utime(path, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))

    done = await rig.copy()

    assert isinstance(done, CopyDone), done
    published = rig.published()
    assert published.read_bytes() == content
    assert stat.S_IMODE(published.stat().st_mode) == 0o640
    assert int(published.stat().st_mtime) == 1_500_000_000
    assert done.sent == len(content)
    assert done.copy.verified == "sha256"
    assert done.copy.published_ns == NOW_NS
    assert done.copy.sha256 == hashlib.sha256(content).hexdigest()
    assert done.copy.stamp.token.startswith(f"{published.stat().st_ino} ")
    assert rig.journal.intended[0].sha256 == done.copy.sha256
    assert rig.journal.intended[0].published_ns == 0
    assert rig.staged() == []
    phases = list(dict.fromkeys(step.phase for step in rig.seen))
    assert phases == [Phase.CONNECTING, Phase.SENDING, Phase.VERIFYING, Phase.PUBLISHING]
    assert max(step.done for step in rig.seen) == len(content)


@pytest.mark.parametrize(
    "label", ["A B", "quote'\"$(touch x)", "-rf", "*", "new\nline", "ü", "\udcff\udc80", "x" * 200]
)
async def test_odd_labels_arrive_under_their_own_names(rig: CopyRig, label: str) -> None:
    rig.write(b"odd", label)
    done = await rig.copy(rig.job(label))
    assert isinstance(done, CopyDone), done
    assert os.listdir(rig.vault / "BILL") == [label]
    again = await rig.copy(replace(rig.job(label, 2), base=done.copy))
    assert isinstance(again, CopyDone)
    assert again.sent == 0


async def test_a_date_beyond_sftp_s_last_one_is_clamped(rig: CopyRig) -> None:
    path = rig.write(b"far future")
    os.utime(path, (5_000_000_000, 5_000_000_000))
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    assert done.copy.stamp.mtime == 0xFFFFFFFF
    again = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(again, CopyDone)
    assert again.sent == 0


async def test_an_erased_tape_keeps_the_target_s_copy(rig: CopyRig) -> None:
    rig.write(b"first")
    await rig.copy()
    rig.write(b"")
    assert await rig.copy() == SourceErased(gone=False)
    rig.tape().unlink()
    assert await rig.copy() == SourceErased(gone=True)
    away = await rig.copy(rig.job(pool="NONE"))
    assert isinstance(away, CopyFailed), "a pool that is not there may be storage not mounted"
    assert "NONE" in away.cause
    assert rig.published().read_bytes() == b"first"


async def test_what_is_sent_was_durable_here_first(
    rig: CopyRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = rig.write(b"written behind the overlay")
    synced: list[tuple[int, bool]] = []
    really = os.fsync

    def fsync(fd: int) -> None:
        synced.append((os.fstat(fd).st_ino, rig.published().exists() or bool(rig.staged())))
        really(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    done = await rig.copy()
    assert isinstance(done, CopyDone), done
    assert synced[0] == (path.stat().st_ino, False)


@pytest.mark.parametrize("kind", ["symlink", "dangling", "fifo", "directory", "hard link"])
async def test_what_is_no_plain_tape_is_held(rig: CopyRig, kind: str) -> None:
    path = rig.tape()
    other = rig.backing / "other"
    other.write_bytes(b"secret")
    match kind:
        case "symlink":
            path.symlink_to(other)
        case "dangling":
            path.symlink_to("nowhere")
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case _:
            path.hardlink_to(other)
    with trio.fail_after(5):
        held = await rig.copy(replace(rig.job(), identity=None))
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.SOURCE_UNFIT
    assert not rig.published().exists()


async def test_a_pool_that_is_a_symlink_is_not_followed(rig: CopyRig) -> None:
    elsewhere = rig.backing.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "X00001").write_bytes(b"secret")
    (rig.backing / "LINK").symlink_to(elsewhere)
    held = await rig.copy(replace(rig.job(), tape=rig.layout(pool="LINK").tape, identity=None))
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.SOURCE_UNFIT


async def test_storage_that_is_not_there_is_a_failure_not_an_erased_tape(rig: CopyRig) -> None:
    job = rig.job()
    (rig.backing / "BILL").rmdir()
    rig.backing.rmdir()
    failed = await rig.copy(job)
    assert isinstance(failed, CopyFailed)
    assert "No such file or directory" in failed.cause
    assert not failed.unreachable


async def test_a_tape_that_is_open_for_writing_waits(rig: CopyRig) -> None:
    path = rig.write(b"tape")
    job = rig.job()
    with path.open("ab"):
        waits = await rig.copy(job)
        assert isinstance(waits, CopyWaits)
        assert waits.reason is WaitReason.OPEN
        os.truncate(path, 0)
        waits = await rig.copy(job)
        assert isinstance(waits, CopyWaits), "cut to nothing by a writer is open, not erased"
    assert rig.seen == [], "nothing may be connected for this"


async def test_another_tape_than_ordered_is_not_copied(rig: CopyRig) -> None:
    rig.write(b"first")
    job = rig.job()
    rig.write(b"second")
    changed = await rig.copy(job)
    assert changed == SourceChanged(rig.job().identity)
    assert not rig.published().exists()


async def test_a_wrong_host_key_waits_and_says_whose(rig: CopyRig) -> None:
    rig.write(b"tape")
    waits = await rig.copy(known_hosts=str(rig.sshd.wrong_known_hosts()))
    assert isinstance(waits, CopyWaits)
    assert waits.reason is WaitReason.HOST_KEY
    assert str(rig.sshd.port) in waits.detail
    assert "host key" in waits.detail


async def test_a_refused_key_and_a_dead_server_are_failures_of_the_target(rig: CopyRig) -> None:
    rig.write(b"tape")
    other = make_key(rig.sshd.directory / "other")
    failed = await rig.copy(key=str(other))
    assert isinstance(failed, CopyFailed)
    assert failed.unreachable
    assert "authorized_keys" in failed.next_step
    rig.sshd.stop()
    failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert failed.unreachable
    assert "Connection refused" in failed.cause
