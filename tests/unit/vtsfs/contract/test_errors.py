import errno
import importlib
import pkgutil
from collections.abc import Iterator

import copyagent
import vtsfs
from vtsfs.contract import errors
from vtsfs.contract.errors import SettingsError, VtsError


def tree(kind: type[VtsError]) -> Iterator[type[VtsError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def test_every_error_says_what_it_means() -> None:
    for kind in tree(VtsError):
        assert kind.__doc__, kind
        assert kind.errno in errno.errorcode
        assert 0 < kind.exit_code < 126


def test_the_table_in_the_module_is_the_tree() -> None:
    assert errors.__doc__
    printed = {
        (line.replace("│", " ").lstrip(" ├└─").split()[0], int(line.split(kind)[1].split()[0]))
        for line in errors.__doc__.splitlines()
        for kind in [k.__name__ for k in tree(VtsError)]
        if f" {kind} " in line and line.split(kind)[1].split()[0].isdecimal()
    }
    here = [kind for kind in tree(VtsError) if kind.__module__ == errors.__name__]
    assert printed == {(kind.__name__, kind.exit_code) for kind in here}


def test_a_kind_defined_elsewhere_has_the_exit_status_of_its_parent() -> None:
    for package in (copyagent, vtsfs):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    elsewhere = [kind for kind in tree(VtsError) if kind.__module__ != errors.__name__]
    assert elsewhere
    assert [kind for kind in elsewhere if "exit_code" in vars(kind)] == []


def test_a_settings_error_carries_every_problem() -> None:
    assert SettingsError("two", ("one", "other")).problems == ("one", "other")
