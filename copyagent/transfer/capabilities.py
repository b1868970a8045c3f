"""What a target's server can do besides plain SFTP, and how far away it is."""

import trio

from copyagent.transfer.commands import (
    parse_sha256,
    parse_tokens,
    sha256_command,
    token_command,
)
from copyagent.transfer.findings import Findings
from copyagent.transfer.questions import Questions
from copyagent.transfer.target import Target
from vtsfs.contract.units import format_size


async def examine_server(target: Target, questions: Questions, findings: Findings) -> None:
    """Look at extensions, commands and the round trip; nothing is written."""
    await target.lstat("/")  # the server says how large requests may be before it answers this
    _abilities(target, findings)
    await _commands(target, questions, findings)
    await _round_trip(target, findings)


def _abilities(target: Target, findings: Findings) -> None:
    can = target.can
    lacking = [
        name for name, has in (("posix-rename", can.posix_rename), ("fsync", can.sync)) if not has
    ]
    if lacking:
        findings.fail(
            "SFTP extensions",
            f"the server lacks {' and '.join(lacking)}",
            "use OpenSSH's sftp-server or internal-sftp at the target, 6.5 or newer",
        )
    optional = (
        ("copy-data", can.copy_data, "every changed tape is sent whole"),
        ("hardlink", can.hard_links, "no former generations are kept"),
        ("statvfs", can.space, "free space is not looked at before a copy"),
    )
    for name, has, cost in optional:
        if not has:
            remedy = "use a newer OpenSSH at the target"
            findings.warn("SFTP extensions", f"no {name}: {cost}", remedy)
    if not lacking:
        block = format_size(target.max_block)
        findings.ok("SFTP extensions", f"all that is needed; requests of up to {block}")


async def _commands(target: Target, questions: Questions, findings: Findings) -> None:
    with findings.trying("commands"):
        answer = await target.run(sha256_command("/dev/null"), questions.patience_s)
        runs = answer is not None and parse_sha256(answer.output) is not None
        token = await told_by(target, token_command("/"), questions.patience_s) if runs else None
        if runs and token is not None and parse_tokens(token, 1) != [""]:
            findings.ok("commands", "sha256sum and stat run there")
        elif runs:
            findings.warn(
                "commands",
                "sha256sum runs there, and stat does not answer as GNU's does",
                "install coreutils there: some edits of a tape at the target go unseen",
            )
        elif questions.verify == "sha256":
            findings.fail(
                "commands",
                "no sha256sum runs there, and verify: sha256 needs it",
                "let the user run commands at the target, or set verify: auto",
            )
        else:
            findings.ok("commands", "none are run there: copies are proven by reading back")


async def told_by(target: Target, command: str, patience_s: float) -> str | None:
    """Return what *command* prints at the target, None unless it succeeds."""
    answer = await target.run(command, patience_s)
    return answer.output if answer is not None and answer.status == 0 else None


async def _round_trip(target: Target, findings: Findings) -> None:
    with findings.trying("round trip"):
        times = []
        for _ in range(5):
            begun = trio.current_time()
            await target.lstat("/")
            times.append(trio.current_time() - begun)
        findings.ok("round trip", f"{sorted(times)[2] * 1000:.1f} ms")
