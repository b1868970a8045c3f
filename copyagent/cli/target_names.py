"""Which target of the settings an operator means."""

from difflib import get_close_matches

from vtsfs.contract.errors import UsageError
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_algorithms import Algorithms


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


def unknown_algorithms(settings: Settings) -> tuple[str, ...]:
    """Return the problem of each target whose settings name an algorithm that does not exist."""
    problems = []
    for name, target in settings.targets.items():
        if target.algorithms == Algorithms():
            continue
        # Not for everybody: the SSH library takes most of a second to import.
        from copyagent.ssh.algorithms import AlgorithmUnknown, Offer

        try:
            Offer.of(target.algorithms, aes=True)
        except AlgorithmUnknown as error:
            problems.append(str(error).replace("targets.*.", f"targets.{name}.", 1))
    return tuple(problems)
