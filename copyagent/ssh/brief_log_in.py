"""A log-in by key without the two questions that are put before it: each is a wait for an answer.

asyncssh asks which methods there are (method ``none``, RFC 4252, section 5.2), and whether the
server would take our key (section 7). We have one method and one key, so the signature is sent at
once, which the same section allows; a server that does not want the key says so then.

That uses parts of asyncssh which it does not promise to keep. Where one is missing, it asks.
"""

from typing import Any, Final

import asyncssh

_METHOD: Final = b"publickey"

#: What begins a request that carries no signature, and one that does.
_UNSIGNED, _SIGNED = b"\0", b"\1"

_NEEDED = ("_auth", "_auth_methods", "send_userauth_request")


def ask_nothing(connection: asyncssh.SSHClientConnection) -> None:
    """Have *connection*, which has just been made, log in with its key at once."""
    if not all(hasattr(connection, name) for name in _NEEDED):
        return
    usual = connection.send_userauth_request

    async def send(method: bytes, *args: bytes, key: Any = None, trivial: bool = True) -> None:
        pair = getattr(connection._auth, "_keypair", None)
        if method == _METHOD and key is None and pair is not None and args[:1] == (_UNSIGNED,):
            try:
                await usual(method, _SIGNED, *args[1:], key=pair, trivial=False)
            except ValueError:
                # No signature could be made; what asyncssh does then is its own business.
                pass
            else:
                return
        await usual(method, *args, key=key, trivial=trivial)

    connection._auth_methods = [_METHOD]
    connection.send_userauth_request = send  # type: ignore[method-assign]  # there is no option for it
