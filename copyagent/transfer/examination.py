"""Everything a copy needs of a target, tried out over one connection and cleared away again.

The steps are those of a copy, on small files of our own: none has the name of a tape, none is left,
and on a fenced target nothing is written at all.
"""

import posixpath
import secrets
from collections import Counter
from dataclasses import dataclass, field

import trio

from copyagent.transfer import staging
from copyagent.transfer.capabilities import examine_server, told_by
from copyagent.transfer.commands import clone_command
from copyagent.transfer.findings import Findings
from copyagent.transfer.guards import read_mark, seen_here
from copyagent.transfer.layout import Layout
from copyagent.transfer.line_speed import SpeedTest
from copyagent.transfer.questions import Place, Questions
from copyagent.transfer.target import EntryKind, LinkLost, Target, TargetEntry, TargetError
from vtsfs.contract.units import format_size

#: What our files are called, in staging directories and, for a moment, in pools.
PREFIX = ".vts-autocopy-doctor."

#: Seconds by which two clocks may differ; SFTP gives whole ones.
_SKEW_S = 5.0
_CLEAN_UP_S = 15.0
_CONTENT = b"vts-autocopy doctor\n"


@dataclass(slots=True)
class Examination:
    """One examination; `run` makes all steps that can be made.

    Raises `LinkLost` if the connection ends, with the findings so far in *findings*.
    """

    target: Target
    questions: Questions
    findings: Findings
    _files: list[str] = field(default_factory=list)
    _directories: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Make every step."""
        try:
            await examine_server(self.target, self.questions, self.findings)
            measured = False
            for place in self.questions.places:
                where = place.layout.pool
                if await self._may_write(place.layout):
                    with self.findings.trying(f"writing below {where}"):
                        if await self._write(place) and not measured:
                            measured = True
                            await self._speed(place.layout)
        finally:
            await self._clean_up()

    # ---- may anything be written -----------------------------------------------------------------

    async def _may_write(self, layout: Layout) -> bool:
        step = f"directories for {layout.pool}"
        try:
            return (
                await self._are_there(step, layout)
                and not await self._is_fenced(layout)
                and await self._is_ours(layout)
            )
        except LinkLost:
            raise
        except TargetError as error:
            self.findings.fail(step, str(error), error.next_step)
            return False

    async def _are_there(self, step: str, layout: Layout) -> bool:
        vault, pool = await self.target.lstat(layout.vault), await self.target.lstat(layout.pool)
        for path, found in ((layout.vault, vault), (layout.pool, pool)):
            if found is not None and found.kind is not EntryKind.DIRECTORY:
                self.findings.fail(
                    step, f"{path} is {found.kind}, not a directory", "put a directory there"
                )
                return False
        if vault is None:
            self.findings.fail(
                step,
                f"there is no directory {layout.vault}",
                "check targets.*.vaults, as the user who logs in sees them, and the mount there",
            )
            return False
        missing = "" if pool is not None else "; the pool is made by its first copy"
        self.findings.ok(step, f"{layout.vault} is there{missing}")
        return True

    async def _is_fenced(self, layout: Layout) -> bool:
        for path in layout.fences:
            if await self.target.lstat(path) is not None:
                self.findings.warn(
                    f"fence for {layout.pool}",
                    f"{path} says that the target is in service: nothing is written there",
                    "take the fence away when that is over: copyagent unfence "
                    f"{self.questions.target} --because TEXT",
                )
                return True
        return False

    async def _is_ours(self, layout: Layout) -> bool:
        found = await read_mark(self.target, layout.mark)
        mine = self.questions.mark.agent
        if found is None or not mine or found.agent == mine:
            return True
        self.findings.fail(
            f"staging for {layout.pool}",
            f"{layout.directory} is in use by the agent of {found.system} on {found.node}",
            "give one of the two systems another system.name; if this one takes over: "
            f"copyagent take-over {self.questions.target} --because TEXT",
        )
        return False

    # ---- what a copy does ------------------------------------------------------------------------

    async def _write(self, place: Place) -> bool:
        """Make a file in staging, then publish it under a name that is no tape's, twice.

        Tells whether copies there would be any.
        """
        layout, target = place.layout, self.target
        await self._make_directories(layout)
        await self._remove_leftovers(layout)
        made = await self._make_file(layout, place.mode)
        self.findings.ok(
            f"staging for {layout.pool}", f"written and made durable in {layout.directory}"
        )
        if not await self._is_other_storage(layout, made):
            return False
        entry = await target.lstat(made)
        if entry is not None:
            self._clock(layout, entry)
            await self._owner(place, entry)
        await self._space(layout)
        await self._second_name(layout, made)
        await self._shared_blocks(layout, made)
        step = f"renaming into {layout.pool}"
        with self.findings.trying(step):
            there = await target.lstat(layout.pool) is not None
            into = f"{layout.pool if there else layout.vault}/{PREFIX}{secrets.token_hex(8)}"
            self._files.append(into)
            await target.rename(made, into)
            await target.rename(await self._make_file(layout, place.mode), into)
            await staging.sync(target, layout.pool if there else layout.vault)
            await target.remove(into)
            self.findings.ok(step, "in one step, and durable: staging and pool are one file system")
        return True

    async def _is_other_storage(self, layout: Layout, made: str) -> bool:
        """Tell whether what was *made* there does not show up here: a copy onto itself is none."""
        step, name = f"storage of {layout.vault}", posixpath.basename(made)
        seen = await trio.to_thread.run_sync(seen_here, self.questions.storages, layout, name)
        if not seen:
            self.findings.ok(step, "is another one than that of any vault here")
            return True
        self.findings.fail(
            step,
            f"{layout.vault} at the target is {seen} of this system, under another name: "
            "copies would be no second copies, and are held",
            f"check targets.{self.questions.target}.vaults, and what is mounted there",
        )
        return False

    async def _second_name(self, layout: Layout, made: str) -> None:
        """What former generations are kept by; not every file system has it."""
        if not self.target.can.hard_links:
            return
        step, name = f"hard links in {layout.vault}", f"{made}.link"
        self._files.append(name)
        try:
            await self.target.link(made, name)
            await self.target.remove(name)
            self.findings.ok(step, "can be made: former generations can be kept")
        except LinkLost:
            raise
        except TargetError as error:
            remedy = "keep the vault on a file system that has hard links, such as XFS or ext4"
            self.findings.warn(step, f"no former generations are kept: {error}", remedy)

    async def _shared_blocks(self, layout: Layout, made: str) -> None:
        """Whether the base of a delta costs no copying; told where commands can be run at all."""
        if not self.target.can.commands:
            return
        step = f"shared blocks in {layout.vault}"
        with self.findings.trying(step):
            clone = await self._make_file(layout, None)
            command = clone_command(made, clone)
            said = await told_by(self.target, command, self.questions.patience_s)
            await self.target.remove(clone)
            self.findings.ok(
                step,
                "cp --reflink works: a delta costs no copying there"
                if said is not None
                else "the file system has none: the base of a delta is copied there",
            )

    async def _make_directories(self, layout: Layout) -> None:
        """Those that were not there are taken away again at the end."""
        for path in (layout.staging_root, layout.directory):
            if await self.target.lstat(path) is None:
                self._directories.append(path)
                await self.target.make_directories([path], 0o700)

    async def _remove_leftovers(self, layout: Layout) -> None:
        """An examination that was killed could not tidy up."""
        for directory in (layout.directory, layout.pool, layout.vault):
            if await self.target.lstat(directory) is None:
                continue
            for name in await self.target.list_names(directory):
                if name.startswith(PREFIX):
                    await self.target.remove(f"{directory}/{name}")

    async def _make_file(self, layout: Layout, mode: int | None) -> str:
        path = f"{layout.directory}/{PREFIX}{secrets.token_hex(8)}"
        self._files.append(path)
        file = await self.target.create(path)
        await file.write(0, _CONTENT)
        now = int(self.questions.now())
        if mode is not None:
            found = await self.target.lstat(path)
            now = found.mtime if found is not None else now
            await file.set_attributes(mode=mode, atime=now, mtime=now)
        await file.sync()
        await file.close()
        return path

    def _clock(self, layout: Layout, entry: TargetEntry) -> None:
        ahead = entry.mtime - self.questions.now()
        step = f"clock at {layout.vault}"
        if abs(ahead) <= _SKEW_S:
            self.findings.ok(step, f"agrees with ours within {_SKEW_S:g} s")
            return
        which = "ahead of" if ahead > 0 else "behind"
        self.findings.warn(
            step,
            f"the target's clock is {abs(ahead):.0f} s {which} ours",
            "let both systems keep time by NTP: times in logs cannot be compared",
        )

    async def _owner(self, place: Place, entry: TargetEntry) -> None:
        """Compare what a copy will look like with the tapes that are there already."""
        layout = place.layout
        step = f"owner and mode in {layout.pool}"
        with self.findings.trying(step):
            if await self.target.lstat(layout.pool) is None:
                self.findings.ok(step, f"copies will belong to uid {entry.uid}, gid {entry.gid}")
                return
            tapes = [
                one
                for name, one in await self.target.list_entries(layout.pool)
                if one.kind is EntryKind.FILE and not name.startswith(".")
            ]
            self._compare_owner(step, place, entry, tapes)

    def _compare_owner(
        self, step: str, place: Place, entry: TargetEntry, tapes: list[TargetEntry]
    ) -> None:
        ours = f"uid {entry.uid}, gid {entry.gid}"
        if not tapes:
            self.findings.ok(step, f"no tape there yet; copies will belong to {ours}")
            return
        (uid, gid), _ = Counter((one.uid, one.gid) for one in tapes).most_common(1)[0]
        mode, _ = Counter(one.mode for one in tapes).most_common(1)[0]
        if (uid, gid) != (entry.uid, entry.gid):
            self.findings.warn(
                step,
                f"copies will belong to {ours}, tapes there belong to uid {uid}, gid {gid}",
                "log in as the user under whom the tape engine runs there (targets.*.user)",
            )
        elif place.mode is not None and entry.mode != mode:
            self.findings.warn(
                step,
                f"copies will have mode {entry.mode:04o}, as tapes here; there it is {mode:04o}",
                "give the tapes of both systems the same mode, if the tape engine there minds",
            )
        else:
            self.findings.ok(step, f"{ours}, mode {mode:04o}, like the tapes there")

    async def _space(self, layout: Layout) -> None:
        step = f"space in {layout.vault}"
        with self.findings.trying(step):
            space = await self.target.space(layout.directory)
            if space is None or not space.total:
                self.findings.skip(step, "the server does not tell")
                return
            share = space.free / space.total
            told = f"{format_size(space.free)} of {format_size(space.total)} free ({share:.0%})"
            if space.files_free == 0 or not space.free:
                self.findings.fail(
                    step, f"{told}, no more files", "make room in the target's vault"
                )
            elif share < self.questions.keep_free:
                self.findings.warn(
                    step,
                    f"{told}, less than keep_free ({self.questions.keep_free:.0%})",
                    "make room there: until then no former generations are kept",
                )
            else:
                self.findings.ok(step, told)

    async def _speed(self, layout: Layout) -> None:
        path = f"{layout.directory}/{PREFIX}{secrets.token_hex(8)}"
        self._files.append(path)
        space = await self.target.space(layout.directory)
        test = SpeedTest(self.target, path, self.questions.pace)
        size = min(test.size_for(space), self.questions.trial)
        if not size:
            self.findings.skip("speed", "there is too little room to try")
            return
        sent, took = await test.run(size)
        rate = format_size(int(sent / max(took, 0.001)))
        limited = ", as bandwidth in the settings allows" if self.questions.pace.sending else ""
        told = f"{rate}/s: {format_size(sent)} written and made durable{limited}"
        self.findings.ok("speed", told)

    async def _clean_up(self) -> None:
        """Also when interrupted; a failure here is told, for something was left."""
        tasks = [(self.target.remove, path) for path in self._files]
        tasks += [(self.target.remove_directory, path) for path in reversed(self._directories)]
        with trio.move_on_after(_CLEAN_UP_S, shield=True) as scope:
            for remove, path in tasks:
                try:
                    await remove(path)
                except LinkLost as error:
                    self.findings.warn("cleaning up", str(error), _LEFT)
                    break
                except TargetError as error:
                    self.findings.warn("cleaning up", str(error), _LEFT)
        if scope.cancelled_caught:
            self.findings.warn("cleaning up", "the target did not answer in time", _LEFT)


_LEFT = "what is left is removed by the next examination, or by hand"
