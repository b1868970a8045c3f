"""Which host of the settings an operator means."""

from vtsfs.contract.errors import NameUnknown
from vtsfs.contract.near_names import hint, listed
from vtsfs.contract.settings import Settings


def host_named(settings: Settings, name: str) -> str:
    """Return the host that is meant by *name*, in any letter case; raise `NameUnknown` if none is."""
    hosts = list(settings.ems.hosts)
    for host in hosts:
        if host.upper() == name.upper():
            return host
    if not hosts:
        raise NameUnknown(f"there is no host {name!r}: ems.hosts of the settings names none")
    advice = hint(name, hosts, otherwise="; ems.hosts of the settings names them")
    raise NameUnknown(f"there is no host {name!r}, but {listed(hosts)}{advice}")
