"""The SSH algorithms that an old server at the other end may make us put up with.

Here a name only has to look like one: which names mean something is known by whoever dials
(`copyagent.ssh.algorithms`), and ``copyagent check`` asks there.
"""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from vtsfs.contract.setting_values import Model

_NAME = re.compile(r"[a-z0-9][a-z0-9@.+_-]{0,63}")


def _names(value: object) -> object:
    if value is None or isinstance(value, tuple):
        return value
    if not isinstance(value, list) or not value:
        raise ValueError("should be a list of algorithms such as [aes256-ctr]")
    for name in value:
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of an algorithm")
    return tuple(value)


_Names = Annotated[tuple[str, ...] | None, BeforeValidator(_names)]


class Algorithms(Model):
    """What is offered to one server instead of our own lists, the most wanted first.

    None: our own list. *host_keys* may also sign for our own key. *rsa_bits* is the length below
    which an RSA key is refused, the server's or ours.
    """

    kex: _Names = None
    ciphers: _Names = None
    macs: _Names = None
    host_keys: _Names = None
    rsa_bits: Annotated[int, Field(ge=1024, le=16384)] = 2048
