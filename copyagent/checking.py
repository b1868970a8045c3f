"""Whether a settings file can be taken: asked by ``copyagent check``, at the start, and by a reload.

All three ask here, so none of them knows a problem that another does not. What is only away for the
moment (a vault's storage that is not mounted yet) is told apart: nobody should be without an agent
for that.
"""

from dataclasses import dataclass
from pathlib import Path

from vtsfs.contract.errors import SettingsError
from vtsfs.contract.settings import Settings, behind, examine_settings
from vtsfs.contract.settings_algorithms import Algorithms
from vtsfs.contract.settings_check import check_private_files, check_storage, check_users
from vtsfs.contract.settings_file import read_text

#: What is said of settings that name no vault.
NOTHING_YET = (
    "none is configured yet, so nothing is attached and nothing is copied; "
    "name them in the settings (or: copyagent init), then: copyagent check"
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a look at the file: *problems* keep it from being taken, *away* does not.

    *settings* are there also with problems, as far as they could be understood.
    """

    path: Path
    settings: Settings | None
    problems: tuple[str, ...] = ()
    away: tuple[str, ...] = ()

    def sound(self) -> Settings:
        """Return the settings; raise `SettingsError` with every problem if there is any.

        Settings without a vault are in order, and nothing to run by: so a package brings them.
        """
        if self.settings is None or self.problems:
            raise SettingsError("\n".join(self.problems), self.problems)
        if not self.settings.vaults:
            problems = behind(str(self.path), [f"vaults: {NOTHING_YET}"])
            raise SettingsError("\n".join(problems), problems)
        return self.settings


def look_at(path: Path) -> Checked:
    """Look at the settings file *path* and at the files it names; blocks, and changes nothing."""
    try:
        text = read_text(path)
    except SettingsError as error:
        return Checked(path, None, error.problems)
    settings, problems = examine_settings(text, str(path))
    if settings is None:
        return Checked(path, None, problems)
    found = [*check_users(settings), *check_private_files(settings), *unknown_algorithms(settings)]
    return Checked(
        path,
        settings,
        (*problems, *behind(str(path), found)),
        behind(str(path), list(check_storage(settings))),
    )


def unknown_algorithms(settings: Settings) -> tuple[str, ...]:
    """Return the problem of each target whose settings name an algorithm that does not exist."""
    problems = []
    for name, target in settings.targets.items():
        if target.algorithms == Algorithms():
            continue
        # Not for everybody: the SSH library takes most of a second to import.
        from copyagent.ssh.algorithms import AlgorithmUnknown, Offer

        try:
            Offer.of(target.algorithms, aes=True)
        except AlgorithmUnknown as error:
            problems.append(str(error).replace("targets.*.", f"targets.{name}.", 1))
    return tuple(problems)
