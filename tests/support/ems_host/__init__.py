"""A scripted NonStop host: a real Telnet server that logs on and prints EMS events.

It can also be had by SSH (`ssh_front`), or print into a file. What it does is told it in lines
(`control`), by hand, by a test or by a scenario (`scripts/*.yaml`).
"""

from tests.support.ems_host.clock import HostClock
from tests.support.ems_host.layout import Layout, wrap
from tests.support.ems_host.options import HostOptions
from tests.support.ems_host.server import EmsHost, open_ems_host
from tests.support.ems_host.ssh import ssh_front

__all__ = [
    "EmsHost",
    "HostClock",
    "HostOptions",
    "Layout",
    "open_ems_host",
    "ssh_front",
    "wrap",
]
