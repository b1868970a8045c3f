"""The command behind ``make demo`` and ``make demo-down``."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

import click

from tests.demo.content import NoContent, megabytes
from tests.demo.ending import PLAYER, end, end_all, forget, is_running, keep, record, this_process
from tests.demo.guide import print_tour
from tests.demo.place import Place, kept, make, scratch
from tests.demo.scenes import SCENES, Play
from tests.demo.timeline import NotSo, Timeline
from tests.demo.world import LARGE, World, banner, build, fingerprint
from tests.support.mountpoint import why_no_fuse
from tests.support.sshd import ADDRESS, SshdError, why_no_sshd
from tests.support.waiting import NotInTime

#: Between two attempts; somebody who looks on at a kept one wants to see the ladder, not its end.
INTERVAL, KEPT_INTERVAL = "2s", "3s"


class Impossible(Exception):
    """This machine cannot show it; the message says why in one sentence, with the remedy."""


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Show the whole way of a tape; with KEEP=1 in the environment, leave it running."""
    if context.invoked_subcommand is None:
        context.exit(show(keeping=os.environ.get("KEEP", "") not in {"", "0"}))


@main.command()
def down() -> None:
    """End a demonstration that was kept, and what one that was killed has left."""
    ended = end_all()
    for place, was_running in ended:
        what = ", ".join(was_running) or "nothing ran any more"
        click.echo(f"ended {place.root} ({what}); the directory is removed")
    if not ended:
        click.echo("no demonstration runs here; nothing to do")


def show(*, keeping: bool) -> int:
    """Play the demonstration; return the exit status: 0 when all that was claimed is so."""
    timeline = Timeline()
    try:
        with _signals_end_it():
            _check_machine()
            running = _kept_already() if keeping else None
            if running is not None:
                print_tour(running, timeline)
            else:
                _play(timeline, keeping=keeping)
    except NotSo as error:
        return _failed(timeline, f"NOT SO: {error}")
    except (Impossible, NoContent) as error:
        return _failed(timeline, f"demo: {error}")
    except (NotInTime, SshdError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        return _failed(timeline, f"demo: it did not go as it should: {error}")
    except KeyboardInterrupt:
        return _failed(timeline, "demo: interrupted; everything was ended and removed", 130)
    return 0


def _failed(timeline: Timeline, why: str, status: int = 1) -> int:
    sys.stdout.flush()
    click.echo(f"\n{why}", err=True)
    return status


def _play(timeline: Timeline, *, keeping: bool) -> None:
    timeline.plain("The way of a tape to another system, on this machine alone", "bold")
    timeline.plain()
    place = make()
    with ExitStack() as stack:
        stack.callback(end, place)
        record(place, PLAYER, this_process())
        if keeping:
            other = keep(place)
            if other.root != place.root:
                raise Impossible(f"another one was kept at this moment, in {other.root}")
            stack.callback(forget, place)
        interval = KEPT_INTERVAL if keeping else INTERVAL
        world = build(place, stack, interval)
        _introduce(world, timeline, interval)
        Play(world, timeline).run()
        _conclude(timeline)
        if keeping:
            stack.pop_all()
            print_tour(place, timeline)


def _introduce(world: World, timeline: Timeline, interval: str) -> None:
    place, agent = world.place, world.site.agent
    # The order of the files is given, so the last one that fits may leave a little room.
    less = (
        ""
        if world.large.size > 0.9 * LARGE
        else f" (of {megabytes(LARGE)}: no more is there, or fits)"
    )
    timeline.facts(
        (
            ("directory", str(place.root)),
            (
                "source system",
                (
                    f"TAPESRV1: overlay attached at {place.source / 'VAULT00'}, "
                    f"agent running as process {agent.pid if agent else '?'}"
                ),
            ),
            (
                "target system",
                (
                    f"{banner(world.sshd)} on {ADDRESS}:{world.sshd.port}, own host key "
                    f"{fingerprint(world.sshd)}, nothing of ours installed there"
                ),
            ),
            (
                "host",
                (
                    f"\\{world.host.name}, a scripted NonStop: a Telnet server on "
                    f"{ADDRESS}:{world.host.port}; the agent has logged on and reads its events"
                ),
            ),
            (
                "content",
                (
                    f"an archive of {world.large.files} files from /usr, "
                    f"{megabytes(world.large.size)}{less}, and one of {megabytes(world.small.size)}"
                ),
            ),
            (
                "shortened",
                (
                    f"retry interval 5 minutes to {interval.rstrip('s')} s, grace 30 s to 2 s, "
                    "settling 2 s to 0.2 s; everything else is as delivered"
                ),
            ),
        )
    )


def _conclude(timeline: Timeline) -> None:
    timeline.plain()
    timeline.plain(
        f"Shown in {timeline.elapsed():.0f} s: {len(SCENES)} scenes, {len(timeline.proven)} claims, "
        "every one proven on real mounts, processes and connections.",
        "bold green",
    )


def _check_machine() -> None:
    if (why := why_no_fuse()) is not None:
        raise Impossible(
            f"no file system can be mounted here ({why}): run as root, in a container with "
            "'--device /dev/fuse --cap-add SYS_ADMIN'"
        )
    if (why := why_no_sshd()) is not None:
        raise Impossible(f"{why}: install it")
    where = scratch()
    if not os.access(where, os.W_OK | os.X_OK):
        raise Impossible(f"{where} cannot be written to: name a directory with VTS_TEST_SCRATCH")


def _kept_already() -> Place | None:
    place = kept()
    return place if place is not None and is_running(place) else None


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end it in good order, as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    main(prog_name="demo")
