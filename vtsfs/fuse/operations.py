"""pyfuse3's requests, translated: names and numbers in, attributes out. Meaning is in `overlay`."""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress

import pyfuse3
import trio
from pyfuse3 import (
    EntryAttributes,
    FileHandleT,
    FileInfo,
    FileNameT,
    FlagT,
    InodeT,
    ModeT,
    RequestContext,
    SetattrFields,
    StatvfsData,
    XAttrNameT,
)

from vtsfs.fuse.boundary import UnforeseenErrors, fuse_handler, fuse_notice
from vtsfs.overlay.caller import Caller
from vtsfs.overlay.inodes import Inode
from vtsfs.overlay.overlay import Overlay
from vtsfs.overlay.store import Changes

#: Seconds the kernel may rely on names and attributes. Whatever goes through the mount it knows at
#: once; the limit is for what somebody does to the backing directory.
TIMEOUT_S = 1.0
_DOTS = frozenset({b".", b".."})


class Operations(pyfuse3.Operations):
    """One vault's request handlers."""

    supports_dot_lookup = False
    enable_writeback_cache = False

    def __init__(self, overlay: Overlay, errors: UnforeseenErrors) -> None:
        super().__init__()
        self._overlay = overlay
        self._inodes = overlay.inodes
        self._files = overlay.files
        self._names = overlay.names
        self._directories = overlay.directories
        self.unforeseen = errors.unforeseen
        self.scarce = errors.scarce

    # ------------------------------------------------------------------------------ names

    @fuse_handler
    async def lookup(
        self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        return _entry(*self._names.lookup(self._inodes[parent_inode], name))

    @fuse_notice
    async def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        for number, lookups in inode_list:
            self._inodes.forget(number, lookups)

    @fuse_handler
    async def mknod(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, rdev: int, ctx: RequestContext
    ) -> EntryAttributes:
        parent = self._inodes[parent_inode]
        return _entry(*await self._names.mknod(parent, name, mode, rdev, _caller(ctx)))

    @fuse_handler
    async def mkdir(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, ctx: RequestContext
    ) -> EntryAttributes:
        parent = self._inodes[parent_inode]
        return _entry(*self._names.mkdir(parent, name, mode, _caller(ctx)))

    @fuse_handler
    async def symlink(
        self, parent_inode: InodeT, name: FileNameT, target: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        parent = self._inodes[parent_inode]
        return _entry(*self._names.symlink(parent, name, target, _caller(ctx)))

    @fuse_handler
    async def link(
        self, inode: InodeT, new_parent_inode: InodeT, new_name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        parent = self._inodes[new_parent_inode]
        return _entry(*await self._names.link(self._inodes[inode], parent, new_name, _caller(ctx)))

    @fuse_handler
    async def unlink(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        await self._names.unlink(self._inodes[parent_inode], name)

    @fuse_handler
    async def rmdir(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        self._names.rmdir(self._inodes[parent_inode], name)

    @fuse_handler
    async def rename(
        self,
        parent_inode_old: InodeT,
        name_old: FileNameT,
        parent_inode_new: InodeT,
        name_new: FileNameT,
        flags: FlagT,
        ctx: RequestContext,
    ) -> None:
        old = (self._inodes[parent_inode_old], name_old)
        new = (self._inodes[parent_inode_new], name_new)
        await self._names.rename(old, new, flags, _caller(ctx))

    @fuse_handler
    async def readlink(self, inode: InodeT, ctx: RequestContext) -> FileNameT:
        return FileNameT(self._overlay.read_link(self._inodes[inode]))

    # ------------------------------------------------------------------------- attributes

    @fuse_handler
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        known = self._inodes[inode]
        return _entry(known, self._overlay.attributes.get(known))

    @fuse_handler
    async def setattr(
        self,
        inode: InodeT,
        attr: EntryAttributes,
        fields: SetattrFields,
        fh: FileHandleT | None,
        ctx: RequestContext,
    ) -> EntryAttributes:
        known = self._inodes[inode]
        changes = Changes(
            mode=attr.st_mode & 0o7777 if fields.update_mode else None,
            uid=attr.st_uid if fields.update_uid else None,
            gid=attr.st_gid if fields.update_gid else None,
            size=attr.st_size if fields.update_size else None,
            atime_ns=attr.st_atime_ns if fields.update_atime else None,
            mtime_ns=attr.st_mtime_ns if fields.update_mtime else None,
        )
        file = None if fh is None else self._files[fh]
        return _entry(known, await self._overlay.attributes.set(known, changes, file, ctx.uid))

    @fuse_handler
    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        found = self._overlay.statfs()
        answer = StatvfsData()
        answer.f_bsize, answer.f_frsize = found.f_bsize, found.f_frsize
        answer.f_blocks, answer.f_bfree = found.f_blocks, found.f_bfree
        answer.f_bavail, answer.f_namemax = found.f_bavail, found.f_namemax
        answer.f_files, answer.f_ffree = found.f_files, found.f_ffree
        answer.f_favail = found.f_favail
        return answer

    async def getxattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> bytes:
        # Any other answer makes the kernel ask for security.capability before every write.
        raise pyfuse3.FUSEError(errno.ENOSYS)

    # ------------------------------------------------------------------------------ files

    @fuse_handler
    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        handle = await self._files.open(self._inodes[inode], flags, _caller(ctx))
        return self._file_info(handle)

    @fuse_handler
    async def create(
        self,
        parent_inode: InodeT,
        name: FileNameT,
        mode: ModeT,
        flags: FlagT,
        ctx: RequestContext,
    ) -> tuple[FileInfo, EntryAttributes]:
        parent = self._inodes[parent_inode]
        handle, inode, found = await self._files.create(parent, name, mode, flags, _caller(ctx))
        return self._file_info(handle), _entry(inode, found)

    def _file_info(self, handle: int) -> FileInfo:
        direct = self._files[handle].direct
        return FileInfo(fh=FileHandleT(handle), direct_io=direct, keep_cache=False)

    @fuse_handler
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        # What is not bytes is sent before anything else runs.
        return await self._files.read(fh, off, size)  # type: ignore[return-value]  # buffers do

    @fuse_handler
    async def write(self, fh: FileHandleT, off: int, buf: bytes) -> int:
        written = await self._files.write(fh, off, buf)
        file = self._files[fh]
        if file.direct and file.sharing.must_drop:
            # In a thread: the kernel waits there for pages that a reader is just fetching from us.
            await trio.to_thread.run_sync(_drop_pages, file.inode.number)
        return written

    async def flush(self, fh: FileHandleT) -> None:
        # Nothing is held back, so there is nothing to flush; this answer ends such requests.
        raise pyfuse3.FUSEError(errno.ENOSYS)

    @fuse_handler
    async def release(self, fh: FileHandleT) -> None:
        self._files.release(fh)

    @fuse_handler
    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        await self._files.sync(fh, data_only=datasync)

    # ------------------------------------------------------------------------ directories

    @fuse_handler
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        return FileHandleT(self._directories.open(self._inodes[inode]))

    @fuse_handler
    async def readdir(self, fh: FileHandleT, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        self._inodes.trim_if_many()
        # What was put into an answer counts as looked up, so the answer must then be given.
        answered = False
        try:
            for name, following in self._directories.entries(fh, start_id):
                if not self._reply(token, fh, name, following):
                    return
                answered = True
        except OSError:
            if not answered:
                raise

    @fuse_handler
    async def releasedir(self, fh: FileHandleT) -> None:
        self._directories.close(fh)

    @fuse_handler
    async def fsyncdir(self, fh: FileHandleT, datasync: bool) -> None:
        await self._directories.sync(fh, data_only=datasync)

    def _reply(
        self, token: pyfuse3.ReaddirToken, fh: FileHandleT, name: bytes, following: int
    ) -> bool:
        """Put one entry into the answer; False if it does not fit any more."""
        listing = self._directories[fh]
        if name in _DOTS:
            entry = _attributes(*self._directories.dot(listing, name))
            return pyfuse3.readdir_reply(token, FileNameT(name), entry, following)
        try:
            inode, found = self._inodes.lookup(listing.inode, name)
        except FileNotFoundError:
            return True
        entry = _entry(inode, found)
        entry.entry_timeout = entry.attr_timeout = TIMEOUT_S + listing.patience_s
        fits = pyfuse3.readdir_reply(token, FileNameT(name), entry, following)
        if not fits:
            self._inodes.forget(inode.number, 1)
        return fits


def _caller(ctx: RequestContext) -> Caller:
    return Caller(ctx.uid, ctx.gid, ctx.pid)


def _drop_pages(number: int) -> None:
    """Make the kernel fetch a file's pages anew. It may have forgotten the file meanwhile."""
    with suppress(OSError):
        pyfuse3.invalidate_inode(InodeT(number))


def _entry(inode: Inode, found: os.stat_result) -> EntryAttributes:
    entry = _attributes(inode.number, found)
    entry.generation = inode.generation
    return entry


def _attributes(number: int, found: os.stat_result) -> EntryAttributes:
    entry = EntryAttributes()
    entry.st_ino = InodeT(number)
    entry.entry_timeout = TIMEOUT_S
    entry.attr_timeout = TIMEOUT_S
    entry.st_mode = ModeT(found.st_mode)
    entry.st_nlink = found.st_nlink
    entry.st_uid = found.st_uid
    entry.st_gid = found.st_gid
    entry.st_rdev = found.st_rdev
    entry.st_size = found.st_size
    entry.st_blksize = found.st_blksize
    entry.st_blocks = found.st_blocks
    entry.st_atime_ns = found.st_atime_ns
    entry.st_mtime_ns = found.st_mtime_ns
    entry.st_ctime_ns = found.st_ctime_ns
    return entry
