"""``python -m copyagent`` and the ``copyagent`` command."""

import sys

from copyagent.cli.commands import copyagent
from vtsfs.runtime.exits import run_cli
from vtsfs.runtime.no_core import forbid_core_dumps


def main() -> None:
    """Run the command line and end the process with its exit status.

    Before anything is read, a core is forbidden: most commands come to hold a key or a password.
    """
    forbid_core_dumps()
    sys.exit(run_cli(copyagent, program="copyagent"))


if __name__ == "__main__":
    main()
