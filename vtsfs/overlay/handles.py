"""One open of theirs: our descriptor for it, and what it counts towards."""

from dataclasses import dataclass, field

from vtsfs.overlay.inodes import Inode
from vtsfs.overlay.readers import ReadSession
from vtsfs.overlay.sessions import WriteSession
from vtsfs.overlay.sharing import Sharing


@dataclass(slots=True)
class OpenFile:
    """One open of theirs. A tape belongs to a session, of writers or of readers; others to none."""

    fd: int
    inode: Inode
    writing: bool
    #: Who opened it: blocks that are written through it count as this user's.
    uid: int = 0
    #: What goes through this handle does not touch the kernel's pages of the file.
    direct: bool = False
    sharing: Sharing = field(default_factory=Sharing)
    session: WriteSession | None = None
    reading: ReadSession | None = None
    #: The opening of a companion for writing, '' of what is none; see `Companions`.
    companion: str = ""
    #: Written without a session: it was no tape when it was opened.
    wrote: bool = False

    def mark(self, start: int, end: int) -> None:
        """Note that these bytes may be about to change."""
        if self.session is not None:
            self.session.mark(start, end)
        else:
            self.wrote = True
