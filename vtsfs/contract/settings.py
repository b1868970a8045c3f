"""The settings file: one strict YAML schema for both programs.

The models say what a key means, its unit and its default; ``vts-autocopy.yaml(5)`` is checked
against them. Every model refuses unknown keys and is frozen. `load_settings` reports all problems
of a file together, each with file and dotted key; what only the file system can answer (is that
key readable, is that secret private) is asked in `settings_check`.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, PrivateAttr, ValidationError

from vtsfs.contract.broken_yaml import sections_that_are_yaml, why_not_yaml
from vtsfs.contract.errors import SettingsError
from vtsfs.contract.naming import LABEL_PATTERN, POOL_PATTERN, NamePatterns, PoolId, TapeId
from vtsfs.contract.near_names import hint
from vtsfs.contract.setting_values import (
    AbsolutePath,
    Bandwidth,
    CompanionPattern,
    Model,
    Percent,
    Pool,
    Port,
    Readback,
    Seconds,
    SecondsOrNone,
    TargetKey,
    VaultKey,
    Window,
)
from vtsfs.contract.settings_algorithms import Algorithms
from vtsfs.contract.settings_ems import Ems
from vtsfs.contract.settings_encryption import Encryption
from vtsfs.contract.settings_history import HistoryKept
from vtsfs.contract.settings_metrics import Metrics
from vtsfs.contract.settings_notify import AlarmHook

DEFAULT_PATH = Path("/etc/vts-autocopy/vts-autocopy.yaml")
ENVIRONMENT = "VTS_AUTOCOPY_CONFIG"


class System(Model):
    """Who we are: the name in the event log and the name of our staging directory at a target."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,14}$")]
    model: Annotated[str, Field(max_length=7)] = "VTS"


class Paths(Model):
    """Where the programs keep their files."""

    state: AbsolutePath = Path("/var/lib/vts-autocopy")
    run: AbsolutePath = Path("/run/vts-autocopy")
    event_log: AbsolutePath = Path("/var/log/vts-autocopy/event.log")


class Service(Model):
    """Under whom the agent runs; its group may look through the control socket, *operators* act."""

    user: str | None = None
    group: str | None = None
    operators: str | None = None


class Naming(Model):
    """Regular expressions: which files are tapes, which directories are pools."""

    label: str = LABEL_PATTERN
    pool: str = POOL_PATTERN

    def patterns(self) -> NamePatterns:
        """Return the two patterns for `naming`."""
        return NamePatterns(label=self.label, pool=self.pool)


class Vault(Model):
    """One vault of this system: the tapes lie in *backing*, the tape engine uses *mountpoint*."""

    backing: AbsolutePath
    mountpoint: AbsolutePath
    outbox_failure: Literal["continue", "refuse"] = "continue"


class Target(Model):
    """One receiving system: a plain OpenSSH server.

    *keep_free* is the share of the file system that kept generations leave free. *bandwidth* is in
    bytes per second; outside the daily *window* nothing is sent; None: no limit.
    """

    host: Annotated[str, Field(min_length=1)]
    port: Port = 22
    user: Annotated[str, Field(min_length=1)]
    key: AbsolutePath
    known_hosts: AbsolutePath
    algorithms: Algorithms = Algorithms()
    vaults: Annotated[dict[VaultKey, AbsolutePath], Field(min_length=1)]
    staging: Annotated[str, Field(pattern=r"^\.[A-Za-z0-9_-][A-Za-z0-9_.-]{0,39}$")] = (
        ".vts-autocopy"
    )
    verify: Literal["auto", "size", "sha256", "readback"] = "auto"
    readback: Readback = "all"
    keep_free: Percent = 0.10
    parallel: Annotated[int, Field(ge=1, le=16)] = 2
    bandwidth: Bandwidth | None = None
    window: Window | None = None
    connect_timeout: Seconds = 15.0
    keepalive: Seconds = 10.0


class AutoCopy(Model):
    """One watched pool, the target that gets its tapes, and the pool there.

    *companions* are patterns of files that travel with the pool's tapes. *behind_after* is how long
    a copy may be owed until the pool has fallen behind; 0: however long it takes. *keep* former
    generations stay at the target beside the present one. Pools of higher *priority* are copied
    first. *hold_down* is how long a tape rests after its dismount before it is copied, in seconds.
    """

    pool: Pool
    target: str
    target_pool: Pool
    companions: tuple[CompanionPattern, ...] = ()
    behind_after: SecondsOrNone = 1800.0
    keep: Annotated[int, Field(ge=0, le=99)] = 1
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    hold_down: SecondsOrNone = 0.0


