"""`python -m vtsfs` and the command `vtsfs`."""

import sys

from vtsfs.cli import cli
from vtsfs.runtime.exits import run_cli


def main() -> None:
    """Run the command line and exit with its status."""
    sys.exit(run_cli(cli, program="vtsfs"))


if __name__ == "__main__":
    main()
