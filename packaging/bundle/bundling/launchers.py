"""The commands of the tree: a shell script each, that finds the tree by its own real place."""

#: Command and module.
COMMANDS = {"vtsfs": "vtsfs", "copyagent": "copyagent"}

_SCRIPT = """#!/bin/sh
# The real place, not the link that led here: a process keeps to the version it was started from.
here=$(readlink -f "$0") || exit 1
exec "${{here%/*}}/{python}" -I -B -m {module} "$@"
"""


def launcher(module: str, python: str) -> str:
    """Return the script that runs *module* with the interpreter *python* beside it.

    The interpreter is isolated (``-I``: neither the caller's PYTHONPATH nor the working directory
    lend it modules) and writes no byte-code (``-B``), so the installed files stay as packed.
    """
    return _SCRIPT.format(module=module, python=python)
