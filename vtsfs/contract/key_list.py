"""The file of a key server: which key IDs it has. One a line, UTF-8.

Blanks around an ID do not count; what follows a ``#`` at the beginning of a line or behind a blank
is a comment. The keys themselves never stand there.
"""

import re

#: More than a million IDs; whatever is larger is no such list.
MAX_BYTES = 1 << 24

_COMMENT = re.compile(r"(?:^|\s)#.*")


def parse_key_list(data: bytes) -> frozenset[str]:
    """Return the key IDs in *data*; raise ValueError, which says what is wrong and where."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 at byte {error.start}") from error
    found = set()
    for number, line in enumerate(text.split("\n"), 1):
        key_id = _COMMENT.sub("", line).strip()
        if not key_id.isprintable():
            raise ValueError(f"has a control character in line {number}")
        if key_id:
            found.add(key_id)
    return frozenset(found)
