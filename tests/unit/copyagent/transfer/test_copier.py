"""Copies to a real sshd: what arrives, what is kept, and what stops a copy."""

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
    CopyStopped,
    CopyWaits,
    HoldReason,
    SourceChanged,
    SourceErased,
    WaitReason,
)
from copyagent.transfer.progress import CopyProgress, Phase
from tests.support.copy_rig import NOW_NS, CopyRig
from tests.support.sshd import Sshd, make_key

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
    assert done.copy.verified == "command"
    assert done.copy.published_ns == NOW_NS
    assert done.copy.sha256 == hashlib.sha256(content).hexdigest()
    assert done.copy.stamp.token.startswith(f"{published.stat().st_ino} ")
    assert rig.journal.intended[0].sha256 == done.copy.sha256
    assert rig.journal.intended[0].published_ns == 0
    assert rig.staged() == []
    phases = list(dict.fromkeys(step.phase for step in rig.seen))
    assert phases == [Phase.CONNECTING, Phase.SENDING, Phase.VERIFYING, Phase.PUBLISHING]
    assert max(step.done for step in rig.seen) == len(content)


async def test_the_pool_is_made_like_the_source_s(rig: CopyRig) -> None:
    (rig.backing / "BILL").chmod(0o2750)
    rig.write(b"tape")
    assert isinstance(await rig.copy(), CopyDone)
    assert stat.S_IMODE((rig.vault / "BILL").stat().st_mode) == 0o2750
    assert stat.S_IMODE((rig.vault / ".vts-autocopy").stat().st_mode) == 0o700
    assert stat.S_IMODE(rig.at(rig.layout().directory).stat().st_mode) == 0o700


async def test_a_vault_that_is_not_there_is_not_made(rig: CopyRig) -> None:
    rig.write(b"tape")
    rig.vault.rmdir()
    failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert "there is no such directory" in failed.cause
    assert not rig.vault.exists()


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


async def test_tapes_with_like_names_do_not_share_anything(rig: CopyRig) -> None:
    for label in ("A B", "A_B"):
        rig.write(label.encode(), label)
        assert isinstance(await rig.copy(rig.job(label)), CopyDone)
    assert len(list(rig.at(rig.layout().records).iterdir())) == 2


async def test_a_date_beyond_sftp_s_last_one_is_clamped(rig: CopyRig) -> None:
    path = rig.write(b"far future")
    os.utime(path, (5_000_000_000, 5_000_000_000))
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    assert done.copy.stamp.mtime == 0xFFFFFFFF
    again = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(again, CopyDone)
    assert again.sent == 0


# ------------------------------------------------------------------------------- the source


async def test_an_erased_tape_keeps_the_target_s_copy(rig: CopyRig) -> None:
    rig.write(b"first")
    await rig.copy()
    rig.write(b"")
    assert await rig.copy() == SourceErased(gone=False)
    rig.tape().unlink()
    assert await rig.copy() == SourceErased(gone=True)
    assert await rig.copy(rig.job(pool="NONE")) == SourceErased(gone=True)
    assert rig.published().read_bytes() == b"first"


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


def _at(rig: CopyRig, phase: Phase, act: "object") -> None:
    """Call *act* once, when the copy reaches *phase*."""
    todo = [act]

    def on_progress(step: CopyProgress) -> None:
        if step.phase is phase and todo:
            todo.pop()()  # type: ignore[operator]

    rig.on_progress = on_progress


@pytest.mark.parametrize("phase", [Phase.SENDING, Phase.VERIFYING, Phase.PUBLISHING])
async def test_a_tape_opened_during_the_copy_is_not_published(rig: CopyRig, phase: Phase) -> None:
    path = rig.write(b"tape")
    writers = []
    _at(rig, phase, lambda: writers.append(path.open("ab")))
    waits = await rig.copy()
    writers.pop().close()
    assert isinstance(waits, CopyWaits)
    assert waits.reason is WaitReason.OPEN
    assert not rig.published().exists()
    assert rig.staged() == []
    assert not rig.at(rig.layout().intent).exists()


@pytest.mark.parametrize("phase", [Phase.SENDING, Phase.VERIFYING, Phase.PUBLISHING])
@pytest.mark.parametrize("how", ["written", "replaced", "removed", "shortened"])
async def test_a_tape_changed_during_the_copy_is_not_published(
    rig: CopyRig, phase: Phase, how: str
) -> None:
    path = rig.write(bytes(10_000_000))

    def change() -> None:
        if how == "written":
            path.write_bytes(bytes(9_999_999) + b"x")
        elif how == "shortened":
            os.truncate(path, 5)
        else:
            path.unlink()
            if how == "replaced":
                path.write_bytes(bytes(10_000_000))

    _at(rig, phase, change)
    changed = await rig.copy()
    now = rig.job().identity if how != "removed" else None
    assert changed == SourceChanged(now)
    assert not rig.published().exists()
    assert rig.staged() == []


