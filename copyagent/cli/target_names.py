"""Which target or pool of the settings an operator means."""

from vtsfs.contract.errors import NameUnknown
from vtsfs.contract.naming import PoolId
from vtsfs.contract.near_names import hint, listed
from vtsfs.contract.settings import AutoCopy, Settings


def copies_named(settings: Settings, pool: PoolId, target: str | None) -> list[AutoCopy]:
    """Return how *pool* is copied, to *target* alone if one is named; raise `NameUnknown` if it is not."""
    pools = sorted({str(entry.pool) for entry in settings.autocopy})
    if str(pool) not in pools:
        raise NameUnknown(
            f"pool {pool} is not under autocopy: in the settings (there are: {listed(pools)})"
            f"{hint(str(pool), pools)}"
        )
    entries = [e for e in settings.copies_of(pool) if target in (None, e.target)]
    if not entries:
        known = ", ".join(entry.target for entry in settings.copies_of(pool))
        raise NameUnknown(f"{pool} is not copied to {target}, but to {known}: see the settings")
    return entries


def target_named(settings: Settings, name: str) -> str:
    """Return the target that is meant by *name*; raise `NameUnknown` if there is none."""
    targets = list(settings.targets)
    if name in targets:
        return name
    if not targets:
        raise NameUnknown(f"there is no target {name!r}: the settings name none under targets")
    advice = hint(name, targets, otherwise="; the settings name them under targets")
    raise NameUnknown(f"there is no target {name!r}, but {listed(targets)}{advice}")
