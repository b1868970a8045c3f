"""Files that tell what a daemon would tell: for those who may look, and nobody else.

Whoever is refused on the control socket must not read the same in a file beside it.
"""

from pathlib import Path

from vtsfs.contract.errors import StateError
from vtsfs.contract.settings import Service
from vtsfs.runtime.files import group_id, write_atomic


def write_shown(path: Path, data: bytes, service: Service) -> None:
    """Replace *path* by *data*, durably, readable for its owner and for the group that may look.

    That is ``service.group``, else ``service.operators``: a file has one group. Raises OSError, and
    `StateError` for a group that there is not.
    """
    key = "group" if service.group is not None else "operators"
    name = service.group if service.group is not None else service.operators
    if name is None:
        write_atomic(path, data, 0o600)
    else:
        write_atomic(path, data, 0o640, group=group_id(name, StateError, key))
