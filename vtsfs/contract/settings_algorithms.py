"""The SSH algorithms that an old server at the other end may make us put up with.

Here a name only has to look like one: which names mean something is known by whoever dials
(`copyagent.ssh.algorithms`), and ``copyagent check`` asks there.
"""

from typing import Annotated

from pydantic import Field

from vtsfs.contract.setting_values import Model

_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9@.+_-]{0,63}$")]
_Names = Annotated[tuple[_Name, ...], Field(min_length=1)] | None


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
