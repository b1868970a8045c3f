"""One vault's daemon: outbox, overlay, feed and FUSE loop put together, and their orderly end.

How a run ends (DESIGN.md, failure matrix): unmounted by a detach: everything is reported, the end
is clean. Told to stop with tapes open: new opens of tapes are refused until the open ones are
released; after `STOP_LIMIT_S` the process leaves the mount point covered and the open tapes marked.
"""

import logging
import os
import pwd
import resource
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from vtsfs import recovery
from vtsfs.contract import messages
from vtsfs.contract.errors import AttachError, SettingsError, StateError, VaultBusy
from vtsfs.contract.notes import Entry
from vtsfs.contract.settings import Settings
from vtsfs.encryption import gate as encryption
from vtsfs.fuse import mounting, session
from vtsfs.fuse.boundary import Background, UnforeseenErrors
from vtsfs.fuse.operations import Operations
from vtsfs.on_record import NOBODY, Actor, Change, leave_word, take_detacher
from vtsfs.outbox.database import Aside, Mark
from vtsfs.outbox.feed import Desk, Feed
from vtsfs.outbox.outbox import Callbacks, Outbox
from vtsfs.overlay.caller import give_up_resource_capability, keep_capabilities
from vtsfs.overlay.gate import Gate
from vtsfs.overlay.overlay import Overlay, VaultView
from vtsfs.overlay.reports import Clock, Reporter, SignalSink
from vtsfs.runtime import clock as machine
from vtsfs.runtime.aside import EventsAside, written_aside
from vtsfs.runtime.files import lock_file, private_directory
from vtsfs.runtime.late_imports import import_now, told_if_late
from vtsfs.runtime.mount_table import layers_at
from vtsfs.runtime.releases import running_release
from vtsfs.runtime.sockets import unix_listener
from vtsfs.runtime.sparing import Sparing
from vtsfs.runtime.systemd import Notifier
from vtsfs.runtime.tasks import Starter
from vtsfs.runtime.watchdog import feed_watchdog

_logger = logging.getLogger(__name__)

#: Seconds a stop waits for open tapes; below systemd's own 90 s, after which it would kill us.
STOP_LIMIT_S = 60.0
_STOP_POLL_S = 0.25

MakeOverlay = Callable[[VaultView, SignalSink, Clock, Starter], Overlay]


class SystemClock:
    """The machine's clocks, as the overlay wants them."""

    def __init__(self) -> None:
        self.boot_id = machine.boot_id()

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return machine.wall_ns()

    def mono_ns(self) -> int:
        """Nanoseconds of the monotonic clock."""
        return machine.mono_ns()


@dataclass(frozen=True, slots=True)
class Attachment:
    """Which vault is attached, by which settings, and who is told of it."""

    settings: Settings
    vault: str
    notifier: Notifier
    make_overlay: MakeOverlay = Overlay
    #: Make the bare mount point immutable before it is covered, where that can be done.
    guard: bool = True
    #: Seconds that a stop waits for open tapes.
    stop_limit_s: float = STOP_LIMIT_S
    #: Who attaches it, and why, for the record.
    by: Actor = NOBODY

    @property
    def mountpoint(self) -> Path:
        """Where the tape engine finds the vault."""
        return self.settings.vaults[self.vault].mountpoint

    @property
    def backing(self) -> Path:
        """Where the tapes lie."""
        return self.settings.vaults[self.vault].backing

    def view(self, gate: Gate | None) -> VaultView:
        """Return what the overlay must know, *gate* included."""
        entry = self.settings.vaults[self.vault]
        return VaultView(
            self.vault,
            entry.backing,
            self.settings.patterns_of(self.vault),
            settle_s=self.settings.cross_check.settle,
            refuse=entry.outbox_failure == "refuse",
            gate=gate,
        )