class Traffic(Model):
    """What all copies to all targets together may take: *bandwidth* in bytes per second."""

    parallel: Annotated[int, Field(ge=1, le=64)] = 2
    bandwidth: Bandwidth | None = None


class Retry(Model):
    """The ladder: the first attempt at once, *attempts* in all, *interval* between them."""

    attempts: Annotated[int, Field(ge=1, le=1000)] = 12
    interval: Seconds = 300.0
    rearm: Literal["when-target-returns", "never"] = "when-target-returns"


class CrossCheck(Model):
    """How the two witnesses are compared, and what follows from each verdict."""

    grace: SecondsOrNone = 30.0
    settle: SecondsOrNone = 2.0
    mounted_max: Seconds = 86400.0
    overlay_only: Literal["copy", "hold"] = "copy"
    host_only: Literal["copy", "hold", "none"] = "copy"
    unwritten: Literal["copy", "none"] = "copy"
    changed: Literal["copy", "hold"] = "copy"
    conflict: Literal["hold", "copy"] = "hold"
    interrupted: Literal["hold", "copy"] = "hold"
    label_twice: Literal["hold", "copy"] = "hold"


class Sweep(Model):
    """How often every watched tape is compared with what was recorded last."""

    interval: Seconds = 86400.0


class Settings(Model):
    """The whole file; without vaults, as a package brings it, there is nothing to attach or copy."""

    system: System
    paths: Paths = Paths()
    service: Service = Service()
    naming: Naming = Naming()
    vaults: dict[VaultKey, Vault]
    targets: dict[TargetKey, Target] = Field(default_factory=dict)
    autocopy: tuple[AutoCopy, ...] = ()
    retry: Retry = Retry()
    traffic: Traffic = Traffic()
    cross_check: CrossCheck = CrossCheck()
    sweep: Sweep = Sweep()
    ems: Ems = Ems()
    encryption: Encryption = Encryption()
    history: HistoryKept = HistoryKept()
    metrics: Metrics = Metrics()
    notify: AlarmHook = AlarmHook()
    _digest: str = PrivateAttr("")
    _text: str = PrivateAttr("")

    @property
    def digest(self) -> str:
        """The SHA-256 of the file they were read from, in hex; empty where there was none."""
        return self._digest

    @property
    def text(self) -> str:
        """The text of the file they were read from; empty where there was none."""
        return self._text

    def copies_of(self, pool: PoolId) -> tuple[AutoCopy, ...]:
        """Return the `autocopy` entries that watch *pool*."""
        return tuple(entry for entry in self.autocopy if entry.pool == pool)

    def patterns_of(self, vault: str) -> NamePatterns:
        """Return which names in *vault* are pools, tapes, and companions of tapes.

        A companion of a pool is what any `autocopy` entry of that pool calls one.
        """
        companions: dict[str, tuple[str, ...]] = {}
        for entry in self.autocopy:
            if entry.pool.vault == vault and entry.companions:
                known = companions.get(entry.pool.pool, ())
                companions[entry.pool.pool] = (*known, *entry.companions)
        return replace(self.naming.patterns(), companions=companions)

    def target_tape(self, tape: TapeId, target: str) -> TapeId | None:
        """Return where *tape* goes at *target*, or None when its pool is not copied there."""
        for entry in self.copies_of(tape.pool_id):
            if entry.target == target:
                return TapeId(entry.target_pool.vault, entry.target_pool.pool, tape.label)
        return None

    def keep_of(self, tape: TapeId, target: str) -> int:
        """Return how many former generations of *tape* are to stay at *target*."""
        return max((e.keep for e in self.copies_of(tape.pool_id) if e.target == target), default=0)

    def companions_of(self, tape: TapeId, target: str) -> tuple[str, ...]:
        """Return the patterns of the files that travel with *tape* to *target*."""
        entries = (e for e in self.copies_of(tape.pool_id) if e.target == target)
        return tuple(pattern for entry in entries for pattern in entry.companions)

    def feed_socket(self, vault: str) -> Path:
        """Return the Unix socket on which the overlay of *vault* hands over its signals."""
        return self.paths.run / f"vtsfs-{vault}.sock"

    def overlay_lock(self, vault: str) -> Path:
        """Return the file that the overlay of *vault* keeps locked for as long as it lives."""
        return self.paths.run / f"vtsfs-{vault}.lock"

    def outbox_path(self, vault: str) -> Path:
        """Return the outbox database of *vault*."""
        return self.paths.state / "outbox" / f"{vault}.sqlite"

    def control_socket(self) -> Path:
        """Return the Unix socket on which operators reach the agent."""
        return self.paths.run / "copyagent.sock"

    def snapshot_path(self) -> Path:
        """Return where the agent's last known state lies, for when it does not answer."""
        return self.paths.state / "status.json"

    def agent_directory(self) -> Path:
        """Return the directory of the agent's durable state."""
        return self.paths.state / "agent"