async def test_a_withdrawn_permission_stops_before_the_rename(rig: CopyRig) -> None:
    rig.write(b"tape")
    rig.permit = lambda: False
    assert isinstance(await rig.copy(), CopyStopped)
    assert not rig.published().exists()
    assert rig.staged() == []
    assert not rig.at(rig.layout().intent).exists()


# ------------------------------------------------------------------------------- the target


async def test_an_unknown_file_at_the_target_is_held(rig: CopyRig) -> None:
    rig.write(b"ours")
    rig.published().parent.mkdir()
    rig.published().write_bytes(b"theirs")
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.TARGET_UNKNOWN
    assert held.stamp is not None
    assert held.stamp.size == 6
    assert "6 bytes" in held.detail
    assert rig.published().read_bytes() == b"theirs"

    released = await rig.copy(replace(rig.job(), override=held.stamp))
    assert isinstance(released, CopyDone)
    assert rig.published().read_bytes() == b"ours"


async def test_an_override_is_for_the_state_the_operator_saw(rig: CopyRig) -> None:
    rig.write(b"ours")
    rig.published().parent.mkdir()
    rig.published().write_bytes(b"theirs")
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    rig.published().write_bytes(b"newer!")
    again = await rig.copy(replace(rig.job(), override=held.stamp))
    assert isinstance(again, CopyHeld)
    assert rig.published().read_bytes() == b"newer!"


@pytest.mark.parametrize("how", ["another size", "the same size and date"])
async def test_a_published_tape_that_somebody_changed_is_held(rig: CopyRig, how: str) -> None:
    rig.write(b"first")
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    found = rig.published().stat()
    rig.published().write_bytes(b"edited" if how == "another size" else b"edits")
    os.utime(rig.published(), ns=(found.st_atime_ns, found.st_mtime_ns))
    rig.write(b"second")
    held = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.TARGET_CHANGED
    assert rig.published().read_bytes().startswith(b"edit")


async def test_a_published_tape_that_was_only_touched_is_still_ours(rig: CopyRig) -> None:
    rig.write(b"first")
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    os.utime(rig.published())
    rig.write(b"second")
    again = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(again, CopyDone)
    assert rig.published().read_bytes() == b"second"


async def test_equal_content_is_adopted(rig: CopyRig) -> None:
    rig.write(b"the same")
    rig.published().parent.mkdir()
    rig.published().write_bytes(b"the same")
    inode = rig.published().stat().st_ino
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    assert (done.sent, done.copy.verified) == (0, "adopted")
    assert rig.published().stat().st_ino == inode
    rig.write(b"another")
    again = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(again, CopyDone)
    assert again.sent == 7


async def test_a_lost_state_is_rebuilt_from_the_manifest(rig: CopyRig) -> None:
    rig.write(b"first")
    await rig.copy()
    rig.write(b"second")
    again = await rig.copy()
    assert isinstance(again, CopyDone), "the manifest's digest says that it is ours"
    assert rig.published().read_bytes() == b"second"


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b"[]", b"x" * 100_000])
async def test_a_damaged_manifest_proves_nothing(rig: CopyRig, damage: bytes) -> None:
    rig.write(b"first")
    await rig.copy()
    rig.at(rig.layout().manifest).write_bytes(damage)
    rig.write(b"other")
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.TARGET_UNKNOWN


async def test_unchanged_content_is_not_sent_again(rig: CopyRig) -> None:
    rig.write(b"tape")
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    again = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(again, CopyDone)
    assert (again.sent, again.copy.generation) == (0, 2)
    assert again.copy.stamp == done.copy.stamp


async def test_new_content_with_the_old_identity_is_sent(rig: CopyRig) -> None:
    rig.write(b"tape")
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    found = rig.tape().stat()
    rig.write(b"gape")
    os.utime(rig.tape(), ns=(found.st_atime_ns, found.st_mtime_ns))
    again = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(again, CopyDone)
    assert rig.published().read_bytes() == b"gape"


