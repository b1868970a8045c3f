"""The file with a host's password: one line, and what may stand on it.

What is told of a password that cannot be used never quotes it, nor any character of it.
"""

import os
import stat
import unicodedata
from pathlib import Path
from typing import Final

MAX_CHARACTERS: Final = 128
"""Twice what the longest of a host's passwords may have (Safeguard: 64 characters)."""
MAX_BYTES: Final = 4096


def password_in(content: bytes) -> str:
    """Return the password in a file's *content*; raise ValueError with the reason it is none.

    The file is UTF-8, as editors here write it; hosts know one byte a character, ISO 8859-1, and
    that is what is typed. A comma makes a host ask for a new password (Safeguard user's guide
    422089-020, "Changing Your Password With Blind Passwords").
    """
    try:
        text = content[:MAX_BYTES].decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        # The error itself quotes the content.
        raise ValueError("is not UTF-8 text; convert it: iconv -f latin1 -t utf-8") from None
    if not text:
        raise ValueError("is empty; write the password on its first line")
    if "\n" in text or "\r" in text:
        raise ValueError("has more than one line; leave nothing but the password in it")
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("holds a control character, which cannot be typed; take it out")
    if not all(ord(character) < 0x100 for character in text):
        raise ValueError(
            "holds a character that is not in ISO 8859-1, so no host has a byte for it; "
            "choose a password without (a byte order mark at the beginning counts, too)"
        )
    if "," in text:
        raise ValueError("holds a comma, behind which hosts expect a new password; choose another")
    if len(text) > MAX_CHARACTERS or len(content) > MAX_BYTES:
        raise ValueError(f"holds more than the {MAX_CHARACTERS} characters a password may have")
    return text


def read_password(path: Path) -> str:
    """Return the password in the file at *path*; raise ValueError with the reason there is none."""
    try:
        # O_NONBLOCK: opening a FIFO would wait for somebody to write into it.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ValueError("is not a regular file")
            content = os.read(fd, MAX_BYTES + 1)
        finally:
            os.close(fd)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    return password_in(content)
