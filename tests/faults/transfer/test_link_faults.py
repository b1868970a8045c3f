"""The link or the server dies, freezes or wakes up late; the target's name never shows it."""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from copyagent.core.copying import CopyDone, CopyFailed, CopyJob, CopyOutcome
from copyagent.transfer.progress import CopyProgress, Phase
from tests.support.copy_rig import CopyRig, yes
from tests.support.processes import ProcessId, descendants, send_signal
from tests.support.tcp_proxy import TcpProxy, open_proxy
from tests.support.waiting import wait_until_async

pytestmark = [pytest.mark.ssh, pytest.mark.slow]

MIB = 1024 * 1024


def once_sent(rig: CopyRig, bytes_sent: int, act: Callable[[], None]) -> None:
    """Call *act* when the target has acknowledged *bytes_sent* bytes."""
    todo = [act]

    def on_progress(step: CopyProgress) -> None:
        if todo and step.phase is Phase.SENDING and step.done >= bytes_sent:
            todo.pop()()

    rig.on_progress = on_progress


@asynccontextmanager
async def always_complete(rig: CopyRig, *contents: bytes) -> AsyncIterator[None]:
    """Watch the target's name all the time: it is absent or holds one of *contents*, whole."""
    sizes = {len(content) for content in contents}
    looked = 0

    async def watch() -> None:
        nonlocal looked
        while True:
            try:
                assert os.stat(rig.published()).st_size in sizes
            except FileNotFoundError:
                pass
            looked += 1
            await trio.sleep(0.002)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        yield
        nursery.cancel_scope.cancel()
    assert looked
    if rig.published().exists():
        assert rig.published().read_bytes() in contents


def retried(rig: CopyRig, job: CopyJob, attempt: CopyOutcome) -> CopyJob:
    """Give the next order, as the agent's state would: an intent stays until it is recorded."""
    assert isinstance(attempt, CopyFailed), attempt
    return replace(job, intent=rig.journal.intended[-1] if rig.journal.intended else None)


def pin(rig: CopyRig, proxy: TcpProxy) -> None:
    line = rig.sshd.known_hosts.read_text()
    rig.sshd.known_hosts.write_text(line + line.replace(f":{rig.sshd.port} ", f":{proxy.port} "))


async def test_a_killed_sshd_leaves_the_old_tape_and_the_next_attempt_copies(
    rig: CopyRig,
) -> None:
    old, new = os.urandom(MIB), os.urandom(40 * MIB)
    rig.write(old)
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    rig.write(new)
    job = replace(rig.job(generation=2), base=done.copy)
    async with always_complete(rig, old, new):
        once_sent(rig, 10 * MIB, rig.sshd.kill)
        failed = await rig.copy(job)
        assert isinstance(failed, CopyFailed)
        assert failed.unreachable
        assert rig.published().read_bytes() == old
        rig.sshd.start()
        assert isinstance(await rig.copy(retried(rig, job, failed)), CopyDone)
    assert rig.published().read_bytes() == new
    assert rig.staged() == []


async def test_a_frozen_server_is_given_up_and_wakes_up_to_no_effect(rig: CopyRig) -> None:
    first, second = os.urandom(24 * MIB), os.urandom(24 * MIB)
    rig.write(first)
    frozen: list[ProcessId] = []

    def freeze() -> None:
        frozen.extend(rig.sshd.sessions())
        for process in frozen:
            send_signal(process, signal.SIGSTOP)

    once_sent(rig, 4 * MIB, freeze)
    started = trio.current_time()
    failed = await rig.copy(keepalive="300ms")
    assert isinstance(failed, CopyFailed)
    assert failed.unreachable
    assert trio.current_time() - started < 8
    rig.write(second)
    async with always_complete(rig, second):
        assert isinstance(await rig.copy(rig.job(generation=2)), CopyDone)
        for process in frozen:
            send_signal(process, signal.SIGCONT)
        await wait_until_async(
            lambda: not set(frozen) & set(rig.sshd.sessions()), 10, "the woken sessions end"
        )
    assert rig.published().read_bytes() == second


async def test_a_frozen_sftp_process_behind_a_living_sshd_is_given_up(rig: CopyRig) -> None:
    rig.write(os.urandom(40 * MIB))
    frozen: list[ProcessId] = []

    def freeze() -> None:
        frozen.extend(one for one in rig.sshd.sessions() if not descendants(one.pid))
        for process in frozen:
            send_signal(process, signal.SIGSTOP)

    once_sent(rig, 2 * MIB, freeze)
    failed = await rig.copy(patience_s=1.0)
    for process in frozen:
        send_signal(process, signal.SIGCONT)
    assert isinstance(failed, CopyFailed)
    assert failed.unreachable
    assert not rig.published().exists()


async def test_a_line_that_swallows_everything_is_given_up(rig: CopyRig) -> None:
    rig.write(os.urandom(8 * MIB))
    async with open_proxy(rig.sshd.port) as proxy:
        pin(rig, proxy)
        proxy.stall_after(2 * MIB)
        with trio.fail_after(15):
            failed = await rig.copy(port=proxy.port, keepalive="300ms")
    assert isinstance(failed, CopyFailed)
    assert failed.unreachable


