"""What values of the settings file may look like: paths, durations, names, and the base of a section.

`settings` and the sections that have a module of their own are made of these.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from vtsfs.contract.companions import fault_of
from vtsfs.contract.errors import NameInvalid
from vtsfs.contract.naming import PoolId
from vtsfs.contract.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    parse_duration,
    parse_size,
    write_duration,
    write_size,
)


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


def _percent(value: object) -> object:
    match = re.fullmatch(r"(\d{1,2}(?:\.\d+)?|100)\s*%", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"should be a percentage such as 10%, not {value!r}")
    return float(match[1]) / 100


def _readback(value: object) -> object:
    return value if value in {"all", "sent"} else _percent(value)


def _bandwidth(value: object) -> object:
    text = value.removesuffix("/s") if isinstance(value, str) else value
    if text == value:
        raise ValueError(f"should be a size per second such as 20 MiB/s, not {value!r}")
    return parse_size(text)


class DailyWindow(NamedTuple):
    """A time of day, local time, in minutes since midnight; it may pass midnight (*end* < *start*)."""

    start: int
    end: int


def _window(value: object) -> object:
    match = re.fullmatch(_WINDOW, value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"should be a time of day such as 22:00-06:00, not {value!r}")
    start, end = (int(match[i]) * 60 + int(match[i + 1]) for i in (1, 3))
    if start == end:
        raise ValueError(f"begins when it ends: {value!r}")
    return DailyWindow(start, end)


_WINDOW = r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)"


def _text_of_percent(value: float) -> str:
    return f"{round(value * 100, 10):g}%"


def _text_of_readback(value: str | float) -> str:
    return value if isinstance(value, str) else _text_of_percent(value)


def _text_of_bandwidth(value: int) -> str:
    return f"{write_size(value)}/s"


def _text_of_window(value: DailyWindow) -> str:
    times = [f"{minutes // 60:02}:{minutes % 60:02}" for minutes in value]
    return "-".join(times)


def _looks_like(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


_PERCENT_PATTERN = r"^\d{1,2}(\.\d+)?\s*%$"
_DURATION = _looks_like(DURATION_PATTERN, "5m")
_NO_ZERO = _looks_like(DURATION_PATTERN.replace("^", r"^(?!\s*0+(\.0+)?\s*[a-z])"), "5m")
_PATH_PATTERN = r"^/(?!(.*/)?\.\.(/|$))[^\u0000]*$"
_POOL_PATTERN = r"^/[^/]+/[^/]+$"

Percent = Annotated[
    float,
    BeforeValidator(_percent),
    Field(ge=0, lt=1),
    PlainSerializer(_text_of_percent),
    _looks_like(_PERCENT_PATTERN, "10%"),
]
#: How much of a copy is read back: all of it, what was sent, or a share of its chunks.
Readback = Annotated[
    Literal["all", "sent"] | float,
    BeforeValidator(_readback),
    PlainSerializer(_text_of_readback),
    _looks_like(r"^(all|sent|(\d{1,2}(\.\d+)?|100)\s*%)$", "sent"),
]
Bandwidth = Annotated[
    int,
    BeforeValidator(_bandwidth),
    Field(ge=1024),
    PlainSerializer(_text_of_bandwidth),
    _looks_like(SIZE_PATTERN.replace(r"\s*$", r"\s*/s$"), "20 MiB/s"),
]
CompanionPattern = Annotated[
    str, BeforeValidator(_companions), WithJsonSchema({"type": "string", "examples": ["{label}.*"]})
]
Seconds = Annotated[
    float, BeforeValidator(parse_duration), Field(gt=0), PlainSerializer(write_duration), _NO_ZERO
]
SecondsOrNone = Annotated[
    float, BeforeValidator(parse_duration), Field(ge=0), PlainSerializer(write_duration), _DURATION
]
AbsolutePath = Annotated[Path, BeforeValidator(_absolute), _looks_like(_PATH_PATTERN, "/some/path")]
Pool = Annotated[
    PoolId,
    BeforeValidator(_pool),
    PlainSerializer(str),
    _looks_like(_POOL_PATTERN, "/VAULT00/BILL"),
]
VaultKey = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_-]{0,30}$")]
TargetKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$")]
Window = Annotated[
    DailyWindow,
    BeforeValidator(_window),
    PlainSerializer(_text_of_window),
    _looks_like(f"^{_WINDOW}$", "22:00-06:00"),
]
Port = Annotated[int, Field(ge=1, le=65535)]


class Model(BaseModel):
    """The base of every section: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