_BOOL, _TEXT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys without a word; a settings file must not."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    # Before merge keys (<<) are resolved: overriding what was merged in is no mistake.
    seen: set[object] = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            continue  # refused below: no list or mapping can be a key
        if key_node.tag == _BOOL:
            key_node.tag = _TEXT  # YAML 1.1 takes the key on: for true, and nobody means that
        if key_node.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key_node.value!r} stands here twice", key_node.start_mark
            )
        seen.add(key_node.value)
    return loader.construct_mapping(node, deep=True)


def _whole_text(loader: _UniqueKeyLoader, node: yaml.ScalarNode) -> str:
    text = loader.construct_scalar(node)
    if re.search("[\ud800-\udfff]", text):  # as of "\\uD800": no file, program or line can have it
        problem = "a text with half a surrogate pair, which no UTF-8 can hold"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return str(text)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)
_UniqueKeyLoader.add_constructor(_TEXT, _whole_text)


def read_yaml(text: str) -> Any:
    """Return what the YAML in *text* says: no key twice, and the key ``on`` is a word.

    Raises what PyYAML does.
    """
    return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506  # a SafeLoader


def parse_settings(text: str, name: str) -> Settings:
    """Read the YAML in *text*; raise `SettingsError` with every problem, each behind *name*.

    Only the text is looked at: nothing here asks the file system.
    """
    settings, problems = examine_settings(text, name)
    if settings is None or problems:
        raise SettingsError("\n".join(problems), problems)
    return settings


def examine_settings(text: str, name: str) -> tuple[Settings | None, tuple[str, ...]]:
    """Return what the YAML in *text* says and every problem with it, each behind *name*.

    Settings that come with problems are good for one thing, to find more of them: unknown keys are
    left out and wrong values replaced by their defaults. None, where no default can stand in.
    """
    try:
        data = read_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        rest = _lenient(sections_that_are_yaml(text, read_yaml))
        return rest, behind(name, [why_not_yaml(error)])
    if not isinstance(data, dict):
        return None, behind(name, ["should hold keys such as system: and vaults:"])
    problems: list[str] = []
    moot: str | None = None
    settings: Settings | None
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        problems = [_problem(dict(e)) for e in error.errors()]
        # Hosts that are wrong are taken out; then it would be said that there are none.
        moot = _NO_HOST if any(e["loc"][:2] == ("ems", "hosts") for e in error.errors()) else None
        settings = _salvaged(data, error)
    if settings is not None:
        settings._text = text
        settings._digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        problems += [problem for problem in contradictions(settings) if problem != moot]
    return settings, behind(name, problems)


def _lenient(data: dict[Any, Any]) -> Settings | None:
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        return _salvaged(data, error)


def behind(name: str, problems: list[str]) -> tuple[str, ...]:
    """Put the file's *name* in front of each of *problems*."""
    return tuple(f"{name}: {problem}" for problem in problems)


def _salvaged(data: dict[Any, Any], error: ValidationError) -> Settings | None:
    for found in error.errors():
        *path, last = found["loc"]
        part: Any = data
        for step in path:
            # Nothing is taken out of a list: the entries after it would be told by wrong numbers.
            part = part.get(step) if isinstance(part, dict) else None
        if isinstance(part, dict):
            part.pop(last, None)
    try:
        return Settings.model_validate(data)
    except ValidationError:
        return None


def _keys_below(model: type[Model], seen: set[type[Model]]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Model) and kind not in seen:
                seen.add(kind)
                yield from _keys_below(kind, seen)


#: Every name of a key, whatever section it is of: who mistypes one is asked whether it was meant.
_KEYS = frozenset(_keys_below(Settings, set()))


