"""One shell for all commands of a connection, where the server lets it be."""

from pathlib import Path

import pytest
import trio

from copyagent.ssh import shell
from copyagent.transfer.target import LinkLost, Target
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd
from tests.support.waiting import wait_until_async

SFTP_SERVER = "/usr/lib/openssh/sftp-server"

pytestmark = pytest.mark.ssh


async def output(target: Target, command: str) -> tuple[int | None, str]:
    answer = await target.run(command, 10.0)
    assert answer is not None
    return answer.status, answer.output


def begun(sshd: Sshd) -> int:
    """Return how many commands sshd has started."""
    return sshd.log().count("Starting session: command")


async def test_one_shell_runs_all_commands_of_a_connection(rig: CopyRig) -> None:
    async with rig.connect() as target:
        assert await output(target, "echo one") == (0, "one\n")
        assert await output(target, "printf two; exit 3") == (3, "two")
        assert await output(target, "false") == (1, "")
        assert await output(target, "cat; echo $((1 + 1))") == (0, "2\n")
        assert await output(target, "echo told >&2; no-such-command-at-all") == (127, "")
        assert await output(target, "cd /; x=1") == (0, "")
        assert await output(target, "echo ${x:-unset}; printf '\\n0 1\\n'") == (0, "unset\n\n0 1\n")
        assert target.can.commands is True
    assert begun(rig.sshd) == 1


def forced(script: str) -> str:
    """Have sshd run *script* in place of every command, but let SFTP through."""
    sftp = f'case "$SSH_ORIGINAL_COMMAND" in *sftp*) exec {SFTP_SERVER};; esac'
    return f"ForceCommand sh -c '{sftp}; {script}'"


async def test_what_start_up_files_print_is_no_output(scratch: Path, bridge: None) -> None:
    noisy = forced('echo Welcome; eval "$SSH_ORIGINAL_COMMAND"')
    with Sshd(scratch / "sshd", options=[noisy]) as sshd:
        async with CopyRig(scratch, sshd).connect() as target:
            assert await output(target, "echo one") == (0, "one\n")
            assert await output(target, "echo two") == (0, "two\n")


@pytest.mark.parametrize(
    ("script", "said"),
    [("cat", ""), ("echo Only SFTP here", "Only SFTP here\n"), ("exit 7", "")],
)
async def test_where_there_is_no_shell_commands_are_asked_for_by_themselves(
    scratch: Path, bridge: None, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    monkeypatch.setattr(shell, "_BEGIN_S", 2.0)
    with Sshd(scratch / "sshd", options=[forced(script)]) as sshd:
        async with CopyRig(scratch, sshd).connect() as target:
            with trio.fail_after(30):
                for _ in range(2):
                    answer = await target.run("echo one", 15.0)
                    assert answer is not None
                    assert answer.output == said


async def test_a_shell_that_was_killed_is_done_without(rig: CopyRig) -> None:
    async with rig.connect() as target:
        assert await output(target, "echo one") == (0, "one\n")
        status, _ = await output(target, "kill -9 $$")
        assert status != 0
        assert await output(target, "echo two") == (0, "two\n")


async def test_a_command_that_is_given_up_ends_with_its_shell(rig: CopyRig) -> None:
    async with rig.connect() as target:
        assert await output(target, "echo one") == (0, "one\n")
        with pytest.raises(LinkLost, match="did not answer within"):
            await target.run("sleep 60", 0.2)


async def test_a_shell_that_was_begun_early_is_the_one_that_is_used(rig: CopyRig) -> None:
    async with rig.connect() as target:
        await target.warm_up()
        await target.warm_up()
        await wait_until_async(lambda: begun(rig.sshd) == 1, 10, "a shell is started")
        assert await output(target, "echo one") == (0, "one\n")
    assert begun(rig.sshd) == 1


async def test_a_shell_that_does_not_come_about_is_no_failure(scratch: Path, bridge: None) -> None:
    with Sshd(scratch / "sshd", options=["ForceCommand internal-sftp"]) as sshd:
        async with CopyRig(scratch, sshd).connect() as target:
            await target.warm_up()
            assert await target.lstat("/") is not None
            answer = await target.run("echo one", 10.0)
            assert answer is None or "one" not in answer.output
            assert await target.lstat("/") is not None
