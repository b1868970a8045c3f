"""The ``demo`` command of a kept demonstration: what the host, the target and fate do.

It is only for what no operator's command does; each step is printed as it is taken.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click

from tests.demo.content import BLOCK, megabytes, sha256, write_tape
from tests.demo.ending import end_process, record, recorded
from tests.demo.guide import print_tour
from tests.demo.host import begin_mount, end_mount
from tests.demo.place import Place, kept, tape_name
from tests.demo.timeline import Timeline
from tests.demo.world import TARGET
from tests.support.nonstop import TREE, NonStop
from tests.support.processes import Program, identify
from tests.support.sshd import find_program
from tests.support.waiting import wait_until
from vtsfs.contract.errors import NameInvalid
from vtsfs.contract.naming import TapeId

DRIVE = "$VTAPE1"
_START_S = 30.0


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def demo(context: click.Context) -> None:
    """Play the host and fate in a kept demonstration."""
    named = os.environ.get("DEMO", "")
    place = Place(Path(named)) if named else kept()
    if place is None or not place.config.exists():
        raise click.ClickException("no demonstration is kept here: make demo KEEP=1")
    context.obj = place


@demo.command()
@click.argument("label")
@click.pass_obj
def write(place: Place, label: str) -> None:
    """Mount LABEL with ring, write an archive to it through the overlay, and dismount it."""
    tape, host = _tape(place, label), _host(place)
    request = begin_mount(host, label, ring=True, drive=DRIVE)
    click.echo(f"host    request {request}: mount {label} WITH RING on {DRIVE}")
    begun = time.monotonic()
    # Every time another number, so that hardly a block stays where it was.
    digest = write_tape(tape, place.content / "large.tar", label, time.time_ns() // 1000 % 90 + 10)
    size, took = tape.stat().st_size, time.monotonic() - begun
    click.echo(
        f"engine  writes {tape}: {megabytes(size)} in blocks of {BLOCK >> 10} KiB "
        f"at {size / 1e6 / took:.0f} MB/s"
    )
    click.echo(f"        sha256 {digest}")
    end_mount(host, label, DRIVE)
    click.echo(f"host    {label} dismounted")
    click.echo(f"next:   copyagent explain {tape_name(label)}")


@demo.command()
@click.argument("label")
@click.pass_obj
def read(place: Place, label: str) -> None:
    """Mount LABEL with no ring, read it from end to end, and dismount it."""
    tape, host = _tape(place, label), _host(place)
    if not tape.exists():
        raise click.ClickException(f"there is no {tape}: demo write {label}")
    request = begin_mount(host, label, ring=False, drive=DRIVE)
    click.echo(f"host    request {request}: mount {label} NO RING on {DRIVE}")
    click.echo(f"engine  reads {tape}\n        sha256 {sha256(tape)}")
    end_mount(host, label, DRIVE)
    click.echo(f"host    {label} dismounted")
    click.echo(f"next:   copyagent explain {tape_name(label)}")


@demo.command()
@click.argument("what", type=click.Choice(["kill", "start"]))
@click.pass_obj
def target(place: Place, what: str) -> None:
    """Kill the target's SSH server, sessions included, or start it again."""
    running = recorded(place, "target")
    if what == "kill":
        if running is None:
            raise click.ClickException("the target does not run: demo target start")
        end_process(running, signal.SIGKILL)
        click.echo(f"{TARGET}: sshd {running.pid} and its sessions are killed")
        return
    if running is not None:
        raise click.ClickException(f"the target runs already, as process {running.pid}")
    command = [str(find_program("sshd")), "-D", "-e", "-f", str(place.sshd / "sshd_config")]
    pid = _launch(place, "target", command, place.sshd / "sshd.log", cwd=Path("/"))
    wait_until((place.sshd / "sshd.pid").exists, _START_S, "sshd listens")
    click.echo(f"{TARGET}: sshd {pid} listens, on the same port and with the same host key")


@demo.command()
@click.argument("what", type=click.Choice(["kill", "start"]))
@click.pass_obj
def agent(place: Place, what: str) -> None:
    """Kill the copy agent (SIGKILL), or start it again."""
    running = recorded(place, "agent")
    if what == "kill":
        if running is None:
            raise click.ClickException("the agent does not run: demo agent start")
        end_process(running, signal.SIGKILL)
        click.echo(f"copyagent {running.pid} is killed")
        return
    if running is not None:
        raise click.ClickException(f"the agent runs already, as process {running.pid}")
    command = [sys.executable, "-m", "copyagent", "--config", str(place.config), "run"]
    pid = _launch(place, "agent", command, place.source / "agent.log", cwd=TREE)
    status = [sys.executable, "-m", "copyagent", "--config", str(place.config), "status"]

    def answers() -> bool:
        return subprocess.run(status, cwd=TREE, capture_output=True, check=False).returncode == 0

    wait_until(answers, _START_S, "the agent answers")
    click.echo(f"copyagent {pid} runs and answers")


@demo.command()
@click.pass_obj
def tour(place: Place) -> None:
    """Print the export line and the tour again."""
    print_tour(place, Timeline())


def _tape(place: Place, label: str) -> Path:
    try:
        TapeId.parse(tape_name(label))
    except NameInvalid as error:
        raise click.ClickException(str(error)) from error
    return place.tape(label)


def _host(place: Place) -> NonStop:
    if recorded(place, "host") is None:
        raise click.ClickException("the host does not run: make demo-down, then make demo KEEP=1")
    return NonStop(place.host)


def _launch(place: Place, name: str, command: list[str], log: Path, *, cwd: Path) -> int:
    """Start a process that outlives this one, and write down which it is."""
    program = Program(command, log, cwd=cwd)
    program.start()
    process = identify(program.pid)
    if process is None or not program.is_running():
        raise click.ClickException(f"{name} ended at once; see {log}")
    record(place, name, process)
    return process.pid


if __name__ == "__main__":
    demo(prog_name="demo")
