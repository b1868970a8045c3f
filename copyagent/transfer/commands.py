"""The commands we run at a target that lets us: their text, and what their answers mean.

All are optional. A forced ``internal-sftp``, a restricted shell or a busybox answers something
else, and a last line that does not look exactly as expected counts as no answer. (What a shell's
start-up file prints comes before it.)
"""

import re
import shlex

_SHA256 = re.compile(r"([0-9a-f]{64})\s+\*?-")
_TOKEN = re.compile(r"(\d+) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4})")


def sha256_command(path: str) -> str:
    """Have the target digest a file; from standard input, so that its name cannot be an option."""
    return f"sha256sum < {shlex.quote(path)}"


def parse_sha256(output: str) -> str | None:
    """Read the hex digest, or None."""
    match = _SHA256.fullmatch(_last_line(output))
    return match[1] if match else None


def token_command(*paths: str) -> str:
    """Ask for inode and ctime, the latter with its nanoseconds and in UTC whatever the site uses."""
    names = " ".join(map(shlex.quote, paths))
    return f"env LC_ALL=C TZ=UTC0 stat -c '%i %z' -- {names}"


def parse_tokens(output: str, count: int) -> list[str]:
    """Read the tokens that go into *count* `TargetStamp`; each is empty unless all are there."""
    lines = output.rstrip().split("\n")[-count:]
    matches = [_TOKEN.fullmatch(line) for line in lines]
    if len(matches) != count or None in matches:
        return [""] * count
    return [f"{match[1]} {match[2]}" for match in matches if match]


def clone_command(path: str, into: str) -> str:
    """Have the target make *into* share all of *path*'s blocks; it fails where that cannot be.

    *into* is there already and keeps its inode. Nothing is copied: the command either is quick or
    fails (cp(1), ``--reflink=always``).
    """
    return f"cp --reflink=always -- {shlex.quote(path)} {shlex.quote(into)}"


def _last_line(output: str) -> str:
    return output.rstrip().rpartition("\n")[2]
