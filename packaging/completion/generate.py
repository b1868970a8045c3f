"""Write the bash completion of a command: ``generate.py vtsfs`` or ``generate.py copyagent``.

All words are in the file, since a completion that starts the program takes half a second for each
key. What follows an option that takes a file is completed as a file, a choice by its words.
"""

import sys
from collections.abc import Iterator

import click

_BODY = """\
_{name}() {{
    local word place='' skip='' index values='' words=''
    COMPREPLY=()
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${{COMP_WORDS[index]}}
        if [[ -n $skip ]]; then
            skip=''
        elif [[ $word == -* ]]; then
            _{name}_values "$place" "$word" && skip=yes
        elif _{name}_words "$place/$word"; then
            place+=/$word
        fi
    done
    word=${{COMP_WORDS[COMP_CWORD]}}
    if [[ -n $skip ]]; then
        _{name}_values "$place" "${{COMP_WORDS[COMP_CWORD - 1]}}"
        if [[ $values == FILE ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        else
            mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word")
        fi
        return 0
    fi
    _{name}_words "$place"
    [[ $word == -* ]] || words=${{words%%|*}}
    mapfile -t COMPREPLY < <(compgen -W "${{words//|/ }}" -- "$word")
}}
complete -o default -F _{name} {name}
"""


def completion(name: str, command: click.Command) -> str:
    """Write the completion of *command*, which is installed as *name*."""
    commands = list(_commands(command, ""))
    return "\n".join(
        [
            f"# bash completion of {name}(8)",
            "",
            f"_{name}_words() {{",
            "    case $1 in",
            *(f"    {place or quoted('')}) words={quoted(_words(each))} ;;" for place, each in commands),
            "    *) return 1 ;;",
            "    esac",
            "}",
            "",
            "# Fails for an option that takes no value.",
            f"_{name}_values() {{",
            "    case $1,$2 in",
            *(f"    {place},{option}) values={quoted(words)} ;;" for place, each in commands
              for option, words in _values(each)),
            "    *) return 1 ;;",
            "    esac",
            "}",
            "",
            _BODY.format(name=name).rstrip("\n"),
            "",
        ]
    )  # fmt: skip


def quoted(text: str) -> str:
    """Write *text* as one word of a shell."""
    return f"'{text}'"


def _commands(command: click.Command, place: str) -> Iterator[tuple[str, click.Command]]:
    yield place, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _commands(found, f"{place}/{name}")


def _options(command: click.Command) -> list[click.Option]:
    parameters = command.get_params(click.Context(command))
    return [each for each in parameters if isinstance(each, click.Option) and not each.hidden]


def _words(command: click.Command) -> str:
    """Return names of commands (or the words of an argument), a bar, and the options."""
    first: list[str] = []
    if isinstance(command, click.Group):
        first = [path[1:] for path, _ in _commands(command, "") if path.count("/") == 1]
    else:
        for parameter in command.params:
            if isinstance(parameter, click.Argument) and isinstance(parameter.type, click.Choice):
                first += [str(choice) for choice in parameter.type.choices]
    options = sorted(
        {name for each in _options(command) for name in (*each.opts, *each.secondary_opts)}
    )
    return f"{' '.join(first)}|{' '.join(options)}"


def _values(command: click.Command) -> Iterator[tuple[str, str]]:
    for option in _options(command):
        if option.is_flag or option.count:
            continue
        words = ""
        if isinstance(option.type, click.Choice):
            words = " ".join(map(str, option.type.choices))
        elif isinstance(option.type, (click.Path, click.File)):
            words = "FILE"
        for name in option.opts:
            yield name, words


def main() -> None:
    """Print the completion of the command that is named on the command line."""
    if sys.argv[1:] == ["vtsfs"]:
        from vtsfs.cli import cli as command
    elif sys.argv[1:] == ["copyagent"]:
        from copyagent.cli.commands import copyagent as command
    else:
        sys.exit("generate: say vtsfs or copyagent")
    sys.stdout.write(completion(sys.argv[1], command))


if __name__ == "__main__":
    main()
