from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from vtsfs.contract.naming import PoolId
from vtsfs.contract.setting_values import AbsolutePath, Model, Pool, Port, Seconds, SecondsOrNone


class Section(Model):
    where: AbsolutePath = Path("/srv")


def test_a_section_is_strict_and_frozen() -> None:
    section = Section.model_validate({"where": "/tmp"})
    with pytest.raises(ValidationError):
        section.where = Path("/other")  # type: ignore[misc] # that is the point
    with pytest.raises(ValidationError, match="whre"):
        Section.model_validate({"whre": "/tmp"})


@pytest.mark.parametrize("path", ["relative", "/a/../b", "/nul\0", 5])
def test_a_path_is_absolute_and_plain(path: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(AbsolutePath).validate_python(path)


def test_values_with_a_meaning() -> None:
    assert TypeAdapter(Pool).validate_python("/VAULT00/BILL") == PoolId("VAULT00", "BILL")
    assert TypeAdapter(Seconds).validate_python("1.5m") == pytest.approx(90)
    assert TypeAdapter(SecondsOrNone).validate_python("0s") == 0


@pytest.mark.parametrize(
    ("kind", "value"), [(Seconds, "0s"), (Pool, "BILL"), (Pool, 5), (Port, 0), (Port, 65536)]
)
def test_values_without_one(kind: Any, value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)
