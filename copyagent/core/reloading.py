"""Other settings for a running agent: what they change, what follows from that, and the change itself.

All of it happens between two events, and all or nothing: who asks whether the new settings are sound
has done so before. What only a restart brings in stays as it was.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from copyagent.core import tape as states
from copyagent.core.book import Former
from copyagent.core.commands import StopCopy, SweepVault
from copyagent.core.engine import Engine
from copyagent.core.monitored import tell_what_left
from copyagent.core.owed import Way
from copyagent.core.queues import CopyKey
from copyagent.core.settings_keys import (
    Changed,
    awaiting_restart,
    difference,
    session_of,
    ways_of,
    without_restart,
)
from copyagent.core.time import Moment
from vtsfs.contract.naming import PoolId
from vtsfs.contract.settings import Settings


@dataclass(frozen=True, slots=True)
class Reload:
    """What taking over *wanted* changes and means; *taken* is the part that needs no restart.

    *stops* are the running copies that cannot go on as they began.
    """

    wanted: Settings
    taken: Settings
    changes: tuple[Changed, ...]
    waiting: tuple[Changed, ...]
    consequences: tuple[str, ...]
    stops: frozenset[CopyKey]


@dataclass(slots=True)
class _Counts:
    """What there is, by pool and target: tapes, those unprotected, running copies, what was left."""

    tapes: Counter[Way] = field(default_factory=Counter)
    unprotected: Counter[Way] = field(default_factory=Counter)
    running: Counter[Way] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    known: Counter[PoolId] = field(default_factory=Counter)


def plan(engine: Engine, on_disk: Settings) -> Reload:
    """Find out what it means to take over *on_disk*; nothing is changed."""
    book = engine.book
    old, taken = book.settings, without_restart(book.settings, on_disk)
    changes = difference(old, on_disk)
    applied = difference(old, taken)
    counts = _count(engine)
    stops = frozenset(key for key in book.running if _stops(key, applied, taken))
    lines = [
        *_of_ways(old, taken, counts),
        *_of_targets(old, taken, applied, counts, stops),
        *_of_hosts(old, taken),
        *_of_vaults(old, taken),
        *_of_rules(applied),
        *_of_what_waits(changes),
    ]
    waiting = tuple(awaiting_restart(changes))
    return Reload(on_disk, taken, tuple(changes), waiting, tuple(lines), stops)


def apply(engine: Engine, reload: Reload, now: Moment) -> list[str]:
    """Take over *reload*'s settings; return what left AutoCopy unprotected, a line for each way."""
    book, old = engine.book, engine.book.settings
    for key in book.running:
        former = book.former.setdefault(key, Former(old.digest))
        if key in reload.stops:
            former.otherwise = True
    book.follow(reload.taken, now)
    for tape, target in sorted(reload.stops):
        state = book.records[tape].copies[target].state if tape in book.records else None
        if isinstance(state, states.Copying):
            book.records[tape].note(now.wall_ns, f"{target}: stopped, the settings have changed")
            book.apply(book.records[tape], target, states.Deferred(), now)
        elif state is None:
            book.commands.append(StopCopy(tape, target, "the settings have changed"))
    changed = {c.key[1] for c in difference(old, reload.taken) if c.means.stops == "target"}
    engine.targets.follow(changed, now)
    engine.traffic.follow()
    known = set(engine.vaults.feeds)
    engine.vaults.follow(now)
    engine.links.follow()
    engine.requests.follow()
    engine.judge.follow(now)
    engine.behind.follow()
    for pool in sorted(_pools(reload.taken) - _pools(old), key=str):
        if pool.vault in known:
            book.commands.append(SweepVault(pool.vault, f"pool {pool} is watched from now on"))
    return tell_what_left(book)


# ---- what there is -------------------------------------------------------------------------------


