"""What any file system does, as one suite: run on a plain directory first, then on the mount.

A case that fails on the plain directory is a wrong case. Each gets an empty directory. Importing
the modules below enters their cases.
"""

from tests.support import (
    posix_attributes,
    posix_data,
    posix_directories,
    posix_locks,
    posix_mappings,
    posix_names,
    posix_permissions,
    posix_renames,
    posix_set_id,
    posix_space,
    posix_special,
    posix_trees,
)
from tests.support.posix_case import ALL

__all__ = [
    "ALL",
    "posix_attributes",
    "posix_data",
    "posix_directories",
    "posix_locks",
    "posix_mappings",
    "posix_names",
    "posix_permissions",
    "posix_renames",
    "posix_set_id",
    "posix_space",
    "posix_special",
    "posix_trees",
]
