"""Durations and sizes as people write them in the settings file: ``5m``, ``4 GiB``."""

import re
from decimal import Decimal

_DURATION = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
#: What `parse_duration` and `parse_size` accept, for whoever checks a text without them.
DURATION_PATTERN = r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d)\s*$"
SIZE_PATTERN = r"^\s*\d+(\.\d+)?\s*(B|KiB|MiB|GiB|TiB)\s*$"

_NUMBER_AND_UNIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def parse_duration(text: object) -> float:
    """Read ``30s``, ``5m``, ``24h``, ``400d`` or ``250ms`` as seconds; raise ValueError."""
    return _parse(text, _DURATION, "a duration such as 30s, 5m or 24h")


def parse_size(text: object) -> int:
    """Read ``512 KiB``, ``4 GiB`` or ``100 B`` as bytes; raise ValueError."""
    return int(_parse(text, _SIZE, "a size such as 512 KiB or 4 GiB"))


def format_duration(seconds: float) -> str:
    """Write *seconds* shortly, for people: ``42s``, ``5m``, ``1h 05m``, ``3d 04h``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes}m {rest:02}s" if rest else f"{minutes}m"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02}h"


def format_size(size: float) -> str:
    """Write *size* bytes shortly, for people: ``512 B``, ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_count(count: int, one: str, many: str = "") -> str:
    """Write *count* with what is counted: ``1 copy``, ``2 copies``; *many* is *one* and an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def write_duration(seconds: float) -> str:
    """Write *seconds* as `parse_duration` reads them, exactly: ``90s``, ``5m``, ``250ms``."""
    for unit, factor in reversed(_DURATION.items()):
        if factor >= 1 and seconds and seconds % factor == 0:
            return f"{seconds / factor:.0f}{unit}"
    if seconds and round(seconds * 1000) / 1000 == seconds:
        return f"{round(seconds * 1000)}ms"
    return f"{Decimal(repr(seconds)):f}s" if seconds else "0s"


def write_size(size: int) -> str:
    """Write *size* bytes as `parse_size` reads them, exactly: ``20 MiB``, ``1000 B``."""
    unit, factor = next(
        ((unit, factor) for unit, factor in reversed(_SIZE.items()) if size % factor == 0)
    )
    return f"{size // factor} {unit}" if size else "0 B"


def _parse(text: object, units: dict[str, float] | dict[str, int], wanted: str) -> float:
    match = _NUMBER_AND_UNIT.fullmatch(text) if isinstance(text, str) else None
    factor = units.get(match[2]) if match else None
    if match is None or factor is None:
        raise ValueError(f"should be {wanted}, with its unit, not {text!r}")
    # In floating point 1900 ms are not 1.9 s.
    return float(Decimal(match[1]) * Decimal(str(factor)))