async def test_a_slow_line_is_not_a_dead_one(rig: CopyRig) -> None:
    """Neither keep-alive nor patience is long enough for the whole, only for each answer."""
    rig.write(os.urandom(2 * MIB))
    async with open_proxy(rig.sshd.port, rate=MIB) as proxy:
        pin(rig, proxy)
        started = trio.current_time()
        done = await rig.copy(port=proxy.port, keepalive="300ms", patience_s=1.0)
    assert isinstance(done, CopyDone), done
    assert trio.current_time() - started > 2


# What is done at the target is the same for both; only what is read afterwards differs.
@pytest.mark.parametrize(("verify", "every"), [("auto", 1), ("readback", 3)])
async def test_a_connection_cut_at_any_request_is_recovered_from(
    rig: CopyRig, verify: str, every: int
) -> None:
    """Cut a small copy at many places between log-in and end, closely where it is published."""
    old = b"the generation before"
    rig.write(old)
    base = await rig.copy(verify=verify)
    assert isinstance(base, CopyDone)
    job = replace(rig.job(generation=2), base=base.copy)
    recovered = 0
    async with open_proxy(rig.sshd.port) as proxy:
        pin(rig, proxy)
        asked, total = await _measure(rig, proxy, job, verify)
        rig.published().unlink()
        job = replace(job, base=None)
        places = [*range(1000, asked - 200, 900), *range(asked - 200, total + 200, 80)][::every]
        for generation, after in enumerate(places, 3):
            new = b"generation %d" % generation
            rig.write(new)
            job = replace(rig.job(generation=generation), base=job.base)
            rig.journal.intended.clear()
            proxy.cut_after(after)
            done = await rig.copy(job, port=proxy.port, verify=verify)
            proxy.spare()
            at_target = rig.published().read_bytes() if rig.published().exists() else None
            assert at_target in (None if job.base is None else old, new)
            if not isinstance(done, CopyDone):
                assert isinstance(done, CopyFailed), done
                assert done.unreachable
                done = await rig.copy(retried(rig, job, done), verify=verify)
                assert isinstance(done, CopyDone), done
                assert (done.sent == 0) == (at_target == new), "sent again, or never sent"
                recovered += at_target == new
            assert rig.published().read_bytes() == new
            assert rig.staged() == []
            job, old = replace(job, base=done.copy), new
    assert recovered > 2, "too few cuts fell between the rename and the end"


async def _measure(rig: CopyRig, proxy: TcpProxy, job: CopyJob, verify: str) -> tuple[int, int]:
    """Tell how many bytes a copy has sent when it asks for permission, and at its end."""
    asked = []

    def permit() -> bool:
        asked.append(proxy.sent)
        return True

    rig.write(b"generation 2")
    rig.permit = permit
    done = await rig.copy(
        replace(rig.job(generation=2), base=job.base), port=proxy.port, verify=verify
    )
    rig.permit = yes
    assert isinstance(done, CopyDone)
    return asked[0], proxy.sent


async def test_cancelling_gives_up_promptly_and_the_next_attempt_goes_on(rig: CopyRig) -> None:
    content = os.urandom(40 * MIB)
    rig.write(content)
    started = trio.current_time()
    with trio.CancelScope() as scope:
        once_sent(rig, 4 * MIB, scope.cancel)
        await rig.copy()
    assert scope.cancelled_caught
    assert trio.current_time() - started < 5
    assert not rig.published().exists()
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    assert done.resumed >= 4 * MIB
    assert rig.published().read_bytes() == content
    assert rig.staged() == []


async def test_cancelling_a_frozen_copy_is_prompt(rig: CopyRig) -> None:
    rig.write(os.urandom(40 * MIB))
    once_sent(rig, 4 * MIB, rig.sshd.freeze)
    started = trio.current_time()
    with trio.move_on_after(1.0) as scope:
        await rig.copy()
    rig.sshd.thaw()
    assert scope.cancelled_caught
    assert trio.current_time() - started < 5


async def test_a_publication_once_begun_is_finished_and_told(rig: CopyRig) -> None:
    rig.write(b"tape")
    told: list[CopyOutcome] = []
    with trio.CancelScope() as scope:

        def permit() -> bool:
            scope.cancel()
            return True

        rig.permit = permit
        told.append(await rig.copy())
    assert [type(outcome) for outcome in told] == [CopyDone]
    assert rig.published().read_bytes() == b"tape"


async def test_a_crash_between_rename_and_record_costs_no_second_copy(rig: CopyRig) -> None:
    rig.write(b"tape")
    lost = await rig.copy()
    assert isinstance(lost, CopyDone)
    job = replace(rig.job(), intent=rig.journal.intended[0])
    again = await rig.copy(job)
    assert isinstance(again, CopyDone)
    assert again.sent == 0
    assert again.copy.root == lost.copy.root
    assert again.copy.published_ns


async def test_a_crash_before_the_rename_sends_again(rig: CopyRig) -> None:
    rig.write(b"old")
    base = await rig.copy()
    assert isinstance(base, CopyDone)
    rig.write(b"new")

    def crash() -> None:
        raise KeyboardInterrupt

    rig.journal.on_intend = crash
    job = replace(rig.job(generation=2), base=base.copy)
    with pytest.raises(KeyboardInterrupt):
        await rig.copy(job)
    rig.journal.on_intend = lambda: None
    done = await rig.copy(replace(job, intent=rig.journal.intended[-1]))
    assert isinstance(done, CopyDone)
    assert done.sent == 3
    assert rig.published().read_bytes() == b"new"
