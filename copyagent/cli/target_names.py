"""Which target of the settings an operator means."""

from difflib import get_close_matches

from vtsfs.contract.errors import UsageError
from vtsfs.contract.settings import Settings


def target_named(settings: Settings, name: str) -> str:
    """Return the target that is meant by *name*; raise `UsageError` if there is none."""
    targets = list(settings.targets)
    if name in targets:
        return name
    if not targets:
        raise UsageError(f"there is no target {name!r}: the settings name none under targets")
    near = get_close_matches(name, targets, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else "the settings name them under targets"
    raise UsageError(f"there is no target {name!r}, but {', '.join(targets)}; {hint}")