def run(attachment: Attachment) -> None:
    """Attach the vault and serve it until it is detached.

    Raises `AttachError` when it cannot be attached, `VaultBusy` when it was told to stop and tapes
    stayed open (the mount point is then covered by a dead mount).
    """
    settings = attachment.settings
    import_now()
    os.umask(0o022)
    try:
        settings.paths.run.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"paths.run {settings.paths.run}: {error.strerror}") from error
    _raise_descriptor_limit()
    _lift_size_limit()
    keep_capabilities()
    give_up_resource_capability()
    lock = settings.overlay_lock(attachment.vault)
    with lock_file(lock, busy=AttachError), written_aside(settings) as events:
        mounting.check_mountpoint(attachment.vault, attachment.backing, attachment.mountpoint)
        if attachment.guard and not layers_at(attachment.mountpoint):
            _guard(attachment.mountpoint)
        trio.run(_Daemon(attachment, events).run, strict_exception_groups=True)


class _Daemon:
    """The parts of one run; `run` says in which order they begin and end."""

    def __init__(self, attachment: Attachment, events: EventsAside) -> None:
        self._attachment = attachment
        self._settings = attachment.settings
        self._vault = attachment.vault
        self._events = events
        self._clock = SystemClock()
        self._since_ns = self._clock.wall_ns()
        self._errors = UnforeseenErrors(self._handler_failed)
        self._outbox = Outbox(
            self._settings.outbox_path(self._vault),
            Callbacks(self._interrupted, self._outbox_failed, self._outbox_set_aside, _stamp),
            boot_id=self._clock.boot_id,
        )
        self._gate = encryption.build_gate(self._settings, self._encrypted_refused)
        self._overlay: Overlay | None = None
        self._sparing = Sparing()
        self._until_the_end = ExitStack()
        self._feed = Feed(
            Desk(
                vault=self._vault,
                version=running_release(),
                outbox=self._outbox,
                may_acknowledge=_trusted_users(self._settings),
                status=self.status,
                place=lambda: (str(self._attachment.backing), self._device),
            )
        )
        self._unmounted = False
        #: The device of our mount, as major:minor; empty before it is there.
        self._device = ""
        #: Mounts that were at the mount point before.
        self._layers = 0
        #: Why the mount point stays covered by a dead mount, if it does.
        self._left_open: AttachError | None = None

    async def run(self) -> None:
        self._prepare_outbox_directory()
        async with trio.open_nursery() as background:
            await background.start(self._outbox.run)
            with self._until_the_end:
                async with trio.open_nursery() as settling:
                    await self._serve(background, settling)
                await self._end()
            background.cancel_scope.cancel()
        if self._left_open is not None:
            raise self._left_open

    async def _serve(self, background: trio.Nursery, settling: trio.Nursery) -> None:
        attachment = self._attachment
        layers = self._layers = len(layers_at(self._mountpoint))
        self._overlay = attachment.make_overlay(
            attachment.view(self._gate),
            self._outbox,
            self._clock,
            Background(settling, self._errors),
        )
        aside = Background(background, self._errors)
        with trio.CancelScope() as serving:
            await background.start(self._serve_feed, aside)
            await background.start(self._stop_when_told, serving)
            aside.start_soon(self._overlay.readers.hand_over_forever)
            background.start_soon(feed_watchdog, self._attachment.notifier)
            session.attach(Operations(self._overlay, self._errors), self._vault, self._mountpoint)
            self._device = next((at.device for at in layers_at(self._mountpoint)[-1:]), "")
            aside.start_soon(self._announce)
            try:
                await session.serve()
                self._expect_uncovered(layers)
            finally:
                # Nobody can open a tape any more: what was closed need not wait to be told.
                self._overlay.sessions.hurry()
                session.close()

    def _expect_uncovered(self, layers_before: int) -> None:
        """The loop also ends when the connection is aborted; the mount then stays, dead."""
        if len(layers_at(self._mountpoint)) > layers_before:
            self._left_open = AttachError(
                f"vault {self._vault}: the kernel's connection was aborted; {self._mountpoint} "
                f"stays covered; next: vtsfs attach {self._vault}"
            )

    async def _announce(self) -> None:
        """Say that the vault is attached once the kernel has its first answer."""
        await trio.to_thread.run_sync(mounting.widen_read_ahead, self._mountpoint)
        await self._record_attached()
        self._until_the_end.enter_context(told_if_late())
        self._attachment.notifier.ready(f"vault {self._vault} attached at {self._mountpoint}")

    async def _record_attached(self) -> None:
        by, mountpoint = self._attachment.by, self._mountpoint
        old = "covered by a dead mount" if self._layers else "detached"
        self._events.write(
            messages.ATTACHED,
            vault=self._vault,
            mountpoint=mountpoint,
            user=by.user,
            because=by.because,
            old=old,
        )
        await trio.to_thread.run_sync(
            leave_word, self._settings, by, Change(self._vault, "attach", old, "attached")
        )

    async def _record_detached(self) -> None:
        by = await trio.to_thread.run_sync(take_detacher, self._settings, self._vault)
        self._events.write(messages.DETACHED, vault=self._vault, user=by.user, because=by.because)
        await trio.to_thread.run_sync(
            leave_word, self._settings, by, Change(self._vault, "detach", "attached", "detached")
        )

    async def _end(self) -> None:
        """Nothing is open any more, or this process leaves a dead mount behind."""
        self._attachment.notifier.stopping()
        if self._overlay is not None:
            self._overlay.readers.hand_over()
        detached = self._left_open is None
        if detached:
            await trio.to_thread.run_sync(
                mounting.remove_dead_layers, self._vault, self._mountpoint
            )
        await self._outbox.close(clean=detached)
        if self._overlay is not None:
            self._overlay.close()
        if self._left_open is not None:
            detail = f"its overlay ended while in use: {self._names_of_open()}"
            self._events.write(messages.NOT_COVERED, vault=self._vault, detail=detail)
        else:
            await self._record_detached()

    async def _serve_feed(
        self, aside: Starter, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        path = self._settings.feed_socket(self._vault)
        group = self._settings.service.group
        async with unix_listener(
            path, mode=0o660, group=group, busy=AttachError, failed=AttachError
        ) as listener:
            task_status.started()
            await self._feed.serve_all(listener, aside)

    async def _stop_when_told(
        self,
        serving: trio.CancelScope,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """At SIGTERM or SIGINT detach as soon as nothing is open; see the module's words."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as arriving:
            task_status.started()
            await anext(arriving)
            self._attachment.notifier.stopping("waiting for open tapes")
            if self._overlay is not None:
                self._overlay.files.refusing = True
            with trio.move_on_after(self._attachment.stop_limit_s):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._unmount_when_free, nursery.cancel_scope)
                    # A second signal is a second wish: do not wait any longer.
                    await anext(arriving)
                    nursery.cancel_scope.cancel()
            if not self._unmounted:
                self._leave_covered(serving)

    async def _unmount_when_free(self, waiting: trio.CancelScope) -> None:
        """Unmount as soon as nothing is open; the loop then comes to its end by itself."""
        said = ""
        while not self._unmounted:
            try:
                await trio.to_thread.run_sync(mounting.unmount_vault, self._vault, self._mountpoint)
                self._unmounted = True
            except AttachError as error:
                if not isinstance(error, VaultBusy) and str(error) != said:
                    said = str(error)
                    _logger.error("%s", said)
                await trio.sleep(_STOP_POLL_S)
        waiting.cancel()

    def _leave_covered(self, serving: trio.CancelScope) -> None:
        self._left_open = VaultBusy(
            f"vault {self._vault}: told to stop while open: {self._names_of_open()}; "
            f"{self._mountpoint} stays covered; next: vtsfs attach {self._vault}"
        )
        serving.cancel()

    def _names_of_open(self) -> str:
        tapes = [] if self._overlay is None else self._overlay.open_tapes()
        names = (str(tape.tape) for tape in tapes if not tape.settling)
        return ", ".join(names) or "files that are no tapes"

    def status(self) -> dict[str, Any]:
        """Return what `vtsfs status` shows, as JSON values."""
        overlay = self._overlay
        meta = self._outbox.meta
        tapes = [] if overlay is None else overlay.open_tapes()
        return {
            "vault": self._vault,
            "attached": True,
            "pid": os.getpid(),
            "since_ns": self._since_ns,
            "version": running_release(),
            "mountpoint": str(self._mountpoint),
            "backing": str(self._attachment.backing),
            "open_tapes": [tape.to_json() for tape in tapes],
            "open_files": 0 if overlay is None else len(overlay.files),
            "known_files": 0 if overlay is None else len(overlay.inodes),
            "unclean": self._outbox.needs_sweep,
            "subscribers": self._feed.subscribers,
            "outbox": {
                "depth": self._outbox.depth,
                "failure": self._outbox.failure,
                "id": "" if meta is None else meta.outbox_id,
                "floor": 0 if meta is None else meta.floor,
                "highest": 0 if meta is None else meta.highest,
            },
            "encryption": encryption.status_of(self._gate),
            "unforeseen_errors": dict(self._errors.counts),
        }

    @property
    def _mountpoint(self) -> Path:
        return self._attachment.mountpoint

    def _interrupted(self, marks: Sequence[Mark]) -> list[Entry]:
        reporter = Reporter(self._vault, self._outbox, self._clock)
        return recovery.interrupted(marks, reporter, self._attachment.backing)

    def _prepare_outbox_directory(self) -> None:
        """A state directory that cannot be made is the outbox's failure: tapes are served anyway."""
        try:
            private_directory(self._settings.outbox_path(self._vault).parent)
        except StateError as error:
            _logger.error("%s", error)

    def _outbox_failed(self, cause: str) -> None:
        """A disk that is slow now and then fails again and again: it is told once an hour."""
        if self._sparing.is_due(cause, self._clock.mono_ns() / 1e9):
            self._events.write(messages.OUTBOX_FAILURE, vault=self._vault, cause=cause)

    def _outbox_set_aside(self, aside: Aside) -> None:
        cause = f"{aside.why} and set aside as {aside.path.name}; a new one was begun"
        self._events.write(messages.OUTBOX_FAILURE, vault=self._vault, cause=cause)

    def _encrypted_refused(self, refusal: encryption.Refusal) -> None:
        self._events.write(
            messages.ENCRYPTED_REFUSED,
            user=refusal.user,
            tape=refusal.tape,
            key=refusal.key_id,
            cause=refusal.cause,
        )

    def _handler_failed(self, cause: str) -> None:
        self._events.write(messages.HANDLER_FAILED, vault=self._vault, cause=cause)


def _guard(mountpoint: Path) -> None:
    if not mounting.guard_mountpoint(mountpoint):
        _logger.warning(
            "%s cannot be made immutable (no such flag there, or no right to set it); "
            "while no overlay covers it, nothing but its permissions keeps writers out",
            mountpoint,
        )


def _trusted_users(settings: Settings) -> frozenset[int]:
    users = {0, os.geteuid()}
    if settings.service.user is not None:
        try:
            users.add(pwd.getpwnam(settings.service.user).pw_uid)
        except KeyError as error:
            raise SettingsError(
                f"service.user: there is no user {settings.service.user!r}"
            ) from error
    return frozenset(users)


def _raise_descriptor_limit() -> None:
    """Every file that the kernel knows costs a descriptor: take as many as we may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard
    if os.geteuid() == 0:
        wanted = int(Path("/proc/sys/fs/nr_open").read_text(encoding="ascii"))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _lift_size_limit() -> None:
    """A limit of whoever attached is not one of the tape engine, whose own the kernel has applied."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    except (OSError, ValueError):
        _logger.warning("no file here can grow beyond the size limit of whoever attached")


def _stamp() -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(machine.wall_ns() // 1_000_000_000))
