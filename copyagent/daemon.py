"""Puts the agent together and runs it: wiring only, nothing is decided here."""

import gc
import json
import logging
import os
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from pwd import getpwnam

import trio

from copyagent import edition
from copyagent.answers import answer, status_of
from copyagent.control.admission import Doorkeeper
from copyagent.control.protocol import Request
from copyagent.control.server import serve
from copyagent.core.book import Book
from copyagent.core.engine import Engine
from copyagent.core.history import History
from copyagent.core.licence import Permission
from copyagent.core.time import Moment
from copyagent.coverage import Coverage
from copyagent.licence.desk import LicenceDesk
from copyagent.licence.place import find_licence, licence_path
from copyagent.pruning import keep_bounded
from copyagent.runner import Runner
from copyagent.settings_desk import SettingsDesk
from copyagent.settings_parts import SettingsParts
from copyagent.ssh.bridge import open_bridge
from copyagent.ssh.connections import open_connections
from copyagent.ssh.sftp import connect
from copyagent.state.store import Store, open_store
from copyagent.taking_up import keep_taking_up
from copyagent.transfer.maps import MapStore
from copyagent.transfer.resuming import StageNotes
from vtsfs.contract import messages
from vtsfs.contract.errors import SettingsError, StateError
from vtsfs.contract.settings import Settings
from vtsfs.contract.units import format_count
from vtsfs.runtime.clock import wall_ns
from vtsfs.runtime.eventlog import EventLog
from vtsfs.runtime.files import group_id, lock_file, private_directory
from vtsfs.runtime.late_acts import place_of
from vtsfs.runtime.late_imports import import_now, told_if_late
from vtsfs.runtime.peers import Peer, user_name
from vtsfs.runtime.releases import running_release
from vtsfs.runtime.shown_files import write_shown
from vtsfs.runtime.systemd import Notifier
from vtsfs.runtime.tasks import run_until_signalled
from vtsfs.runtime.watchdog import any_is_held_by_a_disk, feed_watchdog

log = logging.getLogger(__name__)

#: How often the state that outlives the agent is refreshed when it has changed, and how often in
#: any case, in seconds.
SNAPSHOT_S = 5.0
SNAPSHOT_LONGEST_S = 60.0
#: How often chunk maps that nobody needs are looked for, in seconds.
MAPS_S = 86_400.0

#: What the libraries import at the moment of need alone.
_LAZY = ()


