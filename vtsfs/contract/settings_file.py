"""Reading the settings file: the only I/O on the way from YAML to `Settings`."""

from pathlib import Path

from vtsfs.contract.errors import SettingsError
from vtsfs.contract.settings import Settings, behind, parse_settings


def read_settings(path: Path) -> Settings:
    """Read and check the file at *path*; raise `SettingsError`."""
    return parse_settings(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Return the text of the settings file at *path*; raise `SettingsError`."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problems = behind(str(path), [f"cannot be read: {reason}; name another with --config"])
        raise SettingsError(problems[0], problems) from error
