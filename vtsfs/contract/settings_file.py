"""Reading the settings file: the only I/O on the way from YAML to `Settings`."""

from pathlib import Path

from vtsfs.contract.errors import SettingsError
from vtsfs.contract.settings import Settings, behind, examine_settings, parse_settings


def read_settings(path: Path) -> Settings:
    """Read and check the file at *path*; raise `SettingsError`."""
    return parse_settings(read_text(path), str(path))


def settings_as_far_as_known(path: Path) -> tuple[Settings, tuple[str, ...]]:
    """Return what the file at *path* says, and what is wrong with it: enough to find the agent by.

    An agent that runs has the settings that it was given, so whoever only asks it must not be kept
    out by what is wrong with the file by now. Raises `SettingsError` if nothing can be made of it.
    """
    settings, problems = examine_settings(read_text(path), str(path))
    if settings is None:
        raise SettingsError("\n".join(problems), problems)
    return settings, problems


def read_text(path: Path) -> str:
    """Return the text of the settings file at *path*; raise `SettingsError`."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problems = behind(str(path), [f"cannot be read: {reason}; name another with --config"])
        raise SettingsError(problems[0], problems) from error
