"""The site's own command: real processes, told on their input and in their environment."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from copyagent.core.commands import Say
from copyagent.core.hook_queue import HookQueue
from copyagent.core.time import Moment
from copyagent.notify import Hook, run_command
from tests.support.histories import START_NS, make_engine
from vtsfs.contract import messages

LOST = Say(messages.LINK_LOST, {"host": "DEV2", "cause": "gone $(touch pwned) `id`; rm"})


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "hook"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


async def test_it_reads_what_it_is_told_twice_and_has_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_AGENT", "hush")
    run = script(tmp_path, f'cat >{tmp_path}/told; env >{tmp_path}/env; echo "$1" >{tmp_path}/arg')
    with trio.fail_after(10):
        why = await run_command([run, "a b;c"], b"words\n", {"VTS_ID": "420102"}, patience_s=5)
    assert why == ""
    assert (tmp_path / "told").read_text() == "words\n"
    assert (tmp_path / "arg").read_text() == "a b;c\n"
    environment = (tmp_path / "env").read_text()
    assert "VTS_ID=420102\n" in environment
    assert "SECRET_OF_THE_AGENT" not in environment


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo no relay >&2; exit 3", "exit status 3: no relay"),
        ("kill -TERM $$", "ended by signal 15"),
        ("exec <&-; sleep 0; exit 1", "exit status 1"),
    ],
)
async def test_how_it_failed_is_told(tmp_path: Path, text: str, why: str) -> None:
    run = script(tmp_path, text)
    with trio.fail_after(10):
        told = await run_command([run], b"x" * 1_000_000, {}, patience_s=5)
    assert told == f"{run}: {why}"


async def test_one_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    told = await run_command([str(tmp_path / "none")], b"", {}, patience_s=5)
    assert told == f"{tmp_path}/none cannot be run: No such file or directory"


async def gone(pid: int) -> None:
    """Return when the process has ended, whether anybody has asked how or not."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await trio.lowlevel.wait_readable(descriptor)
    finally:
        os.close(descriptor)


async def test_what_no_program_can_be_given_is_a_failure() -> None:
    for words, variables in ((["/bin/true", "\ud800"], {}), (["/bin/true"], {"VTS_TEXT": "a\0b"})):
        told = await run_command(words, b"", variables, patience_s=5)
        assert told.startswith("/bin/true cannot be run: ")


async def test_one_that_takes_too_long_is_killed_with_what_it_began(tmp_path: Path) -> None:
    run = script(tmp_path, f"trap '' TERM; sleep 1000 & echo $! >{tmp_path}/pid; wait")
    with trio.fail_after(10):
        told = await run_command([run], b"", {}, patience_s=0.5)
    assert told == f"{run} was killed: it had not ended after 0s"
    with trio.fail_after(5):
        await gone(int((tmp_path / "pid").read_text()))


async def test_what_it_left_in_the_background_keeps_nobody_waiting(tmp_path: Path) -> None:
    run = script(tmp_path, f"sleep 1000 & echo $! >{tmp_path}/pid; exit 0")
    try:
        with trio.fail_after(10):
            assert await run_command([run], b"", {}, patience_s=30) == ""
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


async def test_messages_are_handed_over_one_by_one_and_again_after_a_failure(
    tmp_path: Path,
) -> None:
    run = script(
        tmp_path,
        f"cat >>{tmp_path}/told; test -e {tmp_path}/well || {{ touch {tmp_path}/well; exit 9; }}",
    )
    book = make_engine(notify={"run": [run], "on": ["warning"]}).book
    queue, done = HookQueue(book, pause_s=0.05), trio.Event()

    async def ask(question: Callable[[Moment], object]) -> object:
        await trio.lowlevel.checkpoint()
        answer = question(Moment(trio.current_time(), START_NS))
        if queue.ran == 2:
            done.set()
        return answer

    hook = Hook(queue, ask)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hook.run)
        hook.offer(LOST, START_NS)
        hook.offer(Say(messages.LINK_UP, {"host": "DEV2"}), START_NS)
        hook.offer(LOST, START_NS)
        with trio.fail_after(20):
            await done.wait()
        nursery.cancel_scope.cancel()
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert [document["number"] for document in told] == [1, 1, 2]
    assert told[0]["text"] == "EMS link to DEV2 lost: gone $(touch pwned) `id`; rm"
    said = [command.message for command in book.commands if isinstance(command, Say)]
    assert said == [messages.HOOK_FAILED, messages.HOOK_WORKS]