def now() -> Moment:
    """Return the present moment on both clocks."""
    at_ns = wall_ns()
    return Moment(trio.current_time(), at_ns, time.localtime(at_ns // 1_000_000_000).tm_gmtoff)


def run_agent(settings: Settings, source: Path, early: Sequence[int] = ()) -> None:
    """Run the agent in the foreground until SIGTERM or SIGINT; at SIGHUP it reads *source* again.

    *early* has any SIGHUP that came while nobody could wait for it yet (`vtsfs.runtime.early_signals`).
    Raises `AgentBusy` when another agent works on the same state, `StateError` when the state
    cannot be used, `SettingsError` for a password file that cannot be read.
    """
    import_now(_LAZY)
    private_directory(settings.paths.state, 0o755)
    private_directory(settings.agent_directory())
    private_directory(settings.paths.run, 0o755)
    with lock_file(settings.agent_directory() / "lock"):
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        store, aside = open_store(settings.agent_directory() / "agent.sqlite", stamp)
        try:
            if aside is not None:
                log.critical("the agent's state was damaged; it is kept as %s for inspection, and "
                             "every tape is compared again", aside)  # fmt: skip
            trio.run(_run, settings, source, store, early, strict_exception_groups=True)
        finally:
            store.close()


async def _run(settings: Settings, source: Path, store: Store, early: Sequence[int]) -> None:
    event_log = EventLog(settings.paths.event_log, settings.system, program="copyagent")
    notifier = Notifier.from_environment(os.environ, os.getpid())
    runner = _assemble(settings, store, event_log)
    _note_settings(runner, source)
    # A hundred thousand records live as long as the agent: looking through them for rubbish again
    # and again would take a third of the time that a flood of host events is decided in.
    gc.collect()
    gc.freeze()
    event_log.write(
        messages.AGENT_STARTED,
        version=running_release(),
        detail=f"{format_count(len(runner.engine.book.records), 'tape')} known",
    )
    try:
        number = await run_until_signalled(
            partial(_serve, settings, runner, notifier, early),
            stopping=lambda number: notifier.stopping(f"ending by {number.name}"),
        )
        detail = f"by {number.name}" if number else "by itself"
    except BaseException as error:
        detail = f"by an error: {error!r}"
        raise
    finally:
        runner.save_news(detail)
        # What is removed or looked at next relies on it: it is not to be some seconds old.
        _write_snapshot(settings, status_of(runner)(now()))
        event_log.write(messages.AGENT_STOPPED, detail=detail)
        event_log.close()


def _assemble(settings: Settings, store: Store, event_log: EventLog) -> Runner:
    known = store.load()
    book = Book(
        settings,
        records=known.records,
        mounts=known.mounts,
        acks=known.acks,
        baselines=known.baselines,
        links=known.links,
        journal=known.journal,
        reports=known.reports,
        behind=known.behind,
        pauses=known.pauses,
        licence=Permission(
            edition.LICENCE_REQUIRED,
            find_licence(licence_path(settings), edition.LICENCE_ISSUERS),
            known.licence,
        ),
        floods=known.floods,
        calls=known.calls,
        said=known.said,
        uncovered=known.uncovered,
        history=History(settings.digest, known.history_newest, known.history_chain),
    )
    engine = Engine(book, frozenset({os.uname().nodename}))
    runner = Runner(engine, store, event_log, connect, now)
    runner.licence_desk = LicenceDesk(
        licence_path(settings),
        edition.LICENCE_ISSUERS,
        engine.licensing,
        runner.ask,
        wall_ns,
        settings.service,
    )
    return runner


def _note_settings(runner: Runner, source: Path) -> None:
    """Put on record under which settings the agent starts, and where they are from."""
    settings, at_ns = runner.engine.book.settings, wall_ns()
    user = user_name(os.geteuid())
    runner.settings_file.path = str(source)
    runner.settings_file.taken(user, at_ns)
    runner.engine.book.history.loaded(
        settings.digest, settings.text, how="start", user=user, at_ns=at_ns
    )


async def _serve(
    settings: Settings, runner: Runner, notifier: Notifier, early: Sequence[int]
) -> None:
    async def handle(request: Request, peer: Peer) -> object:
        return await answer(runner, request, peer.user)

    parts = SettingsParts(runner)
    # Before the runner: what it finds unwritten at its start is told as well.
    run_parts = await parts.begin(settings)
    desk = SettingsDesk(Path(runner.settings_file.path), runner, notifier, parts.prepare)
    # What came before this is in *early*, and comes to nothing after it.
    with trio.open_signal_receiver(signal.SIGHUP) as hang_ups, ExitStack() as until_the_end:
        async with open_bridge(), open_connections() as connections, trio.open_nursery() as nursery:
            runner.connect = connections.connect
            await nursery.start(runner.run)
            await run_parts(nursery)
            runner.reload = desk.asked
            await nursery.start(serve, settings.control_socket(), handle, _doorkeeper(settings))
            nursery.start_soon(_keep_snapshot, settings, runner)
            nursery.start_soon(_collect_maps, settings, runner)
            nursery.start_soon(keep_bounded, runner)
            nursery.start_soon(keep_taking_up, runner, place_of(settings))
            nursery.start_soon(runner.hook.run)
            nursery.start_soon(Coverage(lambda: runner.engine.book.settings, runner.post).run)
            nursery.start_soon(desk.follow_signals, hang_ups)
            if early:
                nursery.start_soon(desk.hang_up)
            until_the_end.enter_context(told_if_late())
            notifier.ready("watching")
            nursery.start_soon(_stay_alive, notifier, runner)


async def _keep_snapshot(settings: Settings, runner: Runner) -> None:
    """Write the state down regularly, for whoever looks when there is no agent to ask."""
    seen, written = -1, -SNAPSHOT_LONGEST_S
    while True:
        # Looking through all tapes costs something: not for a state that is known already.
        if runner.commits != seen or trio.current_time() - written >= SNAPSHOT_LONGEST_S:
            seen, written = runner.commits, trio.current_time()
            document = await runner.ask(status_of(runner))
            await trio.to_thread.run_sync(_write_snapshot, settings, document)
        await trio.sleep(SNAPSHOT_S)


def _write_snapshot(settings: Settings, document: object) -> None:
    path, data = settings.snapshot_path(), json.dumps(document, indent=1).encode()
    try:
        write_shown(path, data, settings.service)
    except OSError as error:
        log.warning("the last known state cannot be written to %s: %s", path, error)


async def _collect_maps(settings: Settings, runner: Runner) -> None:
    """Forget the chunk maps of tapes that are known no more, at the start and once a day.

    Looking through all tapes costs something: only if there are more maps than copies.
    """
    maps, records = MapStore(settings.agent_directory() / "maps"), runner.engine.book.records
    notes = StageNotes(settings.agent_directory() / "stages")
    while True:
        try:
            before_ns = wall_ns()
            if await trio.to_thread.run_sync(maps.count) > records.count_published():
                known = records.published()
                await trio.to_thread.run_sync(maps.collect, known, before_ns)
            await trio.to_thread.run_sync(notes.forget_old, before_ns)
        except StateError as error:
            log.warning("old chunk maps stay where they are: %s", error)
        await trio.sleep(MAPS_S)


async def _stay_alive(notifier: Notifier, runner: Runner) -> None:
    """Feed systemd's watchdog only as long as the engine still answers, or waits for a disk."""
    answers = partial(runner.ask, lambda _: None)
    await feed_watchdog(notifier, proof=answers, waits=any_is_held_by_a_disk)


def _doorkeeper(settings: Settings) -> Doorkeeper:
    """Turn the names of the settings into numbers; raises `SettingsError` for unknown ones."""
    user, service = settings.service.user, settings.service
    try:
        uid = getpwnam(user).pw_uid if user is not None else None
    except KeyError as error:
        problem = f"service.user: there is no user {user!r}"
        raise SettingsError(problem, (problem,)) from error
    gid, operators = (
        None if name is None else group_id(name, StateError, key)
        for key, name in (("group", service.group), ("operators", service.operators))
    )
    return Doorkeeper(os.geteuid(), uid, gid, operators)
