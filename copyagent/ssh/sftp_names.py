"""What SFTP version 3 says of a name, read. Pure."""

import re
import stat

from copyagent.ssh.sftp_packets import Attributes
from copyagent.transfer.target import EntryKind, TargetEntry

_KINDS = {stat.S_IFREG: EntryKind.FILE, stat.S_IFDIR: EntryKind.DIRECTORY}

#: How ls(1) begins a long line (draft-ietf-secsh-filexfer-02, section 7, recommends that form): the
#: kind and the permissions, perhaps a mark of an access list, and the number of links.
_LONG = re.compile(rb"[-a-zA-Z?][-rwxsStTlL]{9}[.+@]? +(\d{1,9}) ")


def entry_of(attributes: Attributes, long_name: bytes = b"") -> TargetEntry:
    """Translate what the server says of a file; *long_name* is its line in a listing."""
    mode = attributes.mode or 0
    return TargetEntry(
        kind=_KINDS.get(stat.S_IFMT(mode), EntryKind.OTHER),
        size=attributes.size or 0,
        mtime=attributes.mtime or 0,
        mode=stat.S_IMODE(mode),
        uid=attributes.uid or 0,
        gid=attributes.gid or 0,
        links=links_in(long_name),
    )


def links_in(long_name: bytes) -> int | None:
    """Read the number of links from a line of a listing; None where it has another form."""
    match = _LONG.match(long_name)
    return int(match[1]) if match else None
