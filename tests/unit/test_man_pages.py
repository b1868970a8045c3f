"""The manual says what the programs do: the pages are compared with the code, in both directions."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import click
import pytest
import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from copyagent.cli.commands import copyagent
from copyagent.core.command_table import EFFECTS
from copyagent.core.settings_keys import means_of
from copyagent.core.shown_states import REASONS, Word
from copyagent.core.tape import State
from copyagent.core.witness import Verdict
from copyagent.ems.original_config import PARAMETERS
from tests.support import command_rows, settings_rows
from vtsfs.cli import cli as vtsfs
from vtsfs.contract.messages import CATALOGUE, Message
from vtsfs.contract.settings import DEFAULT_PATH, ENVIRONMENT, Settings, parse_settings
from vtsfs.runtime.exits import INTERRUPTED, PIPE_CLOSED, exit_codes

MAN = Path(__file__).parents[2] / "man"
PAGES = sorted(MAN.iterdir())
PROGRAMS: dict[str, click.Group] = {"copyagent": copyagent, "vtsfs": vtsfs}


def commands(group: click.Group, prefix: str = "") -> dict[str, click.Command]:
    """Return every command by its whole name, such as ``ems status``."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= commands(command, f"{prefix}{name} ")
        else:
            found[f"{prefix}{name}"] = command
    return found


COMMANDS = {program: commands(group) for program, group in PROGRAMS.items()}
#: Words that the manual has to explain (the design's vocabulary).
WORDS = [
    "vault",
    "pool",
    "tape",
    "virtual tape",
    "label",
    "with ring",
    "no ring",
    "mount request",
    "host mount",
    "session",
    "companion",
    "signal",
    "host event",
    "link",
    "distributor",
    "gap",
    "generation",
    "copy",
    "target",
    "attempt",
    "hold",
    "stage",
    "publish",
    "sweep",
    "fence",
]


def source(page: str) -> str:
    return (MAN / page).read_text(encoding="ascii")


