"""What is shown of the settings is what the file says, with where each value is from."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from copyagent.cli.commands import copyagent
from copyagent.cli.config import settings_shown, yaml_lines
from tests.support.documents import check_document
from vtsfs.contract.settings import parse_settings
from vtsfs.contract.settings_lines import lines_of
from vtsfs.contract.settings_schema import settings_schema

TREE = Path(__file__).parents[4]
VALID = sorted((TREE / "tests" / "settings" / "valid").glob("*.yaml"))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.name)
def test_what_is_printed_as_a_file_loads_to_the_same(path: Path) -> None:
    settings = parse_settings(path.read_text(), "here")
    printed = "\n".join(yaml_lines(list(settings_shown(settings)), "all of it"))
    again = parse_settings(printed, "printed")
    assert again.model_dump() == settings.model_dump()


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.name)
def test_every_key_of_the_file_is_found_on_its_line(path: Path) -> None:
    text = path.read_text()
    lines = text.splitlines()
    for key, line in lines_of(text).items():
        assert key[-1].isdigit() or key[-1] in lines[line - 1], key


def test_what_is_merged_in_stands_where_it_was_written() -> None:
    text = "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n"
    assert lines_of(text)["b", "x"] == 1
    assert lines_of(text)["b", "y"] == 4
    assert lines_of("a: [") == {}


def test_the_file_alone_or_with_defaults_each_with_its_origin(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text((TREE / "tests" / "settings" / "valid" / "smallest.yaml").read_text())
    shown = CliRunner().invoke(copyagent, ["--config", str(file), "config", "show"])
    assert f"# {file}, named by --config" in shown.output
    assert "retry.attempts" not in shown.output
    whole = CliRunner().invoke(copyagent, ["--config", str(file), "config", "show", "--effective"])
    assert [line for line in whole.output.splitlines() if line.startswith("retry.interval: 5m ")]
    assert "# default" in whole.output
    named = CliRunner().invoke(
        copyagent,
        ["config", "show", "--effective", "--json"],
        env={"VTS_AUTOCOPY_CONFIG": str(file)},
    )
    document = json.loads(named.output)
    check_document("config-show", document)
    assert document["named_by"] == "named by VTS_AUTOCOPY_CONFIG"
    (name,) = [each for each in document["settings"] if each["key"] == "system.name"]
    assert name["from"] == "file"
    assert "name" in file.read_text().splitlines()[name["line"] - 1]


def test_the_file_as_yaml_and_json_at_once_is_no_wish(tmp_path: Path) -> None:
    done = CliRunner().invoke(copyagent, ["config", "show", "--json", "--yaml"])
    assert "choose one" in str(done.exception)


def test_the_schema_is_printed() -> None:
    done = CliRunner().invoke(copyagent, ["config", "schema"])
    assert json.loads(done.output) == settings_schema()
    assert yaml.safe_load(done.output) == settings_schema()
