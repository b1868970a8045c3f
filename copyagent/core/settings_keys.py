"""Which settings a running agent can take over, and which only a restart or an attach brings in.

`KEYS` classifies every key of the file, the most particular pattern first found counts; the manual
(``copyagent(8)``, RELOADING) prints it. What an overlay was attached with it keeps: it is another
process, and tapes are open through it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vtsfs.contract.naming import PoolId
from vtsfs.contract.settings import Settings


@dataclass(frozen=True, slots=True)
class Means:
    """What a change of a key takes: *restart* of the agent, *attach* of the vaults, or neither.

    *stops* are the copies that cannot go on as they began: of the target, of the pool's way to it,
    or all of them.
    """

    restart: bool = False
    attach: bool = False
    stops: str = ""

    @property
    def words(self) -> str:
        """Say it as the manual does."""
        if self.restart:
            return "restart, and attach" if self.attach else "restart"
        if self.attach:
            return "at once, and attach" if self.stops else "attach"
        return "at once, copies stop" if self.stops else "at once"


_AT_ONCE: Final = Means()
_RESTART: Final = Means(restart=True)
_BOTH: Final = Means(restart=True, attach=True)
_ATTACH: Final = Means(attach=True)
_TARGET: Final = Means(stops="target")
_WAY: Final = Means(stops="way")

#: By pattern; ``*`` is any one part of a dotted key, and a pattern stands for all keys below it.
KEYS: Final[Mapping[str, Means]] = {
    "system": _BOTH,
    "paths": _BOTH,
    "service": _BOTH,
    "naming": _BOTH,
    "vaults.*.backing": _BOTH,
    "vaults.*.mountpoint": _BOTH,
    "vaults.*.outbox_failure": _ATTACH,
    "targets.*.host": _TARGET,
    "targets.*.port": _TARGET,
    "targets.*.user": _TARGET,
    "targets.*.key": _TARGET,
    "targets.*.known_hosts": _TARGET,
    "targets.*.algorithms": _TARGET,
    "targets.*.vaults": _TARGET,
    "targets.*.staging": _TARGET,
    "targets.*.verify": _TARGET,
    "targets.*.readback": _TARGET,
    "targets.*.keep_free": _TARGET,
    "targets.*.parallel": _AT_ONCE,
    "targets.*.bandwidth": _TARGET,
    "targets.*.window": _AT_ONCE,
    "targets.*.connect_timeout": _AT_ONCE,
    "targets.*.keepalive": _AT_ONCE,
    "autocopy.*.pool": _AT_ONCE,
    "autocopy.*.target": _AT_ONCE,
    "autocopy.*.target_pool": _WAY,
    "autocopy.*.companions": Means(attach=True, stops="way"),
    "autocopy.*.behind_after": _AT_ONCE,
    "autocopy.*.keep": _WAY,
    "autocopy.*.priority": _AT_ONCE,
    "autocopy.*.hold_down": _AT_ONCE,
    "retry": _AT_ONCE,
    "traffic.parallel": _AT_ONCE,
    "traffic.bandwidth": Means(stops="all"),
    "cross_check": _AT_ONCE,
    "sweep": _AT_ONCE,
    "ems": _AT_ONCE,
    "encryption": _ATTACH,
    "metrics": _AT_ONCE,
    "notify": _AT_ONCE,
    "history": _AT_ONCE,
}

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """One key with another value; None: it is not there. Values are as the file has them."""

    key: Key
    old: Any
    new: Any

    @property
    def name(self) -> str:
        """Write the key as operators do, with an `autocopy` entry named by pool and target."""
        return ".".join(self.key)

    @property
    def comes_or_goes(self) -> bool:
        """Whether it is all of an entry that is new, or gone."""
        return isinstance(self.old, dict) or isinstance(self.new, dict)

    @property
    def means(self) -> Means:
        """What the change takes. A pool that comes with companions the overlay has to know of."""
        if not self.comes_or_goes:
            return means_of(self.key)
        return Means(attach=isinstance(self.new, dict) and bool(self.new.get("companions")))


def means_of(key: Key) -> Means:
    """Return what a change of *key* takes; KeyError for one that nobody has classified."""
    for length in range(len(key), 0, -1):
        for pattern, means in KEYS.items():
            parts = pattern.split(".")
            pairs = zip(parts, key[:length], strict=False)
            if len(parts) == length and all(part in ("*", given) for part, given in pairs):
                return means
    raise KeyError(".".join(key))


def flat(settings: Settings) -> dict[Key, Any]:
    """Return every key with its value as the file writes it; lists are values."""
    document = settings.model_dump(mode="json")
    document["autocopy"] = {
        f"{entry['pool']} to {entry['target']}": entry for entry in document["autocopy"]
    }
    found: dict[Key, Any] = {}
    _flatten((), document, found)
    return found


def _flatten(key: Key, value: Any, found: dict[Key, Any]) -> None:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            _flatten((*key, str(name)), part, found)
    elif not isinstance(value, dict):
        found[key] = value


def difference(old: Settings, new: Settings) -> list[Changed]:
    """Return every key that has another value in *new*, in the order of the file's sections.

    A target, vault, host or way that is new or gone is one change, whose value is all of it.
    """
    before, after = flat(old), flat(new)
    for mine, other in ((before, after), (after, before)):
        there = {_entry_of(key) for key in other}
        for key in list(mine):
            entry = _entry_of(key)
            if entry is not None and entry not in there:
                mine.setdefault(entry, {})[".".join(key[len(entry) :])] = mine.pop(key)
    keys = list(dict.fromkeys((*before, *after)))
    return [
        Changed(key, before.get(key), after.get(key))
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _entry_of(key: Key) -> Key | None:
    """Return the named entry that *key* is part of, None if of none."""
    for section in (("vaults",), ("targets",), ("autocopy",), ("ems", "hosts")):
        if key[: len(section)] == section and len(key) > len(section):
            return key[: len(section) + 1]
    return None


def without_restart(old: Settings, new: Settings) -> Settings:
    """Return *new* with what only a restart brings in as it is in *old*."""
    vaults = {
        name: vault.model_copy(
            update={
                "backing": old.vaults[name].backing,
                "mountpoint": old.vaults[name].mountpoint,
            }
        )
        if name in old.vaults
        else vault
        for name, vault in new.vaults.items()
    }
    kept = {"system": old.system, "paths": old.paths, "service": old.service, "naming": old.naming}
    return new.model_copy(update={**kept, "vaults": vaults})


def awaiting_restart(changes: list[Changed]) -> list[Changed]:
    """Return those of *changes* that a restart alone brings in."""
    return [change for change in changes if change.means.restart]


def ways_of(settings: Settings) -> frozenset[tuple[PoolId, str]]:
    """Return which pool goes to which target."""
    return frozenset((entry.pool, entry.target) for entry in settings.autocopy)


def session_of(settings: Settings, host: str) -> object:
    """Return what the session with *host* is made of: what only decisions need ends none."""
    entry = settings.ems.hosts[host]
    only_decided: dict[str, object] = {
        "lost_after": 0.0,
        "remind_every": 0.0,
        "policy": None,
        "drives": {},
    }
    return entry.model_copy(update={**only_decided, "timezone": None}), settings.ems.logins