def section(page: str, title: str) -> str:
    """Return the source of one section, without its title."""
    found = re.search(rf"^\.Sh {title}\n(.*?)(?=^\.Sh |\Z)", source(page), re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no section {title}"
    return found[1]


def items(text: str, macro: str) -> dict[str, str]:
    """Return the list items that begin with *macro*: the rest of that line, and the text below."""
    parts = re.split(rf"^\.It {macro} (.*)\n", text, flags=re.MULTILINE)[1:]
    return {
        title: re.split(r"^\.(?:It|El|Ss)\b", body, flags=re.MULTILINE)[0]
        for title, body in zip(parts[::2], parts[1::2], strict=True)
    }


def options(text: str) -> set[str]:
    """Return the long options that *text* mentions."""
    return {f"--{name}" for name in re.findall(r"\bFl -([a-z-]+)", text)}


# ---- every page ----------------------------------------------------------------------------------


def test_the_pages() -> None:
    assert [page.name for page in PAGES] == [
        "copyagent.8",
        "vts-autocopy.7",
        "vts-autocopy.yaml.5",
        "vtsfs.8",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_has_nothing_to_say(page: Path) -> None:
    mandoc = shutil.which("mandoc")
    assert mandoc, "mandoc is a part of the set-up: run make setup"
    lint = [mandoc, "-Tlint", "-Wwarning", "-Ios=vts-autocopy", str(page)]
    ended = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.returncode) == ("", 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_reference_to_a_page_of_ours_has_one(page: Path) -> None:
    ours = {other.name for other in PAGES}
    named = {
        f"{n}.{s}" for n, s in re.findall(r"^\.Xr (\S+) (\d)", source(page.name), re.MULTILINE)
    }
    assert {name for name in named if name.startswith(("vts", "copyagent"))} <= ours


# ---- commands and options ------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_is_documented_and_exists(program: str) -> None:
    titles = items(section(f"{program}.8", "COMMANDS"), "Ic")
    assert {re.split(r" (?:O[op]|Fl|Ar) ", title)[0] for title in titles} == set(COMMANDS[program])
    shown = re.findall(r"^\.Cm (.+)$", section(f"{program}.8", "SYNOPSIS"), re.MULTILINE)
    assert set(shown) == set(COMMANDS[program])


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_options_before_the_command(program: str) -> None:
    group = PROGRAMS[program]
    context = click.Context(group, info_name=program)
    known = {name for p in group.get_params(context) for name in p.opts if name.startswith("--")}
    assert options(section(f"{program}.8", "DESCRIPTION")) == known


@pytest.mark.parametrize(
    ("program", "name"), [(p, name) for p, commands in COMMANDS.items() for name in commands]
)
def test_every_option_and_argument_of_a_command(program: str, name: str) -> None:
    listed = items(section(f"{program}.8", "COMMANDS"), "Ic")
    (title,) = [title for title in listed if f"{title} ".startswith(f"{name} ")]
    params = COMMANDS[program][name].params
    asked = [p for p in params if isinstance(p, click.Option) and not p.hidden]
    wanted = {name for p in asked for name in (p.opts[0], *p.secondary_opts)}
    assert options(title) == wanted
    assert options(listed[title]) <= wanted | {"--config"}
    for argument in params:
        if isinstance(argument, click.Argument):
            for word in (argument.metavar or str(argument.name).upper()).strip("[]").split("|"):
                assert re.search(rf"\b{word}\b", title), word
    for_all = options(section(f"{program}.8", "COMMANDS").split("\n.Bl ")[0])
    for flag in wanted - for_all:
        assert re.search(rf"^\.Fl -?{flag[1:]}\b", listed[title], re.MULTILINE) or (
            flag == "--because"
        ), f"{flag} is named and not explained"


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_synopsis_has_every_option(program: str) -> None:
    params = [p for command in COMMANDS[program].values() for p in command.params]
    asked = [p for p in params if isinstance(p, click.Option) and not p.hidden]
    wanted = {name for p in asked for name in (p.opts[0], *p.secondary_opts)}
    assert options(section(f"{program}.8", "SYNOPSIS")) == wanted | {"--config"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_where_the_settings_are(program: str) -> None:
    assert str(DEFAULT_PATH) in section(f"{program}.8", "FILES")
    assert ENVIRONMENT in section(f"{program}.8", "ENVIRONMENT")


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_exit_status(program: str) -> None:
    table = section(f"{program}.8", "EXIT STATUS")
    documented = [int(code) for code in re.findall(r"^\.It (\d+)$", table, re.MULTILINE)]
    assert documented == sorted({0, INTERRUPTED, PIPE_CLOSED, *exit_codes()})


def test_both_programs_have_one_table_of_exit_statuses() -> None:
    assert section("vtsfs.8", "EXIT STATUS") == section("copyagent.8", "EXIT STATUS")


# ---- settings ------------------------------------------------------------------------------------

PLACEHOLDERS = {
    "vaults": "VAULT",
    "targets": "TARGET",
    "ems.hosts": "HOST",
    "ems.logins": "TYPE",
    "autocopy": "N",
    "encryption.key_servers": "NAME",
}
SETTINGS_PAGE = "vts-autocopy.yaml.5"


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Walk the schema: every key that takes a value, with dots between and placeholders within."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        inner, below = inner_model(field.annotation), key
        if get_origin(field.annotation) in {dict, tuple} and inner is not None:
            below = f"{key}.{PLACEHOLDERS[key]}"
        if inner is None:
            yield key, field
        else:
            yield from leaves(inner, f"{below}.")


def inner_model(annotation: Any) -> type[BaseModel] | None:
    """Return the model in a section, or in a mapping or list of sections."""
    candidates = [annotation, *get_args(annotation)]
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


LEAVES = dict(leaves(Settings))


def documented_settings() -> dict[str, str]:
    return items(section(SETTINGS_PAGE, "SETTINGS"), "Va")


def validated(field: FieldInfo, text: str) -> Any:
    kind: Any = Annotated[(field.annotation, field)]
    return TypeAdapter(kind).validate_python(yaml.safe_load(text))


def test_every_key_is_documented_and_exists() -> None:
    assert list(documented_settings()) == list(LEAVES)


@pytest.mark.parametrize("key", LEAVES)
def test_the_default_of_a_key(key: str) -> None:
    text, field = documented_settings()[key], LEAVES[key]
    default = re.search(r"^Default:\n\.Li \"?(.*?)\"?$", text, re.MULTILINE)
    if field.is_required():
        assert "\nRequired.\n" in text
    elif field.default is None:
        assert "\nOptional.\n" in text
    else:
        assert default, f"{key} should be documented with its default"
        wanted = field.get_default(call_default_factory=True, validated_data={})
        assert validated(field, default[1]) == wanted


@pytest.mark.parametrize("key", LEAVES)
def test_the_example_of_a_key_is_valid(key: str) -> None:
    (example,) = re.findall(r"^\.Dl (.*)$", documented_settings()[key], re.MULTILINE)
    name, _, value = example.partition(": ")
    assert name == key.rsplit(".", maxsplit=1)[-1]
    validated(LEAVES[key], value)


@pytest.mark.parametrize("key", LEAVES)
def test_every_choice_of_a_key(key: str) -> None:
    choices = [c for c in get_args(LEAVES[key].annotation) if isinstance(c, str)]
    text = documented_settings()[key]
    assert [choice for choice in choices if choice not in text] == []


def test_every_key_has_its_time_of_taking_effect() -> None:
    for key in LEAVES:
        assert means_of(tuple(key.split("."))).words in settings_rows.MEANINGS
    assert settings_rows.written_into(source("copyagent.8")) == source("copyagent.8")


def test_the_example_is_a_settings_file() -> None:
    (example,) = re.findall(
        r"^\.Bd -literal.*?\n(.*?)^\.Ed",
        section(SETTINGS_PAGE, "EXAMPLES"),
        re.DOTALL | re.MULTILINE,
    )
    assert parse_settings(example, SETTINGS_PAGE).autocopy


def test_every_parameter_of_the_original_is_in_the_table() -> None:
    table = items(section(SETTINGS_PAGE, "THE ORIGINAL'S PARAMETERS"), "Li")
    assert list(table) == [parameter.name for parameter in PARAMETERS]
    known = {re.sub(r"\.TYPE\b", "", key) for key in LEAVES} | {"ems.hosts"}
    for parameter in PARAMETERS:
        text = " ".join(table[parameter.name].split())
        shown = re.match(r"\.Va (\S+)", text)
        assert (shown[1] if shown else "") == parameter.ours
        assert parameter.ours in known or (not parameter.ours and parameter.because)
        assert parameter.because in text


# ---- concepts, states, messages ------------------------------------------------------------------

CONCEPTS = "vts-autocopy.7"


def test_every_word_is_explained() -> None:
    titles = items(section(CONCEPTS, "WORDS"), "Em")
    explained = [word for title in titles for word in title.replace(" , ", ",").split(",")]
    assert explained == WORDS


def test_every_verdict_is_explained() -> None:
    assert set(items(section(CONCEPTS, "VERDICTS"), "Sy")) == {v.value for v in Verdict}


def test_every_state_is_explained() -> None:
    kinds = {state.__dataclass_fields__["kind"].default for state in get_args(State)}
    explained = items(section(CONCEPTS, "STATES"), "Sy")
    assert kinds <= set(explained)
    assert set(explained) == {word.value for word in Word}
    for word, reasons in REASONS.items():
        if word is Word.HELD:
            text = " ".join(explained[word].split())
            meant = {"held by settings": "a setting that says hold"}
            assert [r for r in reasons if meant.get(r, r) not in text] == []


def test_the_manual_has_the_table_of_commands() -> None:
    assert command_rows.as_page(EFFECTS) in source(CONCEPTS)


def as_documented(message: Message) -> str:
    text = re.sub(r"\{(\w+)\}", r"<\1>", f"{message.text}\n.Pp\n{message.next_step}")
    return " ".join(text.split())


def test_no_message_is_missing_and_none_is_made_up() -> None:
    documented = items(section(CONCEPTS, "MESSAGES"), "Li")
    assert list(documented) == [
        str(number) for number in sorted(CATALOGUE, key=lambda number: number % 100_000)
    ]


@pytest.mark.parametrize("number", sorted(CATALOGUE))
def test_a_message_is_documented_word_for_word(number: int) -> None:
    documented = items(section(CONCEPTS, "MESSAGES"), "Li")[str(number)]
    assert " ".join(documented.split()) == as_documented(CATALOGUE[number])
