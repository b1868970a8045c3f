"""Companions: files beside a tape that travel with it, such as ``X00001.meta`` beside ``X00001``.

They are recognised by patterns of the shell (fnmatch), in which ``{label}`` stands for the label of
the tape they belong to. What is a tape by its own name is never a companion.
"""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

#: Stands for the tape's label.
LABEL = "{label}"


def fault_of(pattern: str) -> str:
    """Say what is wrong with *pattern*, '' if nothing is."""
    if pattern.count(LABEL) != 1:
        return f"should have {LABEL} in it once, as {LABEL}.* has"
    if "/" in pattern or "\0" in pattern:
        return "should be a name in the tape's own directory, without a slash"
    before, _, after = pattern.partition(LABEL)
    if fnmatchcase("", before) and fnmatchcase("", after):
        return "also stands for the tape itself; a companion has a longer name"
    return ""


def label_of(name: str, patterns: Iterable[str], is_label: Callable[[str], bool]) -> str | None:
    """Return the label of the tape whose companion *name* is, None if it is nobody's.

    *is_label* tells what can be a label; where several fit, it is the longest.
    """
    if is_label(name):
        return None
    fitting = {label for pattern in patterns for label in _labels(name, pattern) if is_label(label)}
    return max(fitting, key=len, default=None)


def _labels(name: str, pattern: str) -> Iterable[str]:
    before, _, after = pattern.partition(LABEL)
    starts = range(len(name)) if before else range(1)
    for start in starts:
        if fnmatchcase(name[:start], before):
            for end in range(start + 1, len(name) + 1):
                if fnmatchcase(name[end:], after):
                    yield name[start:end]
