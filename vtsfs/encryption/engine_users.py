"""To whom the gate applies: the users under whom tape engines run.

The copy agent and backup programs read encrypted tapes as they are stored, so by default root and
the service's group are let through, and everybody else counts as a tape engine.
"""

import grp
import pwd
from dataclasses import dataclass
from pathlib import Path

from vtsfs.contract.errors import SettingsError
from vtsfs.contract.settings import Settings
from vtsfs.overlay.caller import Caller
from vtsfs.runtime.peers import groups_of


@dataclass(frozen=True, slots=True)
class EngineUsers:
    """*listed*: exactly these users. None: all but root and the members of *group*."""

    listed: frozenset[int] | None = None
    group: int | None = None

    def may_include(self, uid: int) -> bool:
        """Tell, at no cost, whether *uid* can be one of them at all."""
        return uid != 0 if self.listed is None else uid in self.listed

    def include(self, caller: Caller) -> bool:
        """Tell whether *caller* is one of them.

        May ask the user database, which may be far away: call it from a thread.
        """
        if self.listed is not None or self.group is None:
            return self.may_include(caller.uid)
        return caller.uid != 0 and not (
            self.group == caller.gid
            or self.group in supplementary_groups(caller)
            or self.group in groups_of(caller.uid)
        )


def engine_users(settings: Settings) -> EngineUsers:
    """Look the names in *settings* up; raise `SettingsError` for those the system does not know."""
    listed = settings.encryption.engine_users
    if listed is not None:
        return EngineUsers(frozenset(_uid(user) for user in listed))
    if settings.service.group is None:
        return EngineUsers()
    try:
        return EngineUsers(group=grp.getgrnam(settings.service.group).gr_gid)
    except KeyError as error:
        raise SettingsError(
            f"service.group: there is no group {settings.service.group!r}; create it, or correct it"
        ) from error


def _uid(user: int | str) -> int:
    if isinstance(user, int):
        return user
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise SettingsError(
            f"encryption.engine_users: there is no user {user!r}; create it, or write its number"
        ) from error


def supplementary_groups(caller: Caller) -> frozenset[int]:
    """Return the further groups of the calling process (proc_pid_status(5)); none if unknown.

    The kernel gives process numbers as our own process namespace has them, 0 for a process that has
    none there. A number that was given to another user's process since is not taken for the caller.
    """
    try:
        text = Path(f"/proc/{caller.pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    fields = {
        name: rest.split() for name, _, rest in (line.partition(":") for line in text.splitlines())
    }
    *_, fsuid = fields.get("Uid", [""])
    if fsuid != str(caller.uid):
        return frozenset()
    return frozenset(int(number) for number in fields.get("Groups", []))
