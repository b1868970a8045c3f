"""Targets are meant by their names; what cannot be meant is told with what can."""

from pathlib import Path

import pytest

from copyagent.checking import unknown_algorithms
from copyagent.cli.target_names import target_named
from tests.support.example_settings import EXAMPLE, example_settings
from vtsfs.contract.errors import UsageError


def test_a_target_is_found_by_its_name(tmp_path: Path) -> None:
    assert target_named(example_settings(tmp_path), "drsite") == "drsite"


@pytest.mark.parametrize(
    ("name", "hint"), [("dr-site", "did you mean drsite?"), ("moon", "name them under targets")]
)
def test_a_wrong_name_gets_a_hint(tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=r"but drsite; ") as refused:
        target_named(example_settings(tmp_path), name)
    assert hint in str(refused.value)


def test_without_targets_that_is_said(tmp_path: Path) -> None:
    text = EXAMPLE[: EXAMPLE.index("targets:")] + "ems: {required: false}\n"
    with pytest.raises(UsageError, match="the settings name none under targets"):
        target_named(example_settings(tmp_path, text), "drsite")


def test_algorithms_that_do_not_exist_are_told_of_their_target(tmp_path: Path) -> None:
    assert unknown_algorithms(example_settings(tmp_path)) == ()
    text = EXAMPLE.replace("user: vts", "user: vts\n    algorithms: {kex: [rot13]}")
    (problem,) = unknown_algorithms(example_settings(tmp_path, text))
    assert problem.startswith("targets.drsite.algorithms.kex: 'rot13' is not known")
