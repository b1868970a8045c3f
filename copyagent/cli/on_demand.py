"""Commands that are imported when they are asked for, so that nobody waits for those of others."""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

import click


class OnDemand(MutableMapping[str, click.Command]):
    """The commands of a group by name; each is imported from its module at its first use.

    *where* names the module and the attribute of each, as ``package.module:attribute``. Whoever lists
    the names imports nothing; whoever looks at every command, as help does, imports all.
    """

    def __init__(self, where: Mapping[str, str]) -> None:
        self._where = dict(where)
        self._there: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._there:
            module, _, attribute = self._where[name].partition(":")
            found = getattr(import_module(module), attribute)
            if not isinstance(found, click.Command):
                raise TypeError(f"{self._where[name]} is no command")
            self._there[name] = found
        return self._there[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._there[name] = command

    def __delitem__(self, name: str) -> None:
        if name not in self._there and name not in self._where:
            raise KeyError(name)
        self._there.pop(name, None)
        self._where.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._where.keys() | self._there.keys()))

    def __len__(self) -> int:
        return len(self._where.keys() | self._there.keys())
