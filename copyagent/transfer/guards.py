"""When not to copy, as far as the target tells it (DESIGN section 7).

Asked before an attempt looks at, or writes, anything of the tape. Each guard ends the attempt with
its own outcome, whose words name the cause and what lets the copy go on.
"""

import posixpath
import secrets
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path

import trio

from copyagent.core.copying import CopyHeld, CopyWaits, Errand, HoldReason, WaitReason
from copyagent.transfer import staging
from copyagent.transfer.agent_mark import MAX_BYTES, AgentMark
from copyagent.transfer.attempt import Attempt, Ended
from copyagent.transfer.layout import SENTINEL, Layout
from copyagent.transfer.relocation import relocate
from copyagent.transfer.target import (
    EntryKind,
    Space,
    Target,
    TargetEntry,
    TargetFull,
    TargetLacks,
    TargetMissing,
    TargetRefused,
    VaultUnfit,
)
from copyagent.transfer.together import together
from vtsfs.contract.naming import PoolId
from vtsfs.contract.units import format_size


async def before_copy(attempt: Attempt) -> None:
    """Return if nothing at the target forbids to go on; else end the attempt.

    Costs two round trips, and some more once a minute: see `Premises`. On a fenced target nothing
    is written. Afterwards our directories are there.
    """
    layout, premises = attempt.layout, attempt.route.premises
    seen: dict[str, TargetEntry | None] = {}

    async def survey() -> None:
        if not premises.are_sound(layout.directory, layout.pool):
            seen.update(await staging.survey(attempt.target, layout))

    await all_of(partial(check_fence, attempt.target, layout), survey)
    taken: list[str] = []

    async def look_elsewhere() -> None:
        taken.extend(await _taken(attempt))

    await all_of(partial(inspect, attempt, seen), look_elsewhere)
    if not taken:
        return
    wish = attempt.job.wish
    if wish is None or wish.errand is not Errand.RELOCATE or [wish.place] != taken:
        raise Ended(_elsewhere(attempt.layout, taken))
    await relocate(attempt, wish.place)


async def _taken(attempt: Attempt) -> list[str]:
    """Return where else at the target another tape has the label."""
    places = await _places(attempt)
    found = await together(partial(attempt.target.lstat, path) for path in places)
    return [
        path
        for path, entry in zip(places, found, strict=True)
        if entry is not None and not await trio.to_thread.run_sync(_is_twin, attempt, places[path])
    ]


async def all_of(*guards: Callable[[], Awaitable[None]]) -> None:
    """Ask several guards at once; the first of them that refuses ends the attempt."""
    refusals: dict[int, Ended] = {}

    async def ask(place: int, guard: Callable[[], Awaitable[None]]) -> None:
        try:
            await guard()
        except Ended as refusal:
            refusals[place] = refusal

    await together(partial(ask, place, guard) for place, guard in enumerate(guards))
    for _, refusal in sorted(refusals.items()):
        raise refusal


async def check_fence(target: Target, layout: Layout) -> None:
    """Return if the target is not in service for its own host; else end the attempt, waiting."""
    found = await together(partial(target.lstat, path) for path in layout.fences)
    _expect_no_fence(layout.fences, [entry is not None for entry in found])


def _expect_no_fence(fences: tuple[str, ...], there: list[bool]) -> None:
    for path, is_there in zip(fences, there, strict=False):
        if is_there:
            text = f"{path} at the target says that it is in service"
            raise Ended(CopyWaits(WaitReason.FENCED, text))


# ---- room ----------------------------------------------------------------------------------------


