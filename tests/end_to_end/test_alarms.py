"""Alarms on real parts: heard once, by the right ones, and never a flood."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.site import Site
from tests.support.world import COPIED, GAVE_UP, World, content, open_world
from vtsfs.contract import messages

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

NOT_COVERED, COVERED_AGAIN = messages.NOT_COVERED.id, messages.COVERED_AGAIN.id
HOOK_FAILED = messages.HOOK_FAILED.id


def with_hook(site: Site) -> None:
    """Have every alarm told to a script that keeps what it is given, and fails while told to."""
    hook = site.root / "hook"
    hook.write_text(
        "#!/bin/sh\n"
        f"test -e {site.root}/broken && {{ echo no relay >&2; exit 1; }}\n"
        f'cat >>{site.root}/told && printf "%s %s\\n" "$VTS_ID" "$VTS_KIND" >>{site.root}/told.env\n'
    )
    hook.chmod(0o755)
    site.settings["notify"] = {
        "on": ["not-covered", "covered-again", "gave-up", "held"],
        "run": [str(hook), "$(false)"],
        "timeout": "5s",
    }
    site.settings["retry"]["attempts"] = 2


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(adjust=with_hook) as opened:
        yield opened


def told(world: World) -> list[dict[str, Any]]:
    """Return what the site's command was given, oldest first."""
    path = world.site.root / "told"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def health(world: World, *args: str) -> tuple[int, str]:
    ended = world.site.run("copyagent", "check-health", *args)
    return ended.returncode, ended.stdout


def test_all_is_well(world: World) -> None:
    world.protect("WELL01", content())
    status, line = health(world)
    assert status == 0, line
    assert line.startswith("COPYAGENT OK - 1 of 1 tapes are protected")
    document = json.loads(health(world, "--json")[1])
    assert (document["status"], document["findings"]) == ("OK", [])


def test_many_that_fail_for_one_cause_are_one_alarm(world: World) -> None:
    labels = [f"DOWN{number:02}" for number in range(8)]
    world.sshd.stop()
    for label in labels:
        world.tape(label).write_bytes(content(1000))
    for label in labels:
        world.wait_for(label, "failed")
        assert len(world.on_record(label, "failed")) == 1, "the history has each"
    assert len(world.events(GAVE_UP)) == 1
    world.site.wait(lambda: told(world), "the command is told")
    (document,) = told(world)
    assert (document["id"], document["kind"]) == (str(GAVE_UP), "gave-up")
    assert document["fields"]["tape"] in {world.name(label) for label in labels}
    assert (world.site.root / "told.env").read_text() == f"{GAVE_UP} gave-up\n"
    status, line = health(world)
    assert status == 2, line
    assert "8 failed" in line
    world.sshd.start()
    for label in labels:
        world.wait_for(label, "copied")
    assert len([line for line in world.events(COPIED) if "/DOWN" in line]) == len(labels)


def test_a_vault_that_something_else_is_mounted_over_is_not_covered(world: World) -> None:
    mountpoint = world.site.mountpoint()
    (world.site.root / "broken").touch()
    subprocess.run(["mount", "-t", "tmpfs", "over", str(mountpoint)], check=True)
    try:
        world.site.wait(lambda: world.site.events(NOT_COVERED), "the alarm is told")
        assert "mounted over it (tmpfs over)" in world.site.events(NOT_COVERED)[0]
        (vault,) = world.site.status()["vaults"]
        assert (vault["attached"], vault["covered"]) == (True, False), "the overlay itself is well"
        status, line = health(world)
        assert (status, "not covered" in line) == (2, True)
        world.site.wait(lambda: world.site.events(HOOK_FAILED), "the command's failure is told")
        assert "exit status 1: no relay" in world.site.events(HOOK_FAILED)[0]
        assert world.site.status()["notify"]["waiting"] == 1
    finally:
        subprocess.run(["umount", str(mountpoint)], check=True)
    world.site.wait(lambda: world.site.events(COVERED_AGAIN), "its end is told")
    assert len(world.site.events(NOT_COVERED)) == 1
    assert world.site.status()["vaults"][0]["covered"] is True


def test_what_could_not_be_told_is_told_after_a_crash(world: World) -> None:
    """The command was broken when the alarm came; the agent dies before it is tried again."""
    world.kill_agent()
    (world.site.root / "broken").unlink()
    world.site.start()
    world.site.wait(lambda: len(told(world)) == 3, "the command is told")
    assert [document["id"] for document in told(world)[1:]] == [
        str(NOT_COVERED),
        str(COVERED_AGAIN),
    ]
    numbers = [document["number"] for document in told(world)]
    assert numbers == sorted(set(numbers))


def test_an_agent_that_does_not_answer_is_critical(world: World) -> None:
    world.site.stop()
    try:
        status, line = health(world)
        assert status == 2
        assert "does not answer" in line
        assert "tapes were unprotected" in line
    finally:
        world.start_agent()


def test_the_example_mails_what_it_is_told_and_runs_nothing_of_it(tmp_path: Path) -> None:
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >{tmp_path}/args; cat >{tmp_path}/mail\n')
    sendmail.chmod(0o755)
    example = Path(__file__).parents[2] / "packaging" / "examples" / "mail-alarm"
    script = tmp_path / "mail-alarm"
    script.write_text(example.read_text().replace("/usr/sbin/sendmail", str(sendmail)))
    text = f"x $(touch {tmp_path}/pwned) `id` ; \\n %s"
    variables = {"VTS_ID": "824140", "VTS_SEVERITY": "CRITICAL", "VTS_SYSTEM": "TAPESRV1"}
    variables |= {"VTS_TEXT": text, "VTS_NEXT_STEP": "attach it", "VTS_TIME": "now"}
    subprocess.run(
        ["/bin/sh", str(script), "oncall@example.com"],
        env={"PATH": os.environ["PATH"]} | variables,
        check=True,
    )
    mail = (tmp_path / "mail").read_text()
    assert (tmp_path / "args").read_text() == "-i -- oncall@example.com\n"
    assert mail.startswith(
        "To: oncall@example.com\nSubject: [CRITICAL] AutoCopy on TAPESRV1: 824140\n"
    )
    assert text in mail
    assert not (tmp_path / "pwned").exists()
