"""The two commands we run at a target that lets us: their text, and what their answers mean.

Both are optional. A forced ``internal-sftp``, a restricted shell or a busybox answers something
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


def token_command(path: str) -> str:
    """Ask for inode and ctime, the latter with its nanoseconds and in UTC whatever the site uses."""
    return f"env LC_ALL=C TZ=UTC0 stat -c '%i %z' -- {shlex.quote(path)}"


def parse_token(output: str) -> str:
    """Read the token that goes into a `TargetStamp`; empty if there is none."""
    match = _TOKEN.fullmatch(_last_line(output))
    return f"{match[1]} {match[2]}" if match else ""


def _last_line(output: str) -> str:
    return output.rstrip().rpartition("\n")[2]