async def expect_room(
    attempt: Attempt,
    need: int,
    drop: Callable[[int], Awaitable[None]] | None = None,
    measured: Space | None = None,
) -> None:
    """Return if *need* more bytes fit there; else raise `TargetFull` before anything is sent.

    *measured* is what was there right now, if that is known. *drop* gives back so many bytes, or what it can, by dropping kept generations. A server that
    cannot be asked is believed to have room, and a quota that the file system does not show in its
    free space is met while writing.
    """
    layout = attempt.layout
    space = measured or await attempt.target.space(layout.directory)
    if drop is not None and space is not None and not _fits(need, space):
        await drop(need - space.free)
        space = await attempt.target.space(layout.directory)
    if space is None or _fits(need, space):
        return
    free = "no more files are" if space.files_free == 0 else f"{format_size(space.free)} is"
    raise TargetFull(
        f"no room in {layout.vault} at the target: the copy takes {format_size(need)}, and of "
        f"{format_size(space.total)} {free} free for our user"
    )


def _fits(need: int, space: Space) -> bool:
    return space.free >= need and space.files_free != 0


# ---- the label in another place ------------------------------------------------------------------


async def _places(attempt: Attempt) -> dict[str, PoolId]:
    """Return where else at the target a tape of this label could lie, with the pool it would be in."""
    around, label = attempt.route.surroundings, attempt.layout.tape.label
    pools = await together(
        partial(_pools_of, attempt, directory) for directory in around.vaults.values()
    )
    places = {
        f"{directory}/{pool}/{label}": PoolId(vault, pool)
        for (vault, directory), names in zip(around.vaults.items(), pools, strict=True)
        for pool in names
    }
    places.pop(attempt.layout.destination, None)
    return places


async def _pools_of(attempt: Attempt, directory: str) -> tuple[str, ...]:
    premises = attempt.route.premises
    known = premises.pools_of(directory)
    if known is not None:
        return known
    try:
        names = await attempt.target.list_names(directory)
    except TargetMissing:
        names = []  # said more clearly when our directories are made
    known = tuple(filter(attempt.route.surroundings.patterns.is_pool, names))
    premises.found_pools(directory, known)
    return known


def _is_twin(attempt: Attempt, pool: PoolId) -> bool:
    return attempt.route.surroundings.is_here_too(pool, attempt.layout.tape.label)


def _elsewhere(layout: Layout, taken: list[str]) -> CopyHeld:
    places = ", ".join(taken)
    detail = f"{places} at the target has the label of {layout.destination}"
    place = taken[0] if len(taken) == 1 else ""
    return CopyHeld(HoldReason.LABEL_ELSEWHERE, detail, place=place)


# ---- the staging directory -----------------------------------------------------------------------


async def inspect(attempt: Attempt, seen: staging.Seen) -> None:
    """Return if our staging directory is ours, over there, and one file system with the pool.

    Made if need be, unless it is the vault that is missing. *seen* is what `staging.survey` has
    just found, empty if nobody has looked.
    """
    target, layout, premises = attempt.target, attempt.layout, attempt.route.premises
    async with premises.looking:
        if premises.are_sound(layout.directory, layout.pool):
            return
        seen = seen or await staging.survey(target, layout)
        make_others = await staging.begin_to_prepare(target, layout, seen)
        put: list[bool] = []

        async def put_mark() -> None:
            put.append(await _put_mark(attempt, seen[layout.mark]))

        may_rename = partial(_expect_renames, target, layout, seen[layout.pool])
        await all_of(may_rename, put_mark, make_others)
        looks = [partial(_expect_other_storage, attempt)]
        if put[0]:
            looks.append(partial(_expect_our_mark, attempt))
        await all_of(*looks)
        premises.found_sound(layout.directory, layout.pool)


async def expect_renames(target: Target, layout: Layout) -> None:
    """Find out whether a stage could be given the tape's name, by a rename of what is not there.

    The kernel looks at the mounts before it looks at the names (rename(2), EXDEV and EROFS), so the
    server answers "no such file" only where a rename could work. Nothing is written.
    """
    await _expect_renames(target, layout, await target.lstat(layout.pool))


