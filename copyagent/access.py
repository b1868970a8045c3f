"""The ways in to a host, by the setting ``access``: here is chosen which `Dial` a link has."""

import os

from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link_settings import LinkSettings, settings_of_link
from copyagent.ems.printed_file import FileDial
from copyagent.ems.secret import Secret
from copyagent.ems.telnet_wire import open_telnet
from copyagent.ems.wire import Dial, Wire
from copyagent.ssh.terminal import open_ssh
from vtsfs.contract.credentials import place_of
from vtsfs.contract.errors import SettingsError
from vtsfs.contract.password_file import read_password
from vtsfs.contract.settings import Settings


def link_of(settings: Settings, name: str) -> LinkSettings:
    """Return all that the link to host *name* needs, the password read from its file.

    Raises `SettingsError` for a password that cannot be had.
    """
    host = settings.ems.hosts[name]
    password = Secret("")
    if host.password_file is not None:
        try:
            password = Secret(read_password(place_of(host.password_file, os.environ)))
        except ValueError as error:
            problem = f"ems.hosts.{name}.password_file: {host.password_file} {error}"
            raise SettingsError(problem, (problem,)) from error
    return settings_of_link(name, host, password, settings.ems.logins)


def dial_of(settings: LinkSettings) -> Dial:
    """Return what opens the line to this host, time and again; one for each link."""
    if settings.access == "file":
        return FileDial()
    return open_wire


async def open_wire(settings: LinkSettings, since: int | None = None) -> Wire | LinkFailure:
    """Open the line to a host as its settings say: once, for a file, else see `dial_of`."""
    match settings.access:
        case "telnet":
            return await open_telnet(settings)
        case "ssh":
            return await open_ssh(settings)
        case "file":
            return await FileDial()(settings, since)
