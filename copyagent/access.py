"""The ways in to a host, by the setting ``access``."""

from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.telnet_wire import open_telnet
from copyagent.ems.wire import Wire


async def open_wire(settings: LinkSettings, since: str | None = None) -> Wire | LinkFailure:  # noqa: ARG001 - for files
    """Open the line to a host as its settings say: the `Dial` of the agent."""
    return await open_telnet(settings)