async def _expect_renames(target: Target, layout: Layout, pool: TargetEntry | None) -> None:
    if pool is not None and pool.kind is not EntryKind.DIRECTORY:
        raise TargetRefused(
            f"looking at the pool {layout.pool}",
            "it is no directory at the target",
            "put a directory there, or change target_pool; a symbolic link is not followed",
        )
    places = [layout.vault] if pool is None else [layout.vault, layout.pool]
    into_vault, *into_pool = await together(
        partial(_refusal, target, layout.directory, place) for place in places
    )
    if into_vault is not None:
        what = f"publishing from {layout.staging_root} into {layout.vault}"
        raise VaultUnfit(what, into_vault.why, into_vault.next_step) from into_vault
    for refusal in into_pool:
        if refusal is not None:
            raise refusal


async def _refusal(target: Target, directory: str, into: str) -> TargetRefused | None:
    """Return why nothing could be renamed from *directory* into another, None if it could."""
    name = secrets.token_hex(8)
    try:
        await target.rename(f"{directory}/{name}", f"{into}/.{name}")
    except TargetMissing:
        pass
    except TargetLacks:
        raise
    except TargetRefused as error:
        return error
    return None


async def _put_mark(attempt: Attempt, there: TargetEntry | None) -> bool:
    """Put our mark into the directory if there is none; another agent's ends the attempt.

    *there* is what was seen in its place. Tells whether one was put: two agents may do so at once.
    """
    target, path, mine = attempt.target, attempt.layout.mark, attempt.route.surroundings.mark
    if not mine.agent:
        return False
    found = await _mark_in(target, path, there)
    if found is not None:
        _expect_ours(attempt, found)
        return False
    await staging.write_durably(target, path, mine.encode())
    return True


async def _expect_our_mark(attempt: Attempt) -> None:
    """Find the mark that was just put there: of two agents that came at once, the last one's stands."""
    _expect_ours(attempt, await _mark_at(attempt.target, attempt.layout.mark))


def _expect_ours(attempt: Attempt, found: AgentMark | None) -> None:
    path = attempt.layout.mark
    if found is None or found.agent != attempt.route.surroundings.mark.agent:
        who = "another agent" if found is None else f"the agent of {found.system} on {found.node}"
        detail = f"{posixpath.dirname(path)} at the target is in use by {who}"
        raise Ended(CopyWaits(WaitReason.FOREIGN_AGENT, detail))


async def read_mark(target: Target, path: str) -> AgentMark | None:
    """Read the mark at *path*; None if there is none, or what is there is damaged."""
    return await _mark_in(target, path, await target.lstat(path))


async def _mark_in(target: Target, path: str, entry: TargetEntry | None) -> AgentMark | None:
    """Read what was seen at *path*, if it is a file that can be a mark."""
    if entry is None or entry.kind is not EntryKind.FILE or not 0 < entry.size <= MAX_BYTES:
        return None
    return await _mark_at(target, path)


async def _mark_at(target: Target, path: str) -> AgentMark | None:
    file = await target.open(path)
    data = await file.read(0, MAX_BYTES)
    await file.close()
    return AgentMark.decode(data)


async def _expect_other_storage(attempt: Attempt) -> None:
    """Make a file there, and see that it does not show up here: a copy onto itself is none."""
    target, layout, premises = attempt.target, attempt.layout, attempt.route.premises
    name = f"{secrets.token_hex(16)}{SENTINEL}"
    path = f"{layout.directory}/{name}"
    premises.building.add(name)
    done: list[Callable[[], Awaitable[None]]] = [partial(target.remove, path)]
    try:
        done.append((await target.create(path)).close)
        storages = attempt.route.surroundings.storages
        seen = await trio.to_thread.run_sync(seen_here, storages, layout, name)
    finally:
        with trio.move_on_after(2, shield=True):
            await together(done)
        premises.building.discard(name)
    if seen:
        detail = f"{layout.vault} at the target is {seen} of this system, under another name"
        raise Ended(CopyHeld(HoldReason.SAME_STORAGE, detail))


def seen_here(storages: Iterable[Path], layout: Layout, name: str) -> str:
    """Return the storage in which *name*, made in staging there, shows up; empty if in none. Blocks."""
    for storage in storages:
        try:
            (storage / layout.staging / layout.system / name).lstat()
        except OSError:
            continue
        return str(storage)
    return ""
