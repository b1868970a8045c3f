"""Programs of the packaging, which lie in no package of Python, as modules."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from tests.support.nonstop import TREE


def program(path: str) -> ModuleType:
    """Return the program at *path* below the tree as a module, without running it."""
    file = TREE / path
    name = f"program_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where data classes look for the names of their annotations.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
