"""Where a secret is read from, with and without a service manager that hands it over."""

from pathlib import Path

import pytest

from vtsfs.contract.credentials import DIRECTORY, credential_of, is_handed_over, place_of

_HANDED = {"CREDENTIALS_DIRECTORY": "/run/credentials/copyagent.service"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (DIRECTORY / "id_ed25519", "keys_id_ed25519"),
        (DIRECTORY / "hosts/dev2", "keys_hosts_dev2"),
        (DIRECTORY / "with.dot", "keys_with.dot"),
    ],
)
def test_a_file_of_the_directory_is_handed_over_under_the_name_that_systemd_gives_it(
    path: Path, name: str
) -> None:
    assert credential_of(path, _HANDED) == Path("/run/credentials/copyagent.service") / name


@pytest.mark.parametrize(
    "path",
    [
        DIRECTORY,
        Path("/etc/vts-autocopy/known_hosts"),
        Path("/etc/vts-autocopy/keys2/id_ed25519"),
        Path("/root/.ssh/id_ed25519"),
        DIRECTORY / "../id_ed25519",
    ],
)
def test_no_other_file_is(path: Path) -> None:
    assert credential_of(path, _HANDED) is None
    assert not is_handed_over(path)
    assert place_of(path, _HANDED) == path


@pytest.mark.parametrize("environ", [{}, {"CREDENTIALS_DIRECTORY": ""}])
def test_without_a_service_manager_the_file_itself_is_read(environ: dict[str, str]) -> None:
    assert credential_of(DIRECTORY / "key", environ) is None
    assert place_of(DIRECTORY / "key", environ) == DIRECTORY / "key"


@pytest.fixture
def handed(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a service that is handed the files of tmp_path/keys."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "given").mkdir()
    return {"CREDENTIALS_DIRECTORY": str(tmp_path / "given")}


def test_what_was_handed_over_is_read_and_not_the_file(
    tmp_path: Path, handed: dict[str, str]
) -> None:
    (tmp_path / "keys/dev2").write_text("same")
    (tmp_path / "given/keys_dev2").write_text("same")
    assert (
        place_of(tmp_path / "keys/dev2", handed, tmp_path / "keys") == tmp_path / "given/keys_dev2"
    )


def test_a_file_that_cannot_be_read_here_is_handed_over_all_the_same(
    tmp_path: Path, handed: dict[str, str]
) -> None:
    (tmp_path / "given/keys_dev2").write_text("handed")
    assert (
        place_of(tmp_path / "keys/dev2", handed, tmp_path / "keys") == tmp_path / "given/keys_dev2"
    )


def test_a_file_that_was_changed_after_the_start_counts(
    tmp_path: Path, handed: dict[str, str]
) -> None:
    (tmp_path / "keys/dev2").write_text("new")
    (tmp_path / "given/keys_dev2").write_text("old")
    assert place_of(tmp_path / "keys/dev2", handed, tmp_path / "keys") == tmp_path / "keys/dev2"


def test_a_file_that_was_made_after_the_start_counts(
    tmp_path: Path, handed: dict[str, str]
) -> None:
    (tmp_path / "keys/dev2").write_text("new")
    assert place_of(tmp_path / "keys/dev2", handed, tmp_path / "keys") == tmp_path / "keys/dev2"
