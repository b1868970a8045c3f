"""When a changed setting is in force, as the manual shows it.

``python -m tests.support.settings_rows`` writes it into ``man/copyagent.8``, between the markers.
"""

from pathlib import Path

from copyagent.core.settings_keys import KEYS

PAGE = Path(__file__).parents[2] / "man" / "copyagent.8"
BEGIN, END = '.\\" begin of the table of settings', '.\\" end of the table of settings'

#: By the words of the code, in the order of the page: what the manual says.
MEANINGS = {
    "at once": "in force at once; copies that run go on.",
    "at once, copies stop": (
        "in force at once; running copies of that target, or of that pool to it, are stopped before "
        "they publish, and begin again."
    ),
    "at once, and attach": (
        "as before, and the overlay goes on with what it knew until the vault is attached again."
    ),
    "attach": "in force for a vault when it is attached again: the agent has no use for it.",
    "restart, and attach": (
        "not taken over: in force for the agent when it is started again, and for a vault when it is "
        "attached again."
    ),
}


def as_page() -> str:
    """Write the table as the manual has it."""
    lines = [BEGIN, ".Bl -tag -width Ds"]
    for words, meaning in MEANINGS.items():
        keys = [key.replace("*", "NAME") for key, means in KEYS.items() if means.words == words]
        lines += [f".It Em {words}", f"{meaning[:1].upper()}{meaning[1:]}", ".Bd -ragged -compact"]
        lines += [f".Va {key} ," for key in keys[:-1]]
        lines += [f".Va {keys[-1]} .", ".Ed"]
    return "\n".join([*lines, ".El", END, ""])


def written_into(page: str) -> str:
    """Return *page* with the table as it is."""
    before, _, rest = page.partition(f"{BEGIN}\n")
    _, _, after = rest.partition(f"{END}\n")
    return f"{before}{as_page()}{after}"


if __name__ == "__main__":
    PAGE.write_text(written_into(PAGE.read_text(encoding="ascii")), encoding="ascii")
