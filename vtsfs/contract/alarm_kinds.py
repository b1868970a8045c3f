"""Names for the messages that somebody may want to be told of: by severity, by kind, by ID."""

from collections.abc import Mapping
from typing import Final

from vtsfs.contract import messages
from vtsfs.contract.messages import CATALOGUE, Message, Severity

#: Messages that the overlay's process writes, and the agent never says.
BY_OVERLAY: Final = frozenset(
    message.id
    for message in (
        messages.OUTBOX_FAILURE,
        messages.HANDLER_FAILED,
        messages.ENCRYPTED_REFUSED,
        messages.ATTACHED,
        messages.DETACHED,
    )
)

SEVERITIES: Final[Mapping[str, Severity]] = {
    "critical": Severity.CRITICAL,
    "error": Severity.ERROR,
    "warning": Severity.WARNING,
    "info": Severity.INFO,
}

#: A tape is held: who answers for it has to say how it goes on.
HOLDS: Final = (
    messages.CONFLICT,
    messages.INTERRUPTED,
    messages.TARGET_CHANGED,
    messages.TARGET_UNKNOWN,
    messages.LABEL_ELSEWHERE,
    messages.SAME_STORAGE,
    messages.NOT_EQUAL,
    messages.SOURCE_UNFIT,
    messages.HELD_BY_POLICY,
    messages.LABEL_TWICE,
)

_KINDS: Final[Mapping[str, tuple[Message, ...]]] = {
    "not-covered": (messages.NOT_COVERED,),
    "covered-again": (messages.COVERED_AGAIN,),
    "behind": (messages.FALLEN_BEHIND,),
    "caught-up": (messages.CAUGHT_UP,),
    "gave-up": (messages.GAVE_UP, messages.MORE_FAILED),
    "held": (*HOLDS, messages.MORE_HELD),
    "copy-wrong": (messages.COPY_WRONG,),
    "target-waits": (messages.FENCED, messages.HOST_KEY, messages.FOREIGN_AGENT),
    "link-lost": (
        messages.LINK_LOST,
        messages.EMS_GAP,
        messages.LOGIN_REFUSED,
        messages.HOST_KEY_REJECTED,
    ),
    "link-up": (messages.LINK_UP,),
    "licence": (
        messages.UNLICENSED,
        messages.LICENCE_EXPIRES,
        messages.LICENCE_EXPIRED,
        messages.LICENSED_AGAIN,
    ),
    "operator": (messages.OPERATOR_ACTION,),
}

KINDS: Final[Mapping[str, frozenset[int]]] = {
    **{
        name: frozenset(m.id for m in CATALOGUE.values() if m.severity is severity)
        for name, severity in SEVERITIES.items()
    },
    **{name: frozenset(m.id for m in listed) for name, listed in _KINDS.items()},
}
"""The IDs of the messages that each name stands for."""


def fault_of(name: str) -> str:
    """Say what is wrong with *name* as that of a kind, or the ID of a message; empty if nothing."""
    if name in KINDS:
        return ""
    if not (name.isascii() and name.isdigit() and len(name) == 6):
        return (
            f"is {name!r}, and should be the six digits of a message or one of {', '.join(KINDS)}"
        )
    if int(name) not in CATALOGUE:
        return f"is {name}, and there is no message of that ID; see vts-autocopy(7)"
    if int(name) in BY_OVERLAY:
        return f"is {name}, which the overlay writes and the agent does not see"
    return ""


def wants(on: tuple[str, ...], message: Message) -> bool:
    """Tell whether *message* is among those that the names *on* stand for."""
    return any(message.id in KINDS.get(name, ()) or name == f"{message.id:06}" for name in on)


def kind_of(message: Message) -> str:
    """Name the kind of *message*; its severity where it has no other."""
    named = (name for name, listed in _KINDS.items() if message in listed)
    return next(named, message.severity.name.lower())
