"""``python -m copyagent`` and the ``copyagent`` command."""

import sys

from copyagent.cli.commands import copyagent
from vtsfs.runtime.exits import run_cli


def main() -> None:
    """Run the command line and end the process with its exit status."""
    sys.exit(run_cli(copyagent, program="copyagent"))


if __name__ == "__main__":
    main()
