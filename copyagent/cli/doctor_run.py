"""The examination of targets, from this process: first the way there, then what is there."""

import json
import os
import signal
import stat
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from copyagent.cli.console import printable
from copyagent.cli.patience import LifeLine, patience
from copyagent.cli.target_names import target_named
from copyagent.ssh.approach import Approach
from copyagent.ssh.bridge import open_bridge
from copyagent.ssh.sftp import connect
from copyagent.transfer.agent_mark import AgentMark
from copyagent.transfer.examination import Examination
from copyagent.transfer.findings import Finding, Findings, Result
from copyagent.transfer.layout import Layout
from copyagent.transfer.line_speed import MOST
from copyagent.transfer.pacing import Paces
from copyagent.transfer.premises import storages_of
from copyagent.transfer.questions import Place, Questions
from copyagent.transfer.target import LoginRefused, TargetError
from vtsfs.contract.errors import Unprotected, UsageError
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_check import check_files
from vtsfs.contract.settings_file import read_settings

#: Version of the document that ``--json`` prints.
SCHEMA = 1

_MARKS = {Result.OK: "ok", Result.WARNING: "WARN", Result.FAILED: "FAIL", Result.SKIPPED: "-"}
_COLOURS = {Result.WARNING: "yellow", Result.FAILED: "red"}

#: Most tapes that are looked at to find out which mode they usually have.
_MOST_TAPES = 1000


def run_doctor(config: Path, name: str | None, *, as_json: bool) -> None:
    """Examine one target, or all; raise `Unprotected` if a step failed."""
    settings = read_settings(config)
    names = [target_named(settings, name)] if name is not None else list(settings.targets)
    if not names:
        raise UsageError("the settings name no target")
    examined: dict[str, Findings] = {}
    problems = check_files(settings, str(config))
    whole = True
    for target in names:
        if not as_json:
            click.echo(f"{target}: {settings.targets[target].host}")
        with patience(f"{target}: examined") as line:
            show = partial(_silent if as_json else _shown, line, target)
            findings = examined[target] = Findings(show)
            # The first one is told what is wrong in general.
            check_settings(findings, problems, target, first=target == names[0])
            whole = trio.run(examine, settings, target, findings, strict_exception_groups=True)
        if not whole:
            break
    if as_json:
        click.echo(json.dumps(doctor_document(settings, examined), indent=1))
    if not whole:
        raise Unprotected("interrupted before the end of the examination")
    failed = {target: one.failed for target, one in examined.items() if one.failed}
    if failed:
        told = ", ".join(f"{count} at {target}" for target, count in failed.items())
        raise Unprotected(f"steps that failed: {told}; each names its remedy")


def doctor_document(settings: Settings, examined: dict[str, Findings]) -> dict[str, Any]:
    """Return what was found, for programs."""
    return {
        "schema": SCHEMA,
        "ok": not any(findings.failed for findings in examined.values()),
        "targets": [
            {
                "target": name,
                "host": settings.targets[name].host,
                "failed": findings.failed,
                "steps": [
                    {
                        "step": one.step,
                        "result": one.result.value,
                        "detail": one.detail,
                        "remedy": one.remedy or None,
                    }
                    for one in findings.all
                ],
            }
            for name, findings in examined.items()
        ],
    }


def _silent(line: LifeLine, target: str, finding: Finding) -> None:
    line.now(f"{target}: after {finding.step}")


def _shown(line: LifeLine, target: str, finding: Finding) -> None:
    line.now(f"{target}: after {finding.step}")
    mark = click.style(f"{_MARKS[finding.result]:<4}", fg=_COLOURS.get(finding.result))
    click.echo(f"  {mark}  {finding.step}: {printable(finding.detail)}")
    if finding.remedy:
        click.echo(f"        -> {printable(finding.remedy)}")


def check_settings(
    findings: Findings, problems: Sequence[str], target: str, *, first: bool
) -> None:
    """Tell what `check` would: of this *target* and, with the *first*, of all that is no target's."""
    ours = [p for p in problems if f"targets.{target}." in p]
    if first:
        ours += [p for p in problems if ": targets." not in p]
    for problem in ours:
        findings.fail("settings", problem, "mend it; copyagent check tells all such problems")
    if not ours:
        findings.ok("settings", "in order")


async def examine(settings: Settings, name: str, findings: Findings, *, trial: int = MOST) -> bool:
    """Examine one target; tell whether that came to its end, or was interrupted by a signal.

    The line's speed is tried with at most *trial* bytes.
    """
    ended: list[bool] = []
    async with open_bridge(), trio.open_nursery() as nursery:
        await nursery.start(_end_on_signal, nursery.cancel_scope)
        await _go_there(settings, name, findings, trial)
        ended.append(True)
        nursery.cancel_scope.cancel()
    return bool(ended)


async def _end_on_signal(
    scope: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """What was made at the target is taken away before the process ends."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as numbers:
        task_status.started()
        async for _ in numbers:
            scope.cancel()


async def _go_there(settings: Settings, name: str, findings: Findings, trial: int) -> None:
    target = settings.targets[name]
    if not await Approach(name, target, findings).run():
        return
    begun = trio.current_time()
    try:
        async with connect(target) as line:
            findings.ok("log-in", f"as {target.user}, in {trio.current_time() - begun:.2f} s")
            questions = Questions(
                places=places_of(settings, name),
                mark=AgentMark.of(settings),
                verify=target.verify,
                keep_free=target.keep_free,
                now=time.time,
                target=name,
                trial=trial,
                pace=Paces.of(settings).to(name),
                storages=storages_of(settings),
            )
            await Examination(line, questions, findings).run()
    except TargetError as error:
        remedy = error.next_step
        if isinstance(error, LoginRefused):
            remedy += f"; copyagent keys init {name} prints the line"
        findings.fail("link" if _logged_in(findings) else "log-in", str(error), remedy)


def _logged_in(findings: Findings) -> bool:
    return any(one.step == "log-in" for one in findings.all)


def places_of(settings: Settings, name: str) -> list[Place]:
    """Return the pools that receive copies at target *name*, with the mode of their tapes here."""
    places = []
    for entry in settings.autocopy:
        if entry.target == name:
            tape = TapeId(entry.target_pool.vault, entry.target_pool.pool, "X")
            places.append(Place(Layout.of(settings, name, tape), _usual_mode(settings, entry.pool)))
    return places


def _usual_mode(settings: Settings, pool: PoolId) -> int | None:
    directory = settings.vaults[pool.vault].backing / pool.pool
    modes: Counter[int] = Counter()
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                    modes[stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)] += 1
                if modes.total() >= _MOST_TAPES:
                    break
    except OSError:
        return None
    return modes.most_common(1)[0][0] if modes else None
