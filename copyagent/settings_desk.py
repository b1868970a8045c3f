"""Reading the settings again while the agent runs: for an operator, or for SIGHUP.

The file is looked at as ``copyagent check`` looks at it. If anything is wrong with it, nothing is
changed, and status and event log say so until it is mended or put back. If not, the engine takes it
over between two events, and after that whatever else lives by it follows.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from copyagent.checking import Checked, look_at
from copyagent.core import reloading
from copyagent.core.operator import record_action
from copyagent.core.report import SCHEMA
from copyagent.core.settings_keys import Changed, without_restart
from copyagent.core.time import Moment
from copyagent.runner import Runner
from vtsfs.contract import messages
from vtsfs.contract.errors import SettingsError, VtsError
from vtsfs.contract.settings import Settings, behind, contradictions
from vtsfs.runtime.clock import mono_ns
from vtsfs.runtime.systemd import Notifier

log = logging.getLogger(__name__)

#: What stands in the event log for the user, and the reason, where a signal asked.
BY_SIGNAL = "SIGHUP"

#: Characters of a file's digest that people are shown.
SHOWN = 12

#: How long one fault of the file is not told again, in seconds: whoever mends it may ask every minute.
REMIND_S = 3600.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants the settings read again, why, and whether only to be told what that would mean."""

    user: str
    because: str
    dry_run: bool = False


