"""Where everything of ours lies at a target; the one place that makes target paths.

::

    <vault>/POOL/LABEL                              the published tape
    <vault>/<staging>/IN-SERVICE                    the fence, for every source system
    <vault>/<staging>/<system>/IN-SERVICE           the fence, for this one
    <vault>/<staging>/<system>/AGENT                whose directory it is
    <vault>/<staging>/<system>/KEY.gN.RANDOM.stage  a copy being built
    <vault>/<staging>/<system>/records/KEY.manifest what was published, and kept (JSON)
    <vault>/<staging>/<system>/records/KEY.ROOT.map the chunk map of one of them
    <vault>/<staging>/<system>/records/KEY.intent   what is about to be

KEY shows pool and label as far as they are plain, and ends in a digest of both as they are: no two
tapes share a key, whatever characters they are named with, and none is too long for a file name.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings

FENCE = "IN-SERVICE"
MARK = "AGENT"

#: How the names of files end that show whether a target's storage is one of ours.
SENTINEL = ".sentinel"

_UNPLAIN = re.compile(r"[^A-Za-z0-9_-]")
_SHOWN = 48
_ROOT_SHOWN = 32


@dataclass(frozen=True, slots=True)
class Layout:
    """One tape's paths at one target.

    *vault* is the target's directory for the tape's vault, *staging* the name of the staging
    directory in it, *system* the name of this source system.
    """

    vault: str
    staging: str
    system: str
    tape: TapeId

    @classmethod
    def of(cls, settings: Settings, target: str, destination: TapeId) -> Self:
        """Lay out *destination* at the target of that name; it must be in the settings."""
        entry = settings.targets[target]
        root = str(entry.vaults[destination.vault])
        return cls(root, entry.staging, settings.system.name, destination)

    @property
    def pool(self) -> str:
        """The directory of the pool."""
        return f"{self.vault}/{self.tape.pool}"

    @property
    def destination(self) -> str:
        """The published tape."""
        return f"{self.pool}/{self.tape.label}"

    @property
    def staging_root(self) -> str:
        """The staging directory of all source systems, on the file system of the vault."""
        return f"{self.vault}/{self.staging}"

    @property
    def directory(self) -> str:
        """Our own staging directory."""
        return f"{self.staging_root}/{self.system}"

    @property
    def records(self) -> str:
        """The directory of manifests and intents, apart so that listing stages stays quick."""
        return f"{self.directory}/records"

    @property
    def fences(self) -> tuple[str, str]:
        """The two files either of which stops every publication."""
        return f"{self.staging_root}/{FENCE}", f"{self.directory}/{FENCE}"

    @property
    def mark(self) -> str:
        """The file that names the agent whose directory this is."""
        return f"{self.directory}/{MARK}"

    @property
    def key(self) -> str:
        """A plain file name for the tape, unlike that of any other tape."""
        return file_key(self.tape.pool, self.tape.label)

    @property
    def manifest(self) -> str:
        """The record of the last publication."""
        return f"{self.records}/{self.key}.manifest"

    @property
    def intent(self) -> str:
        """The record of a publication that was begun."""
        return f"{self.records}/{self.key}.intent"

    def map(self, root: str) -> str:
        """The chunk map of one content, named by its *root*: no manifest has another's map."""
        return f"{self.records}/{self.key}.{root[:_ROOT_SHOWN]}.map"

    def is_map(self, name: str) -> bool:
        """Tell whether a file *name* in our records is a chunk map of this tape."""
        return name.startswith(f"{self.key}.") and name.endswith(".map")

    def stage(self, generation: int, suffix: str) -> str:
        """Name a stage; *suffix* must be new for every connection."""
        return f"{self.directory}/{self.key}.g{generation}.{suffix}.stage"

    @property
    def kept_directory(self) -> str:
        """The directory of former generations, apart for the same reason."""
        return f"{self.directory}/kept"

    def kept_name(self, generation: int, suffix: str) -> str:
        """Name a former generation in `kept_directory`; *suffix* must be new for every link."""
        return f"{self.key}.g{generation}.{suffix}.kept"

    def kept(self, name: str) -> str:
        """Return where the former generation *name* (`PublishedCopy.name`) lies."""
        return f"{self.kept_directory}/{name}"

    def is_kept(self, name: str) -> bool:
        """Tell whether a file *name* in `kept_directory` is a former generation of this tape."""
        return name.startswith(f"{self.key}.g") and name.endswith(".kept")

    def is_stage(self, name: str) -> bool:
        """Tell whether a file *name* in our staging directory is a stage of this tape."""
        return name.startswith(f"{self.key}.g") and name.endswith(".stage")


def file_key(pool: str, label: str, *more: str) -> str:
    """Return a plain file name that shows *pool* and *label*, and is another one for all else."""
    name = "\0".join((pool, label, *more)).encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(name).hexdigest()[:16]
    return f"{_shown(pool)}.{_shown(label)}.{digest}"


def parent(path: str) -> str:
    """Return the directory that holds *path*."""
    return path.rpartition("/")[0] or "/"


def _shown(name: str) -> str:
    return _UNPLAIN.sub("_", name)[:_SHOWN]
