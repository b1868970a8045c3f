"""The layout holds: sizes, names, who imports what, and a test for every module.

There is no list of exceptions, here or in the import contracts, and none is to be added: a rule
that does not fit is changed for everybody or not at all.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.architecture.source_tree import PRODUCT, ROOT, Module, reached_from, read_modules

MODULE_LINES = 500
FUNCTION_LINES = 60
SAYS_NOTHING = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}

# Import name -> the only places that may import it.
OWNERS = {
    "pyfuse3": ("vtsfs.fuse",),
    "asyncio": ("copyagent.ssh",),
    "asyncssh": ("copyagent.ssh",),
    "trio_asyncio": ("copyagent.ssh",),
    "sqlite3": ("vtsfs.outbox", "copyagent.state"),
}

PURE = (
    "copyagent.core",
    "copyagent.edition",
    "copyagent.ems.catch_up",
    "copyagent.ems.dialogue",
    "copyagent.ems.lines",
    "copyagent.ems.login_types",
    "copyagent.ems.listening",
    "copyagent.ems.notices",
    "copyagent.ems.original_config",
    "copyagent.ems.perl_expressions",
    "copyagent.ems.plain_text",
    "copyagent.ems.policy",
    "copyagent.ems.quoting",
    "copyagent.ems.secret",
    "copyagent.ems.shell_assignments",
    "copyagent.ems.recording",
    "copyagent.ems.tape_events",
    "copyagent.ems.tape_messages",
    "copyagent.ems.tape_templates",
    "copyagent.ems.telnet",
    "copyagent.ems.untemplated",
    "copyagent.licence.token",
    "copyagent.ssh.sftp_packets",
    "copyagent.transfer.chunks",
    "copyagent.transfer.commands",
    "copyagent.transfer.layout",
    "copyagent.transfer.manifest",
    "copyagent.transfer.plan",
    "copyagent.transfer.progress",
    "copyagent.transfer.ranges",
    "vtsfs.contract.extents",
    "vtsfs.contract.key_list",
    "vtsfs.contract.naming",
    "vtsfs.encryption.refusals",
    "vtsfs.encryption.signature",
    "vtsfs.overlay.usage",
)
IMPURE = {
    *("asyncio", "asyncssh", "fcntl", "http", "io", "multiprocessing", "os", "pathlib", "pyfuse3"),
    *("random", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl"),
    *("subprocess", "sys", "tempfile", "threading", "time", "trio", "trio_asyncio", "uuid"),
}

# Where an error nobody foresaw may be caught: a request, a command, a program ends with it, no more.
CATCH_ALL = {"vtsfs/fuse/boundary.py", "vtsfs/runtime/exits.py", "copyagent/runner.py"}


def read_pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    sizes = {
        module.place: len(module.text.splitlines()) for module in read_modules("tests", *PRODUCT)
    }
    assert {place: size for place, size in sizes.items() if size > MODULE_LINES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    too_long = {
        f"{module.place}:{function.line} {function.name}": function.length
        for module in read_modules("tests", *PRODUCT)
        for function in module.functions
        if function.length > FUNCTION_LINES
    }
    assert too_long == {}


def test_files_and_folders_are_named_for_what_they_hold() -> None:
    empty = [
        module.place
        for module in read_modules("tests", *PRODUCT)
        if any(SAYS_NOTHING & set(word.split("_")) for word in module.name.split("."))
    ]
    assert empty == []


def test_classes_are_named_for_what_they_are() -> None:
    vague = re.compile(r"(Util|Utils|Helper|Helpers|Manager)$")
    strays = [
        f"{module.place}:{found.line} {found.name}"
        for module in read_modules("tests", *PRODUCT)
        for found in module.classes
        if vague.search(found.name)
    ]
    assert strays == []


def test_the_import_contracts_are_kept() -> None:
    # In a process of its own: import-linter sets logging up anew, for every test that follows.
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_import_contracts_have_no_exceptions() -> None:
    contracts = read_pyproject()["tool"]["importlinter"]["contracts"]
    assert contracts
    assert [contract["name"] for contract in contracts if "ignore_imports" in contract] == []


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_with_an_owner_is_imported_there_alone(library: str) -> None:
    importers = [
        module for module in read_modules(*PRODUCT) if library in module.external_imports()
    ]
    assert importers, f"nobody imports {library}: is the rule out of date?"
    assert [module.place for module in importers if not module.is_in(*OWNERS[library])] == []


def test_the_contract_stands_on_the_standard_library_pydantic_and_yaml() -> None:
    allowed = {"pydantic", "yaml"} | set(sys.stdlib_module_names)
    strays = {
        module.place: strange
        for module in read_modules("vtsfs/contract")
        if (strange := module.external_imports() - allowed)
    }
    assert strays == {}


def test_the_runtime_stands_on_the_standard_library_trio_and_click() -> None:
    # click's own errors have exit codes too, and only runtime/exits.py gives exit codes.
    allowed = {"trio", "click"} | set(sys.stdlib_module_names)
    strays = {
        module.place: strange
        for module in read_modules("vtsfs/runtime")
        if (strange := module.external_imports() - allowed)
    }
    assert strays == {}


def test_the_agent_knows_of_the_overlay_its_contract_and_runtime_alone() -> None:
    forbidden = {
        module.name
        for module in read_modules("vtsfs")
        if module.name != "vtsfs" and not module.is_in("vtsfs.contract", "vtsfs.runtime")
    }
    strays = {
        module.place: known
        for module in read_modules("copyagent")
        if (known := forbidden.intersection(module.imports))
    }
    assert strays == {}


def pure_modules() -> Iterator[Module]:
    return (module for module in read_modules(*PRODUCT) if module.is_in(*PURE))


def test_every_pure_place_exists() -> None:
    found = {place for place in PURE for module in pure_modules() if module.is_in(place)}
    assert found == set(PURE)


def test_decisions_and_codecs_import_no_clock_no_chance_and_no_io() -> None:
    strays = {
        module.place: impure
        for module in pure_modules()
        if (impure := module.external_imports() & IMPURE)
    }
    assert strays == {}


def test_what_decisions_and_codecs_import_reaches_none_either() -> None:
    # The settings hold paths as values; the file itself is read in `settings_file`.
    strays = {
        f"{module.place} by {reached.place}": impure
        for module in pure_modules()
        for reached in reached_from(module).values()
        if (impure := reached.external_imports() & IMPURE - {"pathlib"})
    }
    assert strays == {}


def test_errors_nobody_foresaw_end_in_three_places_only() -> None:
    strays = [
        f"{module.place}:{line}"
        for module in read_modules(*PRODUCT)
        if module.place not in CATCH_ALL
        for line in module.swallowing
    ]
    assert strays == []


def test_every_silenced_check_says_why() -> None:
    silent = re.compile(r"#\s*(noqa:[\sA-Z0-9,]+|type:\s*ignore\[[^\]]*\]\s*)(?!\s*[-#]\s*\S)$")
    found = [
        f"{module.place}:{number}"
        for module in read_modules("tests", *PRODUCT)
        for number, line in enumerate(module.text.splitlines(), 1)
        if silent.search(line)
    ]
    assert found == []


def test_every_module_has_a_test_of_its_name_or_one_that_imports_it() -> None:
    tests = [module for module in read_modules("tests") if module.path.stem.startswith("test_")]
    named = {module.path.stem for module in tests}
    imported = {name for module in tests for name in module.imports}
    untested = [
        module.place
        for module in read_modules(*PRODUCT)
        if module.path.stem not in {"__init__", "__main__"}
        and f"test_{module.path.stem}" not in named
        and module.name not in imported
    ]
    assert untested == []
