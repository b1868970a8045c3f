"""A scripted NonStop host: a real Telnet server that logs on and prints EMS events."""

from tests.support.ems_host.layout import Layout, wrap
from tests.support.ems_host.server import EmsHost, HostOptions, open_ems_host

__all__ = ["EmsHost", "HostOptions", "Layout", "open_ems_host", "wrap"]
