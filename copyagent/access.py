"""The ways in to a host, by the setting ``access``."""

from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link_settings import LinkSettings, settings_of_link
from copyagent.ems.secret import Secret
from copyagent.ems.telnet_wire import open_telnet
from copyagent.ems.wire import Wire
from copyagent.ssh.terminal import open_ssh
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
            password = Secret(read_password(host.password_file))
        except ValueError as error:
            problem = f"ems.hosts.{name}.password_file: {host.password_file} {error}"
            raise SettingsError(problem, (problem,)) from error
    return settings_of_link(name, host, password, settings.ems.logins)


async def open_wire(settings: LinkSettings, since: int | None = None) -> Wire | LinkFailure:  # noqa: ARG001 - for files
    """Open the line to a host as its settings say: the `Dial` of the agent."""
    if settings.access == "ssh":
        return await open_ssh(settings)
    return await open_telnet(settings)
