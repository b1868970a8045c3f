"""The settings section ``metrics``: whether, and where, figures are offered to a monitoring system.

The text format that is spoken there has neither log-in nor encryption, so no other machine can be
let in: it is a loopback address or a Unix socket, and whoever wants more puts a proxy before it.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from vtsfs.contract.setting_values import Model

#: The kernel's sun_path has 108 bytes, one for the final NUL (unix(7)).
_LONGEST_SOCKET = 107

_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})")


def _listen(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"should be 127.0.0.1:9469 or the path of a socket, not {value!r}")
    if value.startswith("/"):
        return _socket(value)
    found = _ADDRESS.fullmatch(value)
    if found is None:
        raise ValueError(f"should be 127.0.0.1:9469 or the path of a socket, not {value!r}")
    address, port = found["six"] or found["four"], int(found["port"])
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError as error:
        raise ValueError(f"{address!r} is no address") from error
    if not parsed.is_loopback:
        raise ValueError(
            f"{address} can be reached from other machines, and whoever asks there is answered; "
            "use 127.0.0.1, [::1] or a Unix socket"
        )
    if not 1 <= port <= 65535:
        raise ValueError(f"should have a port from 1 to 65535, not {port}")
    return value


def _socket(value: str) -> str:
    if "\0" in value or ".." in value.split("/") or value.endswith("/"):
        raise ValueError(f"should be the path of a socket, without .., not {value!r}")
    length = len(value.encode("utf-8", "surrogateescape"))
    if length > _LONGEST_SOCKET:
        raise ValueError(
            f"has {length} bytes and the kernel allows a socket's path {_LONGEST_SOCKET}"
        )
    return value


Listen = Annotated[str, BeforeValidator(_listen)]


class Metrics(Model):
    """Where figures are offered, by HTTP: ``127.0.0.1:PORT``, ``[::1]:PORT`` or a socket's path.

    Nothing listens unless *listen* is given: an open port is for who asks for one.
    """

    listen: Listen | None = None

    @property
    def place(self) -> Path | tuple[str, int] | None:
        """The Unix socket, or the address and port, that *listen* names."""
        if self.listen is None or self.listen.startswith("/"):
            return None if self.listen is None else Path(self.listen)
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)
