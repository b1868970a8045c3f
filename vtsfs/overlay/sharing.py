"""Who has one file open, and what follows for the kernel's page cache: pure.

The kernel can take what a handle writes straight from the writer's memory to us (FOPEN_DIRECT_IO), or
through its own pages of the file. The first saves a copy of every byte: half as fast again at a
tape's block sizes. But handles that read through the kernel's pages, or map them, must see what
was written. So:

- Only a handle that cannot read bypasses the pages (write-only descriptors cannot be mapped), and
  only if it is opened while nobody uses them. Beside a mapped O_RDWR descriptor, which may hold
  pages *dirty*, it would even lose data: the kernel writes such a page back over what was written
  past it.
- An O_RDWR handle that comes while another bypasses the pages gets none either. Its shared mappings
  are refused (ENODEV) rather than wrong.
- Readers may come later. After each write past the pages the caller then waits until the kernel has
  dropped those that a reader may have fetched meanwhile (`must_drop`); newer kernels do it too.

Set-id bits: when a write goes through its pages the kernel asks us to clear them; past the pages it
leaves that to us. A file that has them when it is opened is therefore written through the pages, and
one that gets them later (`got_set_id`) loses them at the next write.
"""

import os
import stat
from dataclasses import dataclass


@dataclass(slots=True)
class Sharing:
    """The open handles of one file."""

    #: Handles that read, write or map the kernel's pages.
    cached: int = 0
    #: Handles that bypass them.
    direct: int = 0
    #: The last write took long: the next goes through a thread.
    slow: bool = False
    #: Likewise for reads, where the file system cannot say whether one would wait.
    slow_to_read: bool = False
    #: The file got set-id bits while a handle bypasses the pages.
    got_set_id: bool = False

    def bypasses(self, flags: int, mode: int) -> bool:
        """Decide for a handle about to be opened with *flags* on a file of *mode*."""
        if not stat.S_ISREG(mode):
            return False
        access = flags & os.O_ACCMODE
        if access == os.O_WRONLY:
            return self.cached == 0 and not mode & (stat.S_ISUID | stat.S_ISGID)
        return access == os.O_RDWR and self.direct > 0

    def enter(self, *, direct: bool) -> None:
        """Count a handle in."""
        if direct:
            self.direct += 1
        else:
            self.cached += 1

    def leave(self, *, direct: bool) -> None:
        """Count a handle out."""
        if direct:
            self.direct -= 1
        else:
            self.cached -= 1

    @property
    def must_drop(self) -> bool:
        """Whether pages may be there that a write past them has made stale."""
        return self.cached > 0

    @property
    def unused(self) -> bool:
        """Whether no handle is left."""
        return self.cached == self.direct == 0
