"""Asking back before something is done that cannot simply be taken back."""

import sys

import click


def confirmed(question: str, *, yes: bool) -> bool:
    """Tell whether to go on: *yes* says so beforehand, and a script is not asked at all."""
    if yes or not sys.stdin.isatty():
        return True
    return click.confirm(question, default=False)
