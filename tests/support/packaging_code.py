"""The Python of ``packaging/``, which is run from there and installed nowhere, for tests to import."""

import importlib
import sys
from types import ModuleType

from tests.support.nonstop import TREE


def packaging_code(part: str, module: str) -> ModuleType:
    """Import *module* as the scripts of ``packaging/PART`` do, e.g. ``("runtime", "compiling.stages")``.

    The path is there for the import alone: the modules of a part import each other at once.
    """
    place = str(TREE / "packaging" / part)
    sys.path.insert(0, place)
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(place)
