"""Every error of ours, as one tree; the exit code and the errno are on the class.

::

    VtsError                    70   a bug, or something nobody foresaw
    ├── UsageError               2   the command line does not say something we can do
    │   ├── NameInvalid          2   not the name of a vault, pool or tape
    │   └── NameUnknown          2   a name of which there is nothing here
    ├── SettingsError           10   the settings file is wrong; carries every problem found
    ├── AttachError             20   the overlay cannot be put over, or taken off, a vault
    │   └── VaultBusy           21   somebody still has tapes open: nothing was changed
    ├── OutboxError             30   the outbox cannot be read or written
    │   └── OutboxCorrupt       31   its bytes are not what we wrote
    │       └── OutboxNewer     31   a later release wrote it
    ├── FeedError               32   the other side of the feed does not keep to the protocol
    ├── AgentUnreachable        40   no agent answers on the control socket
    ├── Refused                 41   the agent answered: you may not do this
    │   └── KeyUnavailable       41   an encrypted tape, and its key cannot be had here
    ├── RequestFailed           42   the agent answered: it could not do this
    │   └── LicenceInvalid      42   a text is no licence, or none of this issuer's
    ├── AgentBusy               43   another agent works on the same state directory
    ├── StateError              44   the agent's state cannot be read or written
    ├── NotConfirmed            45   it was asked back, and not answered with yes
    ├── Unprotected             50   the question was answered, and the answer is not good
    └── LinkFailed              60   there is no link to a host, or it was lost
        ├── LinkTimedOut        61   the host did not answer in time
        ├── LogOnRefused        62   the host refused the log-on
        ├── PromptUnexpected    63   the host showed something else than was expected
        ├── HostKeyRejected     64   the host's SSH key is not the one that is known
        └── DistributorFailed   65   the host's distributor does not run

One table for both commands; ``vtsfs(8)`` and ``copyagent(8)`` print it, and a test compares them.
"""

import errno
from typing import ClassVar


class VtsError(Exception):
    """The root: the message names the thing, the cause and the next step."""

    exit_code: ClassVar[int] = 70
    errno: ClassVar[int] = errno.EIO


class UsageError(VtsError):
    """The caller asked for something that makes no sense; nothing was done."""

    exit_code = 2
    errno = errno.EINVAL


class NameInvalid(UsageError):
    """A text that should name a vault, a pool or a tape does not."""


class NameUnknown(UsageError):
    """Nothing of that name is there: no such vault, pool, tape, target or host. Nothing was done."""


class SettingsError(VtsError):
    """The settings file is missing or wrong. *problems* holds one text per fault, all of them."""

    exit_code = 10

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class AttachError(VtsError):
    """The kernel or the vault's directories do not allow the attach or detach."""

    exit_code = 20


class VaultBusy(AttachError):
    """Tapes are open through the overlay; it stays attached and nothing was changed."""

    exit_code = 21
    errno = errno.EBUSY


class OutboxError(VtsError):
    """The outbox cannot be opened or written (disk full, permissions); see the message."""

    exit_code = 30


class OutboxCorrupt(OutboxError):
    """The outbox holds what we never wrote; *their* fault, unlike `OutboxError`'s environment."""

    exit_code = 31


class OutboxNewer(OutboxCorrupt):
    """The outbox is of a version that this release does not know: a later one was here before."""


class FeedError(VtsError):
    """The peer on a feed or control socket sent what the protocol does not allow."""

    exit_code = 32


class AgentUnreachable(VtsError):
    """Nobody answers on the agent's control socket: it is not running, or hangs."""

    exit_code = 40


class Refused(VtsError):
    """The caller may not do this, by its peer credentials or by the socket's permissions."""

    exit_code = 41
    errno = errno.EPERM


class KeyUnavailable(Refused):
    """The tape is encrypted, and this system cannot get its key: an open of it fails (ENOKEY)."""

    errno = errno.ENOKEY


class RequestFailed(VtsError):
    """The agent understood the request and could not carry it out (unknown tape, wrong state)."""

    exit_code = 42


class LicenceInvalid(RequestFailed):
    """A text is no licence that can be used: its message says why, and never quotes it."""


class AgentBusy(VtsError):
    """Another agent holds the lock of the state directory."""

    exit_code = 43


class StateError(VtsError):
    """The agent's state is unreadable, from a newer release, or cannot be written."""

    exit_code = 44


class NotConfirmed(VtsError):
    """What was asked back was not answered with yes, or the input ended: nothing was done."""

    exit_code = 45


class Unprotected(VtsError):
    """The command worked; what it found needs attention (used as an exit code for scripts)."""

    exit_code = 50


class LinkFailed(VtsError):
    """A host's events cannot be had: nobody answers, or the connection or the file was lost."""

    exit_code = 60


class LinkTimedOut(LinkFailed):
    """The host took longer than the settings allow it."""

    exit_code = 61


class LogOnRefused(LinkFailed):
    """The host did not accept user and password; they are not tried again."""

    exit_code = 62


class PromptUnexpected(LinkFailed):
    """The host showed something else than the log-in's words expect at that step."""

    exit_code = 63


class HostKeyRejected(LinkFailed):
    """The host's SSH key is unknown, or another one than before."""

    exit_code = 64


class DistributorFailed(LinkFailed):
    """The log-on was accepted, and no distributor prints: it was refused, or has ended."""

    exit_code = 65
