"""What the demonstration's host does, by its script ``host.yaml``."""

from pathlib import Path

import yaml

from tests.support.nonstop import NonStop

_SCRIPT: dict[str, str] = yaml.safe_load(
    Path(__file__).with_name("host.yaml").read_text(encoding="utf-8")
)


def begin_mount(host: NonStop, label: str, *, ring: bool, drive: str) -> int:
    """Have *host* ask for a tape and be told that it has it; return the request's number."""
    return int(_play(host, "mount", label=label, ring="with" if ring else "no", drive=drive)[0])


def end_mount(host: NonStop, label: str, drive: str) -> None:
    """Have *host* give the tape back."""
    _play(host, "dismount", label=label, drive=drive)


def _play(host: NonStop, part: str, **words: str) -> list[str]:
    lines = _SCRIPT[part].format(**words).splitlines()
    return [host.say(line) for line in lines]
