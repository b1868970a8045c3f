"""What the build fixes stays fixed: nothing that a site can change reaches it."""

import ast
import inspect

from copyagent import edition
from vtsfs.contract.settings import Settings


def test_a_build_from_source_requires_no_licence() -> None:
    assert (edition.LICENCE_REQUIRED, edition.LICENCE_ISSUERS) == (False, ())


def test_it_asks_nothing_and_nobody() -> None:
    tree = ast.parse(inspect.getsource(edition))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [getattr(node, "module", None) for node in imported] == ["typing"]
    assert not any(isinstance(node, ast.Call) for node in ast.walk(tree))


def test_no_setting_is_about_it() -> None:
    assert not [name for name in Settings.model_fields if "licen" in name]
