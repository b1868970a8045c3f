"""The ways in to a host, by the setting ``access``."""

from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.telnet_wire import open_telnet
from copyagent.ems.wire import Wire
from copyagent.ssh.terminal import open_ssh


async def open_wire(settings: LinkSettings, since: int | None = None) -> Wire | LinkFailure:  # noqa: ARG001 - for files
    """Open the line to a host as its settings say: the `Dial` of the agent."""
    if settings.access == "ssh":
        return await open_ssh(settings)
    return await open_telnet(settings)
