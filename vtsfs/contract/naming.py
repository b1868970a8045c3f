"""Names of vaults, pools and tapes: the only parser of ``/VAULTnn/POOL/LABEL``.

A tape is exactly three levels deep. Dot names are never tapes or pools: the staging directory of a
peer (``.vts-autocopy``) and temporary files of other programs hide behind that rule.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from vtsfs.contract import companions
from vtsfs.contract.errors import NameInvalid

#: Default patterns, both settings (`naming:` in the YAML file). The NonStop host's volume serial is
#: at most six characters, but ESM volumes have names of up to 63, and a label that no pattern
#: accepts is a tape that nobody protects: the defaults are wide on purpose. No dots, which keeps
#: companions (``X00001.meta``) and temporary files apart from tapes.
LABEL_PATTERN = r"[A-Za-z0-9@#$][A-Za-z0-9@#$_-]{0,62}"
POOL_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
VAULT_PATTERN = r"[A-Z][A-Z0-9_-]{0,30}"

_VAULT = re.compile(VAULT_PATTERN)


@dataclass(frozen=True, slots=True)
class NamePatterns:
    """Which file names count as tapes and which directory names as pools (full matches).

    Whatever the patterns say, a name that begins with a dot or holds what cannot be printed is
    neither: bytes that are no UTF-8 could not be kept in any state or told in any message.
    *companions* are the patterns of tapes' companions, by the name of their pool.
    """

    label: str = LABEL_PATTERN
    pool: str = POOL_PATTERN
    companions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def is_label(self, name: str) -> bool:
        """Tell whether *name* is the name of a tape."""
        return re.fullmatch(self.label, name) is not None and _is_plain(name)

    def is_pool(self, name: str) -> bool:
        """Tell whether *name* is the name of a pool."""
        return re.fullmatch(self.pool, name) is not None and _is_plain(name)

    def tape_of_companion(self, pool: str, name: str) -> str | None:
        """Return the label of the tape in *pool* whose companion *name* is, None if it is none."""
        return companions.label_of(name, self.companions.get(pool, ()), self.is_label)


def _is_plain(name: str) -> bool:
    return name.isprintable() and not name.startswith(".")


def is_vault(name: str) -> bool:
    """Tell whether *name* can name a vault, such as ``VAULT00``."""
    return _VAULT.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, order=True)
class PoolId:
    """One pool of one vault, written ``/VAULT00/BILL``."""

    vault: str
    pool: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``/VAULT00/BILL``; raise `NameInvalid` for anything else."""
        parts = text.split("/")
        if len(parts) != 3 or parts[0] or not is_vault(parts[1]) or not _is_component(parts[2]):
            raise NameInvalid(f"{text!r} is not a pool; write it as /VAULT00/BILL")
        return cls(parts[1], parts[2])

    def __str__(self) -> str:
        return f"/{self.vault}/{self.pool}"


@dataclass(frozen=True, slots=True, order=True)
class TapeId:
    """One virtual tape, written ``/VAULT00/BILL/X00001``."""

    vault: str
    pool: str
    label: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``/VAULT00/BILL/X00001``; raise `NameInvalid` for anything else.

        Whether the label fits the site's pattern is a question for `NamePatterns`; here only what
        could never be one file below one pool is refused.
        """
        parts = text.split("/")
        if (
            len(parts) != 4
            or parts[0]
            or not is_vault(parts[1])
            or not all(map(_is_component, parts[2:]))
        ):
            raise NameInvalid(f"{text!r} is not a tape; write it as /VAULT00/BILL/X00001")
        return cls(*parts[1:])

    @property
    def pool_id(self) -> PoolId:
        """The pool that holds the tape."""
        return PoolId(self.vault, self.pool)

    def __str__(self) -> str:
        return f"/{self.vault}/{self.pool}/{self.label}"


def _is_component(name: str) -> bool:
    return bool(name) and not name.startswith(".") and "\0" not in name
