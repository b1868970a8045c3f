"""The feed: how the overlay hands its signals to the agent over a Unix socket (protocol 1).

Each direction is lines of JSON. The overlay speaks first with a `Hello`; the agent answers with
``{"subscribe": N}`` (send everything after N) or ``{"status": true}``; then the overlay sends
``{"signal": {...}}`` lines as they are committed, and the agent ``{"ack": N}`` when the effects of
everything up to N are durable on its side.

``{"swept": true}`` says that every tape was compared since the hello: the overlay's *unclean* is
over. ``{"status": true}`` is answered by one line ``{"status": {...}}``. ``{"error": TEXT}`` comes
before the overlay ends a connection because of a request it does not take: only root, the service's
user and the overlay's own may acknowledge. While the outbox cannot be opened there is no hello, and
a status is all there is. When a hello is no longer true (the outbox was begun anew, or signals may
be missing) the overlay ends the connection, so that the agent reads the next one.

Versions: *protocol* of the hello is what the overlay speaks best, *oldest* what it speaks as well (left
out where that is the same). The agent takes the highest that both know; where that is not the overlay's
best it says so: ``{"subscribe": N, "protocol": P}``. Fields that one side does not know are passed
over, a signal of a kind that the agent does not know is a change for it (`signals.LATER`).

A gap is visible from the hello alone: the agent has acknowledged less than *floor* (what it
acknowledged is forgotten here, so its own state is older than it was: lost, or restored from a
backup), or more than *highest* (this outbox is the one that is older).
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from vtsfs.contract.errors import FeedError
from vtsfs.contract.signals import MALFORMED, PROTOCOL

#: The longest line either side accepts, in bytes; a signal with 64 Ki extents is below 3 MB.
MAX_LINE = 8 * 1024 * 1024


#: The oldest protocol that is spoken here besides `PROTOCOL`.
OLDEST = 1

#: What was added to the hello, and is left out where there is nothing to say.
_LATER = frozenset({"backing", "device", "oldest"})


@dataclass(frozen=True, slots=True)
class Hello:
    """What the overlay says first.

    *outbox_id* is random, made with the outbox. *floor* is the highest number that was acknowledged
    and dropped (0: never any); *highest* the highest ever given out. *unclean* says that signals
    may have been missed (a crash, a failing outbox), so that the vault must be swept.

    *backing* is the directory that the overlay lies over, *device* its mount as ``major:minor``, by
    which the agent knows the one that is mounted; empty where they are not known, as by the release
    before. *oldest* is the oldest protocol that is spoken, too; 0: no other than *protocol*.
    """

    vault: str
    outbox_id: str
    floor: int
    highest: int
    unclean: bool
    version: str
    protocol: int = PROTOCOL
    backing: str = ""
    device: str = ""
    oldest: int = 0

    @property
    def common(self) -> int:
        """The protocol to speak with this overlay: the highest that both know."""
        return min(self.protocol, PROTOCOL)

    def to_json(self) -> str:
        """Write the hello as one line of JSON, without the line's end."""
        known = {k: v for k, v in asdict(self).items() if v or k not in _LATER}
        return json.dumps({"hello": known}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a hello; raise `FeedError` for anything else, or where no protocol is common."""
        try:
            data: dict[str, Any] = json.loads(text)["hello"]
            made = cls(
                vault=str(data["vault"]),
                outbox_id=str(data["outbox_id"]),
                floor=int(data["floor"]),
                highest=int(data["highest"]),
                unclean=bool(data["unclean"]),
                version=str(data["version"]),
                protocol=int(data["protocol"]),
                backing=str(data.get("backing", "")),
                device=str(data.get("device", "")),
                oldest=int(data.get("oldest", 0)),
            )
        except MALFORMED as error:
            raise FeedError(f"not a feed hello: {error!r}") from error
        if not max(made.oldest or made.protocol, OLDEST) <= made.common:
            raise FeedError(
                f"the overlay of vault {made.vault} is of release {made.version} and speaks feed protocol "
                f"{made.protocol}, this agent {PROTOCOL}: nothing is heard of its tapes but by sweeps; "
                "have both of one release: start the agent again, or attach the vault anew"
            )
        return made
