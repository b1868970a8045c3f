"""The agent's last known state, for when there is no agent to ask."""

import json
from typing import Any

from vtsfs.contract.settings import Settings


def last_known(settings: Settings) -> dict[str, Any] | None:
    """Return the status document that the agent wrote last, or None if there is none to read."""
    try:
        document = json.loads(settings.snapshot_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and "at" in document else None