def _count(engine: Engine) -> _Counts:
    book, counts = engine.book, _Counts()
    for tape, target in book.running:
        counts.running[tape.pool_id, target] += 1
    for record in book.records.active():
        counts.known[record.tape.pool_id] += 1
        for target, copy in record.copies.items():
            way = (record.tape.pool_id, target)
            counts.tapes[way] += 1
            counts.unprotected[way] += not record.protected_at(target)
            tried = states.Retrying | states.Waiting | states.Failed
            counts.tried[target] += isinstance(copy.state, tried)
    for (path, shape), count in book.records.counts().items():
        pool = PoolId.parse(path)
        counts.known[pool] += count
        for at_rest in shape.copies:
            counts.tapes[pool, at_rest.target] += count
            counts.unprotected[pool, at_rest.target] += 0 if at_rest.protected else count
    return counts


def _pools(settings: Settings) -> set[PoolId]:
    return {entry.pool for entry in settings.autocopy}


def _stops(key: CopyKey, changes: list[Changed], taken: Settings) -> bool:
    """Tell whether the running copy cannot go on as it began."""
    tape, target = key
    way = f"{tape.pool_id} to {target}"
    if (tape.pool_id, target) not in ways_of(taken):
        return True
    for change in changes:
        match change.means.stops:
            case "all":
                return True
            case "target" if change.key[1] == target:
                return True
            case "way" if change.key[1] == way:
                return True
    return False


# ---- what follows, in words ----------------------------------------------------------------------


def _number(count: int, noun: str, verb: str = "") -> str:
    """Write ``1 copy is`` or ``3 copies are``: *verb* is that of one."""
    many = count != 1
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    does = {"is": "are", "was": "were"}.get(verb, verb) if many else verb
    return f"{count} {plural if many else noun} {does}".rstrip()


def _of_ways(old: Settings, new: Settings, counts: _Counts) -> Iterator[str]:
    before, after = ways_of(old), ways_of(new)
    for pool, target in sorted(before - after, key=str):
        way, left = (pool, target), counts.unprotected[pool, target]
        stopped = (
            f"; {_number(counts.running[way], 'running copy', 'is')} stopped"
            if counts.running[way]
            else ""
        )
        if pool not in _pools(new):
            to = f" ({target})" if len(old.copies_of(pool)) > 1 else ""
            tapes = _number(left, "unprotected tape") if left else "no unprotected tape"
            yield f"pool {pool} leaves AutoCopy with {tapes}{to}{stopped}"
        else:
            yield (
                f"pool {pool} is not copied to {target} any more, "
                f"{_number(left, 'tape', 'is')} unprotected there{stopped}"
            )
    renamed = _renamed(old, new)
    for pool, target in sorted(after - before, key=str):
        yield _of_new_way(pool, target, renamed.get(target), counts)
    for pool, target in sorted(before & after, key=str):
        was, will = _place(old, pool, target), _place(new, pool, target)
        if was != will:
            yield (
                f"pool {pool} at {target} goes to {will} from now on: what lies in {was} stays "
                f"there, and {_number(counts.tapes[pool, target], 'tape', 'is')} unsynced or owed at "
                f"the new place; to copy all: copyagent sync {pool} --target {target}"
            )


def _of_new_way(pool: PoolId, target: str, former: str | None, counts: _Counts) -> str:
    if former is not None:
        return (
            f"target {former} is called {target} now, which is another target to the agent: tapes of "
            f"{pool} are unsynced there; what lies there is taken without being sent by: "
            f"copyagent adopt {pool} --target {target}"
        )
    before = counts.tapes[pool, target]
    if before:
        return (
            f"pool {pool} is copied to {target} again: of {_number(before, 'tape')} known from before, what "
            "was owed, or has changed since, is copied"
        )
    if counts.known[pool]:
        return (
            f"pool {pool} is copied to {target} from now on: {_number(counts.known[pool], 'tape', 'is')} "
            f"unsynced there; to copy them: copyagent sync {pool} --target {target}"
        )
    return (
        f"pool {pool} is watched from now on; tapes that are there already are unsynced at {target}; "
        f"to copy them: copyagent sync {pool}"
    )


def _renamed(old: Settings, new: Settings) -> dict[str, str]:
    """Return, for targets with a new name, the former one: all else of it is as it was."""
    gone = {name: old.targets[name] for name in old.targets.keys() - new.targets.keys()}
    fresh = {name: new.targets[name] for name in new.targets.keys() - old.targets.keys()}
    return {
        name: former
        for name, target in fresh.items()
        for former, other in gone.items()
        if other == target
    }


