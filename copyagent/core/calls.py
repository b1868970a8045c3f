"""What waits to be told to the site's own command, across restarts."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Call:
    """One message that the command is to be told: *number* counts them, *tries* those of this one.

    *at_ns* is when the message was decided, since the epoch; *id* is that of the message.
    """

    number: int
    at_ns: int
    id: int
    fields: dict[str, str]
    tries: int = 0


@dataclass(slots=True)
class Calls:
    """All that waits, oldest first; *left_out* counts what there was no room for, until it is told.

    *dirty* if it is not saved as it is.
    """

    waiting: list[Call] = field(default_factory=list)
    newest: int = 0
    left_out: int = 0
    dirty: bool = False
