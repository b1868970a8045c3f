"""What hosts said about volumes, as rows: one for each request and mount, by kind and key.

Every event of a host changes one or two of perhaps thousands. `MountRows` knows what is saved and
finds what is not, so that an event costs a row and not all of them. Kinds are the names of the
fields of `HostMounts`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self, get_args, get_type_hints

from pydantic import TypeAdapter

from copyagent.core.host_mounts import HostMounts
from copyagent.state.encoding import decode, encode

Row = tuple[str, str, str | None]
"""Kind, key, and the value as JSON; None for what is no more."""

# Every field is a dictionary by text; what is in it is of the second type.
_VALUES: Final[Mapping[str, TypeAdapter[Any]]] = {
    name: TypeAdapter(get_args(hint)[1])
    for name, hint in get_type_hints(HostMounts).items()
    if name in {f.name for f in fields(HostMounts)}
}


@dataclass(slots=True)
class MountRows:
    """What is saved of the mounts. Values are never changed in place, so that `is` tells all."""

    saved: dict[str, dict[str, object]] = field(default_factory=dict)

    @classmethod
    def of(cls, mounts: HostMounts) -> Self:
        """Take *mounts* for saved, as they are now."""
        return cls({kind: dict(getattr(mounts, kind)) for kind in _VALUES})

    def news(self, mounts: HostMounts) -> list[Row]:
        """Return the rows to be written for *mounts* to be saved, and take them for written."""
        rows: list[Row] = []
        for kind, adapter in _VALUES.items():
            now: dict[str, object] = getattr(mounts, kind)
            saved = self.saved.setdefault(kind, {})
            for key in [key for key in saved if key not in now]:
                del saved[key]
                rows.append((kind, key, None))
            for key in [key for key, value in now.items() if saved.get(key) is not value]:
                saved[key] = now[key]
                rows.append((kind, key, encode(adapter, now[key])))
        return rows


def mounts_of(rows: Iterable[tuple[str, str, str]]) -> HostMounts:
    """Read what `MountRows` wrote, oldest first; raise `StateError` for anything else."""
    found: dict[str, dict[str, Any]] = {kind: {} for kind in _VALUES}
    for kind, key, text in rows:
        if kind in found:
            found[kind][key] = decode(_VALUES[kind], text, f"{kind} {key}")
    return HostMounts(**found)