@dataclass(slots=True)
class SettingsDesk:
    """Takes other settings over, one request at a time.

    *prepare* makes ready whatever needs files of its own (passwords), and raises `SettingsError`;
    what it returns makes the rest of the agent follow and tells which parts of it began anew.
    """

    path: Path
    runner: Runner
    notifier: Notifier
    prepare: Callable[[Settings], Awaitable[Callable[[], Awaitable[list[str]]]]]
    _turn: trio.Lock = field(default_factory=trio.Lock)
    _lives: bool = False
    _shielded: list[trio.CancelScope] = field(default_factory=list)

    async def reload(self, asked: Asked) -> dict[str, Any]:
        """Read the file again and take it over; return what that changes and means.

        Raises `SettingsError` with every problem; then all is as it was.
        """
        async with self._turn:
            if asked.dry_run:
                return await self._dry_run()
            self.notifier.reloading(mono_ns())
            try:
                return await self._reload(asked)
            finally:
                self.notifier.ready(self._standing())

    async def asked(self, user: str, because: str, dry_run: bool) -> dict[str, Any]:
        """Do what `reload` does for an operator, to its end also if he does not wait for that.

        Half of it would be worse than none: the engine in one world and its feeds and links in another.
        """
        answer: dict[str, Any] = {}
        with trio.CancelScope(shield=self._lives) as scope:
            self._shielded.append(scope)
            try:
                answer = await self.reload(Asked(user, because, dry_run))
            finally:
                self._shielded.remove(scope)
        return answer

    async def follow_signals(self, signals: AsyncIterator[int]) -> None:
        """Read the file again at each SIGHUP that comes out of *signals*, until the agent ends.

        From then on no request is carried out to its end any more.
        """
        self._lives = True
        try:
            async for _ in signals:
                await self.hang_up()
        finally:
            self._lives = False
            for scope in self._shielded:
                scope.shield = False

    async def hang_up(self) -> None:
        """Read the file again for a signal; what is wrong with it goes to the journal."""
        try:
            done = await self.reload(Asked(BY_SIGNAL, "asked for by a signal"))
        except SettingsError as error:
            log.error("the settings stay as they were: %s", "; ".join(error.problems))
        else:
            for line in done["consequences"]:
                log.info("settings: %s", line)

    # ---- within ----------------------------------------------------------------------------------

    def _standing(self) -> str:
        trouble = self.runner.settings_file.trouble
        return (
            f"watching; settings file on disk is not in force: {trouble}" if trouble else "watching"
        )

    async def _dry_run(self) -> dict[str, Any]:
        checked = await trio.to_thread.run_sync(look_at, self.path)
        on_disk = self._sound(checked)
        await self.prepare(self._taken(on_disk))
        plan: Any = await self.runner.ask(lambda _: reloading.plan(self.runner.engine, on_disk))
        return self._document("dry run", plan, ())

    async def _reload(self, asked: Asked) -> dict[str, Any]:
        checked = await trio.to_thread.run_sync(look_at, self.path)
        try:
            on_disk = self._sound(checked)
            follow = await self.prepare(self._taken(on_disk))
        except SettingsError as error:
            await self._refuse(error)
            raise
        book = self.runner.engine.book
        same = on_disk.digest == book.settings.digest
        plan, left = await self._take(on_disk, asked, is_news=not same)
        begun = await follow()
        if same and begun:
            await self.runner.ask(lambda _: self._tell_begun(asked, begun))
        self.runner.settings_file.trouble = ""
        self.runner.settings_file.waiting = tuple(change.name for change in plan.waiting)
        if not same:
            self.runner.settings_file.taken(asked.user, self.runner.clock().wall_ns)
        result = "unchanged" if same and not begun else "applied"
        return self._document(result, plan, left, begun)

    async def _take(
        self, on_disk: Settings, asked: Asked, *, is_news: bool
    ) -> tuple[reloading.Reload, list[str]]:
        engine = self.runner.engine

        def take(now: Moment) -> tuple[reloading.Reload, list[str]]:
            plan = reloading.plan(engine, on_disk)
            if not is_news:
                return plan, []
            old = engine.book.settings.digest
            left = reloading.apply(engine, plan, now)
            self._put_on_record(plan, left, asked, old, now)
            return plan, left

        try:
            taken: Any = await self.runner.ask(take)
        except VtsError:
            raise
        except Exception as error:
            # Half of it may be in force. Whoever starts the agent again starts it with the file.
            log.critical("the settings could not be taken over; the agent ends", exc_info=error)
            raise SystemExit(VtsError.exit_code) from error
        self.runner.follow_settings()
        plan, left = taken
        return plan, left

    def _put_on_record(
        self, plan: reloading.Reload, left: list[str], asked: Asked, old: str, now: Moment
    ) -> None:
        book, wanted = self.runner.engine.book, plan.wanted
        waiting = ", ".join(change.name for change in plan.waiting)
        how = BY_SIGNAL if asked.user == BY_SIGNAL else "reload"
        book.history.loaded(
            wanted.digest,
            wanted.text,
            how=how,
            user=asked.user,
            at_ns=now.wall_ns,
            waiting=waiting,
            left="; ".join(left),
        )
        old, new = old[:SHOWN], wanted.digest[:SHOWN]
        record_action(book, asked.user, "reload", str(self.path), asked.because, old=old, new=new)
        if waiting:
            book.say(messages.SETTINGS_AWAIT, keys=waiting)

    def _tell_begun(self, asked: Asked, begun: list[str]) -> None:
        """The file is the same, and a password file that it names is not."""
        new = f"begun anew: {', '.join(begun)}"
        record_action(
            self.runner.engine.book,
            asked.user,
            "reload",
            str(self.path),
            asked.because,
            old="unchanged",
            new=new,
        )

    def _taken(self, on_disk: Settings) -> Settings:
        return without_restart(self.runner.engine.book.settings, on_disk)

    def _sound(self, checked: Checked) -> Settings:
        """Return what is on disk; raise `SettingsError` for what cannot be taken over as it is."""
        known = self.runner.engine.book.settings
        on_disk = checked.sound()
        # What was away under the former settings, too, is no fault of these.
        new = {entry.pool for entry in on_disk.autocopy} - {entry.pool for entry in known.autocopy}
        fresh = {f"autocopy.{i}.pool" for i, e in enumerate(on_disk.autocopy) if e.pool in new}
        fresh |= {f"vaults.{name}" for name in on_disk.vaults.keys() - known.vaults.keys()}
        prefix = f"{checked.path}: "
        problems = tuple(
            line
            for line in checked.away
            if any(line.removeprefix(prefix).startswith((f"{k}:", f"{k}.")) for k in fresh)
        )
        clashes = contradictions(self._taken(on_disk))
        if clashes:
            clashes = [f"{each} (as long as the agent is not started again)" for each in clashes]
        problems += behind(str(checked.path), clashes)
        if problems:
            raise SettingsError("\n".join(problems), problems)
        return on_disk

    async def _refuse(self, error: SettingsError) -> None:
        problems = error.problems or (str(error),)
        prefix = f"{self.path}: "
        first = problems[0].removeprefix(prefix)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        self.runner.settings_file.trouble = f"{first}{more}"

        def tell(now: Moment) -> None:
            book = self.runner.engine.book
            if book.unsaid(messages.SETTINGS_REFUSED, first, now, REMIND_S):
                book.say(
                    messages.SETTINGS_REFUSED, file=self.path, count=len(problems), problem=first
                )

        await self.runner.ask(tell)

    def _document(
        self,
        result: str,
        plan: reloading.Reload,
        left: Sequence[str],
        begun: Sequence[str] = (),
    ) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "result": result,
            "file": str(self.path),
            "sha256": plan.wanted.digest,
            "changes": [_change(change) for change in plan.changes],
            "consequences": list(plan.consequences),
            "waiting": [change.name for change in plan.waiting],
            "left_unprotected": list(left),
            "begun_anew": list(begun),
        }


def _change(change: Changed) -> dict[str, Any]:
    return {
        "key": change.name,
        "old": change.old,
        "new": change.new,
        "takes_effect": change.means.words,
    }