def _problem(error: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["loc"][-1:] == ("[key]",):
        return f"{key.removesuffix('.[key]')}: is no name of this kind; see vts-autocopy.yaml(5)"
    if error["type"] == "extra_forbidden":
        meant = hint(str(error["loc"][-1]), _KEYS, otherwise="; see vts-autocopy.yaml(5)")
        return f"{key}: no such setting{meant}"
    if error["type"] == "missing":
        return f"{key}: this setting is required"
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"{key}: {text[:1].lower()}{text[1:]}"


_NO_HOST = (
    "ems.hosts: no host is configured, so only the overlay would tell of mounts; "
    "add one, or say ems: {required: false}"
)


def contradictions(settings: Settings) -> list[str]:
    """Find what is wrong between sections that are each right in themselves."""
    bad_patterns = _bad_patterns(settings)
    return [
        *_unknown_references(settings, None if bad_patterns else settings.naming.patterns()),
        *_overlapping_paths(settings),
        *bad_patterns,
    ]


def _unknown_references(settings: Settings, patterns: NamePatterns | None) -> list[str]:
    problems = []
    seen: set[tuple[PoolId, str]] = set()
    receivers: dict[tuple[str, PoolId], PoolId] = {}
    for index, entry in enumerate(settings.autocopy):
        key = f"autocopy.{index}"
        if entry.pool.vault not in settings.vaults:
            problems.append(f"{key}.pool: vault {entry.pool.vault} is not under vaults:")
        target = settings.targets.get(entry.target)
        if target is None:
            known = ", ".join(sorted(settings.targets)) or "none"
            problems.append(f"{key}.target: no target {entry.target!r} (known: {known})")
        elif entry.target_pool.vault not in target.vaults:
            problems.append(
                f"{key}.target_pool: vault {entry.target_pool.vault} is not under "
                f"targets.{entry.target}.vaults"
            )
        for name, pool in (("pool", entry.pool), ("target_pool", entry.target_pool)):
            if patterns is not None and not patterns.is_pool(pool.pool):
                problems.append(f"{key}.{name}: {pool.pool!r} does not fit naming.pool")
        if (entry.pool, entry.target) in seen:
            problems.append(f"{key}: pool {entry.pool} goes to {entry.target} twice")
        seen.add((entry.pool, entry.target))
        other = receivers.setdefault((entry.target, entry.target_pool), entry.pool)
        if other != entry.pool:
            problems.append(
                f"{key}.target_pool: {entry.target_pool} at {entry.target} already receives {other}"
            )
    if settings.autocopy and settings.ems.required and not settings.ems.hosts:
        problems.append(_NO_HOST)
    problems.extend(_unknown_in_ems(settings))
    return problems


def _unknown_in_ems(settings: Settings) -> list[str]:
    problems = settings.ems.problems_of_logins()
    for name, host in settings.ems.hosts.items():
        problems += [
            f"ems.hosts.{name}.vaults: {vault} is not under vaults:"
            for vault in host.vaults
            if vault not in settings.vaults
        ]
        problems += [
            f"ems.hosts.{name}.drives.{drive}: vault {tape.vault} is not under vaults:"
            for drive, tape in host.drives.items()
            if tape.vault not in settings.vaults
        ]
    return problems


def _overlapping_paths(settings: Settings) -> list[str]:
    """No directory of ours may lie inside another: a vault in a vault would copy itself."""
    named = [("paths.state", settings.paths.state), ("paths.run", settings.paths.run)]
    for name, vault in settings.vaults.items():
        named.append((f"vaults.{name}.backing", vault.backing))
        named.append((f"vaults.{name}.mountpoint", vault.mountpoint))
    problems = []
    for index, (name, path) in enumerate(named):
        for other_name, other in named[:index]:
            if path == other or path in other.parents or other in path.parents:
                problems.append(f"{name}: {path} overlaps {other_name} ({other})")
    files = [("paths.event_log", settings.paths.event_log)]
    if isinstance(settings.metrics.place, Path):
        files.append(("metrics.listen", settings.metrics.place))
    for name, path in named[2:]:
        problems += [f"{key}: lies inside {name} ({path})" for key, f in files if path in f.parents]
    return problems


def _bad_patterns(settings: Settings) -> list[str]:
    problems = []
    for key, pattern in (("label", settings.naming.label), ("pool", settings.naming.pool)):
        try:
            re.compile(pattern)
        except re.error as error:
            problems.append(f"naming.{key}: not a regular expression: {error}")
    return problems
