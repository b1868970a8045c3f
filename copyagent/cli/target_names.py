"""Which target of the settings an operator means."""

from vtsfs.contract.errors import NameUnknown
from vtsfs.contract.near_names import hint, listed
from vtsfs.contract.settings import Settings


def target_named(settings: Settings, name: str) -> str:
    """Return the target that is meant by *name*; raise `NameUnknown` if there is none."""
    targets = list(settings.targets)
    if name in targets:
        return name
    if not targets:
        raise NameUnknown(f"there is no target {name!r}: the settings name none under targets")
    advice = hint(name, targets, otherwise="; the settings name them under targets")
    raise NameUnknown(f"there is no target {name!r}, but {listed(targets)}{advice}")
