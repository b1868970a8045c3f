"""Which host an operator means, also with a slip of the pen."""

from pathlib import Path

import pytest

from copyagent.cli.hosts import host_named
from tests.support.example_settings import EXAMPLE, example_settings
from vtsfs.contract.errors import UsageError
from vtsfs.contract.settings import Settings


def settings(root: Path, *names: str) -> Settings:
    host = "{address: h, user: A.B, password_file: ROOT/password}"
    hosts = ", ".join(f"{name}: {host}" for name in names)
    return example_settings(
        root, EXAMPLE.replace("ems: {required: false}", f"ems: {{hosts: {{{hosts}}}}}")
    )


@pytest.mark.parametrize("name", ["DEV2", "dev2", "Dev2"])
def test_a_host_is_named_in_any_case(tmp_path: Path, name: str) -> None:
    assert host_named(settings(tmp_path, "DEV2", "PROD"), name) == "DEV2"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("dev3", "there is no host 'dev3', but DEV2, PROD; did you mean DEV2?"),
        ("PORD", "there is no host 'PORD', but DEV2, PROD; did you mean PROD?"),
        ("X", "there is no host 'X', but DEV2, PROD; ems.hosts of the settings names them"),
    ],
)
def test_one_that_is_not_there(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        host_named(settings(tmp_path, "DEV2", "PROD"), name)
    assert str(raised.value) == told


def test_without_any(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names none"):
        host_named(example_settings(tmp_path), "DEV2")
