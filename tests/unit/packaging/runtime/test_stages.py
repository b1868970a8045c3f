"""A change is compiled, and nothing that it does not touch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.support.nonstop import TREE
from tests.support.packaging_code import packaging_code

sources = packaging_code("runtime", "compiling.sources")
stages = packaging_code("runtime", "compiling.stages")

PLACE = TREE / "packaging" / "runtime"
LOCK = sources.parse_lock((PLACE / "sources.lock").read_text(encoding="utf-8"))
COMPONENTS = {component.name: component for component in LOCK.components}
CHOICES = {
    name: sources.Choice("locked", component.revision, component.files)
    for name, component in COMPONENTS.items()
}
RECIPES = {name: f"make {name}" for name in stages.NEEDS}
SURROUNDINGS = stages.Surroundings(1, "tools", {"stage": "set -e"})


def keys(
    components: Mapping[str, Any] = COMPONENTS,
    choices: Mapping[str, Any] = CHOICES,
    recipes: Mapping[str, str] = RECIPES,
    surroundings: Any = SURROUNDINGS,
) -> dict[str, str]:
    made: dict[str, str] = stages.stage_keys(components, choices, recipes, surroundings)
    return made


def changed(other: Mapping[str, str]) -> set[str]:
    return {name for name, key in keys().items() if other[name] != key}


def test_the_same_goes_by_the_same_keys() -> None:
    assert changed(keys()) == set()
    assert len(set(keys().values())) == len(stages.NEEDS)


def test_a_changed_recipe_is_compiled_with_what_is_linked_against_it() -> None:
    assert changed(keys(recipes={**RECIPES, "zlib": "make -O3"})) == {"zlib", "cpython"}
    assert changed(keys(recipes={**RECIPES, "libfuse": "ninja"})) == {"libfuse"}
    assert changed(keys(recipes={**RECIPES, "cpython": "make -O3"})) == {"cpython"}


def test_a_changed_source_is_compiled_anew() -> None:
    other = replace(CHOICES["openssl"], files={"openssl_4.orig.tar.gz": "0" * 64})
    assert changed(keys(choices={**CHOICES, "openssl": other})) == {"openssl", "cpython"}


def test_a_patch_left_out_is_a_change() -> None:
    other = replace(COMPONENTS["libfuse"], leave_out=("*memfs*",))
    assert changed(keys(components={**COMPONENTS, "libfuse": other})) == {"libfuse"}


@pytest.mark.parametrize(
    "other",
    [
        replace(SURROUNDINGS, epoch=2),
        replace(SURROUNDINGS, tools="other tools"),
        replace(SURROUNDINGS, scripts={"stage": "set -eu"}),
    ],
    ids=["time", "tools", "scripts"],
)
def test_a_change_of_what_everything_is_made_with_changes_everything(other: Any) -> None:
    assert changed(keys(surroundings=other)) == set(stages.NEEDS)


def test_the_runtime_changes_with_its_stages_its_assembly_and_its_description() -> None:
    made = [
        stages.runtime_key(keys(), {"assembly.py": "1"}, {"digest": "1"}),
        stages.runtime_key(
            keys(recipes={**RECIPES, "libfuse": "ninja"}), {"assembly.py": "1"}, {"digest": "1"}
        ),
        stages.runtime_key(keys(), {"assembly.py": "2"}, {"digest": "1"}),
        stages.runtime_key(keys(), {"assembly.py": "1"}, {"digest": "2"}),
    ]
    assert len(set(made)) == len(made)


def test_a_comment_in_the_tools_lock_fetches_nothing_anew() -> None:
    lock = (PLACE / "tools.lock").read_text(encoding="utf-8")
    assert stages.tools_key(f"# more\n{lock}") == stages.tools_key(lock)
    assert stages.tools_key(lock.replace("ziglang==0", "ziglang==1")) != stages.tools_key(lock)


def test_stages_come_after_what_they_need() -> None:
    seen: set[str] = set()
    for name, needs in stages.NEEDS.items():
        assert seen >= set(needs)
        seen.add(name)


def test_every_stage_has_a_recipe_and_every_recipe_a_stage() -> None:
    assert {path.name for path in (PLACE / "recipes").iterdir()} == set(stages.NEEDS)


def test_every_patch_is_applied_but_those_left_out() -> None:
    series = (
        "# empty\nlayout/deb-locations.diff\nCVE-1.patch -p1\n\nmin-argparse.diff\nCVE-2.patch\n"
    )
    applied, left_out = stages.patches_to_apply(series, ["layout/*", "min-*"])
    assert applied == ("CVE-1.patch", "CVE-2.patch")
    assert left_out == ("layout/deb-locations.diff", "min-argparse.diff")


def test_no_security_fix_is_left_out() -> None:
    for component in COMPONENTS.values():
        applied, _ = stages.patches_to_apply(
            "CVE-2030-1.patch\n50-CVE-1.patch", component.leave_out
        )
        assert len(applied) == 2, component.name


def test_the_interpreter_is_not_configured_by_how_it_is_built() -> None:
    # At niceness 19 configure's trial of nice(2) ends otherwise than at 0, and so did the package.
    recipe = (PLACE / "recipes" / "cpython").read_text(encoding="utf-8")
    told = recipe[: recipe.index("./configure")]
    for finding in ("broken_nice=no", "posix_semaphores_enabled=yes", "buggy_getaddrinfo=no"):
        assert f" ac_cv_{finding}" in told
