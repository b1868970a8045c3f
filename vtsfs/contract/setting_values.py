"""What values of the settings file may look like: paths, durations, names, and the base of a section.

`settings` and the sections that have a module of their own are made of these.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vtsfs.contract.companions import fault_of
from vtsfs.contract.errors import NameInvalid
from vtsfs.contract.naming import PoolId
from vtsfs.contract.units import parse_duration


def _absolute(value: object) -> object:
    if isinstance(value, str):
        if not value.startswith("/"):
            raise ValueError(f"should be an absolute path, not {value!r}")
        if "\0" in value:
            raise ValueError("should not contain a NUL")
        if ".." in value.split("/"):
            raise ValueError(f"should not contain .. as {value!r} does")
    return value


def _pool(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("should be a pool such as /VAULT00/BILL")
    try:
        return PoolId.parse(value)
    except NameInvalid as error:
        raise ValueError(str(error)) from error


def _companions(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("should be a pattern such as '{label}.*'")
    if fault := fault_of(value):
        raise ValueError(f"{fault}: {value!r}")
    return value


CompanionPattern = Annotated[str, BeforeValidator(_companions)]
Seconds = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
SecondsOrNone = Annotated[float, BeforeValidator(parse_duration), Field(ge=0)]
AbsolutePath = Annotated[Path, BeforeValidator(_absolute)]
Pool = Annotated[PoolId, BeforeValidator(_pool)]
VaultKey = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_-]{0,30}$")]
TargetKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Model(BaseModel):
    """The base of every section: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
