"""``packaging/bundle/check``: looks at the tree of a version before it is packed."""

import argparse
import getpass
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from bundling import contents, stock
from bundling.binaries import binaries, problems_of
from bundling.cache import cache_root

#: Where everything is compiled.
BUILD_PATH = "/var/tmp/vts-autocopy-build"  # noqa: S108  # a name to look for, nothing is written
#: Problems that are told one by one.
MOST = 50
REPOSITORY = Path(__file__).resolve().parents[3]


def main() -> int:
    """Carry out the command line; return 1 if anything is wrong with the tree."""
    parser = argparse.ArgumentParser(prog="packaging/bundle/check", description=__doc__)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--forbid", action="append", default=[], help="a text no file may hold")
    asked = parser.parse_args()
    found = problems(asked.tree, [*machine_names(), *asked.forbid])
    sys.stdout.write(shown(found))
    return 1 if found else 0


def shown(found: list[str]) -> str:
    """Return *found* a line each, or as many as anybody reads."""
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return "".join(f"{line}\n" for line in [*found[:MOST], *more])


def problems(tree: Path, forbidden: Iterable[str]) -> list[str]:
    """Return everything that is wrong with *tree*, none of whose files may hold a *forbidden* text."""
    if not (tree / "bin").is_dir():
        return [f"{tree}: is no tree of a version"]
    return [
        *(problem for binary in binaries(tree) for problem in problems_of(binary, tree)),
        *contents.traces(tree, forbidden),
        *contents.byte_code(tree),
        *contents.records(tree),
        *contents.rights(tree),
        *stock.problems(tree),
    ]


def machine_names() -> list[str]:
    """Return the paths and names of this machine that a package made here must not give away."""
    home = str(Path.home())
    return [
        BUILD_PATH,
        str(REPOSITORY),
        str(cache_root()),
        f"{getpass.getuser()}@{socket.gethostname()}",
        # Wheels are made by root of other machines, and say so.
        *([home] if home != "/root" else []),
    ]


if __name__ == "__main__":
    sys.exit(main())
