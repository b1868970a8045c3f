"""Which host of the settings an operator means."""

from difflib import get_close_matches

from vtsfs.contract.errors import UsageError
from vtsfs.contract.settings import Settings


def host_named(settings: Settings, name: str) -> str:
    """Return the host that is meant by *name*, in any letter case; raise `UsageError` if none is."""
    hosts = list(settings.ems.hosts)
    for host in hosts:
        if host.upper() == name.upper():
            return host
    if not hosts:
        raise UsageError(f"there is no host {name!r}: ems.hosts of the settings names none")
    near = get_close_matches(name.upper(), [host.upper() for host in hosts], 1, 0.5)
    meant = next((h for h in hosts if near and h.upper() == near[0]), None)
    hint = f"did you mean {meant}?" if meant else "ems.hosts of the settings names them"
    raise UsageError(f"there is no host {name!r}, but {', '.join(hosts)}; {hint}")