def _place(settings: Settings, pool: PoolId, target: str) -> str:
    entry = next(e for e in settings.copies_of(pool) if e.target == target)
    there = settings.targets[target]
    return f"{there.host}:{there.vaults[entry.target_pool.vault]}/{entry.target_pool.pool}"


def _of_targets(
    old: Settings,
    new: Settings,
    changes: list[Changed],
    counts: _Counts,
    stops: frozenset[CopyKey],
) -> Iterator[str]:
    for target in sorted(old.targets.keys() & new.targets.keys()):
        stopped = sum(
            1 for tape, name in stops if name == target and _goes_on(tape.pool_id, name, new)
        )
        keys = [c.key[2] for c in changes if c.key[:2] == ("targets", target) and c.means.stops]
        names = ", ".join(dict.fromkeys(keys))
        if names:
            again = (
                f": {_number(stopped, 'running copy', 'is')} stopped, to begin again"
                if stopped
                else ""
            )
            yield f"target {target} changes {names}{again}"
            if counts.tried[target]:
                yield (
                    f"target {target}: what failed or waits there is tried anew, with ladders of "
                    f"their own ({_number(counts.tried[target], 'copy')})"
                )
        elif stopped:
            yield f"{_number(stopped, 'running copy', 'is')} stopped, to begin again at {target}"
    for target in sorted(old.targets.keys() - new.targets.keys()):
        yield f"target {target} is gone; nothing there is changed or removed"


def _goes_on(pool: PoolId, target: str, new: Settings) -> bool:
    return (pool, target) in ways_of(new)


def _of_hosts(old: Settings, new: Settings) -> Iterator[str]:
    before, after = old.ems.hosts, new.ems.hosts
    for host in sorted(before.keys() - after.keys()):
        yield f"host {host} is not listened to any more: its mounts are judged by the overlay alone"
    for host in sorted(after.keys() - before.keys()):
        yield f"host {host} is listened to from now on"
    for host in sorted(before.keys() & after.keys()):
        if session_of(old, host) != session_of(new, host):
            yield f"the link to host {host} is begun anew, from where it had come"


def _of_vaults(old: Settings, new: Settings) -> Iterator[str]:
    for vault in sorted(new.vaults.keys() - old.vaults.keys()):
        yield f"vault {vault} is new; to put the overlay over it: vtsfs attach {vault}"
    for vault in sorted(old.vaults.keys() - new.vaults.keys()):
        yield f"vault {vault} is gone; an overlay over it stays until: vtsfs detach {vault}"


def _of_rules(changes: list[Changed]) -> Iterator[str]:
    """Say from when on rules count that are looked at now and then only."""
    changes = [change for change in changes if not change.comes_or_goes]
    sections = {change.key[0] for change in changes}
    if "cross_check" in sections:
        yield "cross_check counts from the next verdict on; what is held stays held"
    if "retry" in sections:
        yield "retry counts from the end of each copy's next attempt on"
    if any(c.key[0] == "autocopy" and c.key[-1] == "hold_down" for c in changes):
        yield "hold_down counts from each tape's next dismount on"
    for change in changes:
        if change.key[0] == "autocopy" and change.key[-1] == "keep" and _is_less(change):
            yield (
                f"{change.key[1]}: of former generations there, more than {change.new} are removed "
                "with each tape's next copy"
            )


def _is_less(change: Changed) -> bool:
    old, new = change.old, change.new
    return isinstance(old, int) and isinstance(new, int) and new < old


def _of_what_waits(changes: list[Changed]) -> Iterator[str]:
    waiting = [change.name for change in awaiting_restart(changes)]
    if waiting:
        yield (
            f"not before the agent is started again: {', '.join(waiting)}; when it "
            "suits, end the agent and start it: copies that run then go on from where they were"
        )
    attach = [c.name for c in changes if c.means.attach and c.name not in waiting]
    if attach:
        yield (
            f"the overlay keeps what it was attached with: {', '.join(attach)}; when no tape is open, "
            "for each vault: vtsfs detach VAULT, then vtsfs attach VAULT"
        )
