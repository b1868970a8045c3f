"""The licence while no agent answers: its file is looked at, or changed, by whoever may."""

import os
from typing import Any

from copyagent import edition
from copyagent.cli.snapshot import last_known
from copyagent.control.licences import InstallLicence, RemoveLicence
from copyagent.core.dates import parse_iso
from copyagent.core.licence import Installed, Judged, day_of, describe, judge, next_step
from copyagent.core.licence_report import licence_document
from copyagent.core.report import SCHEMA
from copyagent.licence.place import (
    find_licence,
    licence_path,
    store_licence,
    verified,
    without_agent,
)
from vtsfs.contract.errors import RequestFailed
from vtsfs.contract.settings import Settings
from vtsfs.runtime.clock import wall_ns
from vtsfs.runtime.late_acts import who


def look(settings: Settings) -> dict[str, Any]:
    """Return the document of ``licence show`` by what the file says."""
    found = find_licence(licence_path(settings), edition.LICENCE_ISSUERS)
    judged = _judged(settings, found)
    return {"schema": SCHEMA} | licence_document(found, judged, settings.system.name, wall_ns())


def install_offline(settings: Settings, request: InstallLicence) -> list[str]:
    """Put the licence in its place; raises what the agent would, and what `without_agent` does."""
    found = verified(request.text, edition.LICENCE_ISSUERS, _user(), request.because, wall_ns())
    judged = _judged(settings, found)
    if not judged.standing.copies:
        advice = next_step(judged.standing, settings.system.name)
        raise RequestFailed(f"not installed: {judged.words}. {advice}")
    with without_agent(settings):
        store_licence(licence_path(settings), request.text, found, settings.service)
    return [f"licence installed: {describe(found)}", judged.words]


def remove_offline(settings: Settings, request: RemoveLicence) -> list[str]:
    """Take the licence away; raises what the agent would, and what `without_agent` does."""
    path = licence_path(settings)
    with without_agent(settings):
        if not find_licence(path, edition.LICENCE_ISSUERS).digest:
            raise RequestFailed("nothing to remove: no licence is installed")
        gone = Installed(user=_user(), because=request.because, at_ns=wall_ns())
        store_licence(path, "", gone, settings.service)
    return ["licence removed: none", _judged(settings, gone).words]


def _judged(settings: Settings, found: Installed) -> Judged:
    """Judge by the clock, or by the agent's last word on the day where that is later."""
    known = (last_known(settings) or {}).get("licence") or {}
    last_ns = parse_iso(f"{known.get('judged_on', '')}T00:00:00Z")
    day = day_of(max(wall_ns(), last_ns))
    return judge(found, settings.system.name, day, required=edition.LICENCE_REQUIRED)


def _user() -> str:
    return who(os.environ)
