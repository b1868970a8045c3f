"""The locks hold every dependency that pyproject.toml asks for, pinned by version and by hash."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source_tree import ROOT

_PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)


def read_pins(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {canonicalize_name(found["name"]): found["version"] for found in _PIN.finditer(text)}


BUNDLED = "packaging/bundle/requirements.lock"


def wanted() -> list[tuple[str, Requirement]]:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = pyproject["dependency-groups"]
    in_dev = [*pyproject["project"]["dependencies"], *groups["dev"]]
    in_build = [*pyproject["build-system"]["requires"], *groups["build"]]
    return [
        *(("requirements-dev.lock", Requirement(text)) for text in in_dev),
        *(("requirements-build.lock", Requirement(text)) for text in in_build),
        *((BUNDLED, Requirement(text)) for text in pyproject["project"]["dependencies"]),
    ]


@pytest.mark.parametrize(("lock", "requirement"), wanted(), ids=str)
def test_the_lock_has_what_is_asked_for(lock: str, requirement: Requirement) -> None:
    version = read_pins(lock).get(canonicalize_name(requirement.name))
    assert version is not None, f"{requirement.name} is not in {lock}: run 'make lock'"
    assert requirement.specifier.contains(version), f"{requirement}: run 'make lock'"


@pytest.mark.parametrize("lock", ["requirements-build.lock", "requirements-dev.lock", BUNDLED])
def test_every_pin_has_hashes_and_no_index_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text)
    pinned = [entry for entry in entries if _PIN.match(entry)]
    assert [entry.split()[0] for entry in pinned if "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_both_locks_agree_on_what_both_pin() -> None:
    build, dev = read_pins("requirements-build.lock"), read_pins("requirements-dev.lock")
    assert {
        name: (build[name], dev[name]) for name in build.keys() & dev if build[name] != dev[name]
    } == {}


def test_what_is_bundled_is_what_is_tested() -> None:
    bundled, dev = read_pins(BUNDLED), read_pins("requirements-dev.lock")
    assert {name: (bundled[name], dev.get(name)) for name in bundled} == {
        name: (version, version) for name, version in bundled.items()
    }
