"""The JSON Schema of the settings: what the loader takes fits it, what is wrong in shape does not."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from vtsfs.contract.settings import Settings, read_yaml
from vtsfs.contract.settings_schema import models, settings_schema

TREE = Path(__file__).parents[4]
SETTINGS = TREE / "tests" / "settings"
VALID = [
    *sorted((SETTINGS / "valid").glob("*.yaml")),
    *(TREE / "packaging" / "examples").glob("vts*"),
]
COMMITTED = TREE / "packaging" / "vts-autocopy.schema.json"

#: What no schema can say: keys that are needed together, bytes that overlap, what an address is.
BEYOND_A_SCHEMA = {
    "encryption-magic.yaml",
    "encryption-overlap.yaml",
    "host-without-password.yaml",
    "metrics-open.yaml",
}

SCHEMA = Draft202012Validator(settings_schema())


def wrong_in_shape() -> list[Path]:
    """Return the invalid files that a model refuses, not what stands between the sections."""
    found = []
    for path in sorted((SETTINGS / "invalid").glob("*.yaml")):
        try:
            data: Any = read_yaml(path.read_text())
            Settings.model_validate(data)
        except ValidationError:
            found.append(path)
        except (yaml.YAMLError, ValueError):
            pass
    return found


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(settings_schema())


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.name)
def test_what_the_loader_takes_fits(path: Path) -> None:
    assert not [e.message for e in SCHEMA.iter_errors(read_yaml(path.read_text()))]


@pytest.mark.parametrize("path", wrong_in_shape(), ids=lambda path: path.name)
def test_what_is_wrong_in_shape_does_not_fit(path: Path) -> None:
    fits = SCHEMA.is_valid(read_yaml(path.read_text()))
    assert fits == (path.name in BEYOND_A_SCHEMA)


def test_every_section_is_described_and_every_default_fits() -> None:
    schema = settings_schema()
    for model in models(Settings):
        section = schema if model is Settings else schema["$defs"][model.__name__]
        assert section["description"], model
        for name, part in section["properties"].items():
            if part.get("default") is not None:
                checked = Draft202012Validator({"$defs": schema["$defs"], **part})
                assert checked.is_valid(part["default"]), (model, name)


def test_the_committed_copy_is_what_the_command_prints() -> None:
    """After a change of the models: copyagent config schema > packaging/vts-autocopy.schema.json."""
    assert json.loads(COMMITTED.read_text()) == settings_schema()