@pytest.mark.parametrize("kind", ["symlink", "directory", "fifo"])
async def test_a_target_that_is_no_plain_file_is_held(rig: CopyRig, kind: str) -> None:
    rig.write(b"tape")
    rig.published().parent.mkdir()
    if kind == "symlink":
        rig.published().symlink_to("X00002")
    elif kind == "directory":
        rig.published().mkdir()
    else:
        os.mkfifo(rig.published())
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.TARGET_UNKNOWN


@pytest.mark.parametrize("what", ["appeared", "edited", "removed", "replaced by a directory"])
async def test_a_target_changed_during_the_copy_is_held(rig: CopyRig, what: str) -> None:
    rig.write(b"first")
    job = rig.job()
    if what != "appeared":
        done = await rig.copy()
        assert isinstance(done, CopyDone)
        rig.write(b"second")
        job = replace(rig.job(generation=2), base=done.copy)

    def change() -> None:
        rig.published().parent.mkdir(exist_ok=True)
        if what in ("removed", "replaced by a directory"):
            rig.published().unlink()
            if what != "removed":
                rig.published().mkdir()
        else:
            rig.published().write_bytes(b"theirs")

    _at(rig, Phase.SENDING, change)
    held = await rig.copy(job)
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.TARGET_CHANGED
    assert rig.staged() == []


@pytest.mark.parametrize("own", [False, True])
async def test_a_fence_stops_every_publication(rig: CopyRig, own: bool) -> None:
    rig.write(b"tape")
    fence = rig.at(rig.layout().fences[own])
    fence.parent.mkdir(parents=True)
    fence.touch()
    waits = await rig.copy()
    assert isinstance(waits, CopyWaits)
    assert waits.reason is WaitReason.FENCED
    assert str(fence) in waits.detail
    fence.unlink()
    _at(rig, Phase.SENDING, fence.touch)
    waits = await rig.copy()
    assert isinstance(waits, CopyWaits), "raised during the copy"
    assert not rig.published().exists()
    assert rig.staged() == []


async def test_old_stages_of_the_tape_are_removed_and_no_others(rig: CopyRig) -> None:
    rig.write(b"tape")
    mine = rig.at(rig.layout().stage(0, "old"))
    other = rig.at(rig.layout("X00002").stage(0, "old"))
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"half")
    other.write_bytes(b"half")
    assert isinstance(await rig.copy(), CopyDone)
    assert rig.staged() == [other.name]


# ------------------------------------------------------------------------------- the server


async def test_a_wrong_host_key_waits_and_says_what_to_do(rig: CopyRig) -> None:
    rig.write(b"tape")
    waits = await rig.copy(known_hosts=str(rig.sshd.wrong_known_hosts()))
    assert isinstance(waits, CopyWaits)
    assert waits.reason is WaitReason.HOST_KEY
    assert "known_hosts" in waits.detail


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


async def test_a_server_that_runs_no_commands_is_verified_by_reading_back(
    rig: CopyRig,
) -> None:
    content = os.urandom(3_000_000)
    rig.write(content)
    with Sshd(rig.sshd.directory / "bare", sftp_only=True) as bare:
        rig.sshd = bare
        done = await rig.copy()
        assert isinstance(done, CopyDone), done
        assert (done.copy.verified, done.copy.stamp.token) == ("read-back", "")
        assert rig.published().read_bytes() == content
        rig.write(b"second")
        again = await rig.copy(replace(rig.job(generation=2), base=done.copy))
        assert isinstance(again, CopyDone)
        failed = await rig.copy(
            replace(rig.job(generation=3), base=again.copy, intent=done.copy), verify="command"
        )
        assert isinstance(failed, CopyFailed)
        assert "verify: auto" in failed.next_step


async def test_reading_back_can_be_asked_for(rig: CopyRig) -> None:
    rig.write(os.urandom(1_000_000))
    done = await rig.copy(verify="read-back")
    assert isinstance(done, CopyDone)
    assert done.copy.verified == "read-back"


@pytest.mark.parametrize("verify", ["command", "read-back"])
async def test_damage_at_the_target_is_found(rig: CopyRig, verify: str) -> None:
    rig.write(bytes(1_000_000))

    def damage() -> None:
        (stage,) = rig.at(rig.layout().directory).glob("*.stage")
        with stage.open("r+b") as file:
            file.seek(500_000)
            file.write(b"\1")

    _at(rig, Phase.VERIFYING, damage)
    failed = await rig.copy(verify=verify)
    assert isinstance(failed, CopyFailed)
    assert "not what was sent" in failed.cause
    assert not rig.published().exists()
    assert rig.staged() == []
