"""The licence while no agent answers: its file is looked at, or changed, by whoever may."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class OfflineLicence:
    """The licence of the system of *settings*; *required* and *issuers* are this build's."""

    settings: Settings
    required: bool = edition.LICENCE_REQUIRED
    issuers: Sequence[str] = edition.LICENCE_ISSUERS

    def look(self) -> dict[str, Any]:
        """Return the document of ``licence show`` by what the file says."""
        found = find_licence(licence_path(self.settings), self.issuers)
        judged, name = self._judged(found), self.settings.system.name
        return {"schema": SCHEMA} | licence_document(found, judged, name, wall_ns())

    def install(self, request: InstallLicence) -> list[str]:
        """Put the licence in its place; raises what the agent would, and what `without_agent` does."""
        user = who(os.environ)
        found = verified(request.text, self.issuers, user, request.because, wall_ns())
        judged = self._judged(found)
        if not judged.standing.copies:
            advice = next_step(judged.standing, self.settings.system.name)
            raise RequestFailed(f"not installed: {judged.words}. {advice}")
        self._put(request.text, found)
        return [f"licence installed: {describe(found)}", judged.words]

    def remove(self, request: RemoveLicence) -> list[str]:
        """Take the licence away; raises what the agent would, and what `without_agent` does."""
        if not find_licence(licence_path(self.settings), self.issuers).digest:
            raise RequestFailed("nothing to remove: no licence is installed")
        gone = Installed(user=who(os.environ), because=request.because, at_ns=wall_ns())
        self._put("", gone)
        return ["licence removed: none", self._judged(gone).words]

    def _put(self, text: str, found: Installed) -> None:
        with without_agent(self.settings):
            store_licence(licence_path(self.settings), text, found, self.settings.service)

    def _judged(self, found: Installed) -> Judged:
        """Judge by the clock, or by the agent's last word on the day where that is later."""
        known = (last_known(self.settings) or {}).get("licence") or {}
        last_ns = parse_iso(f"{known.get('judged_on', '')}T00:00:00Z")
        day = day_of(max(wall_ns(), last_ns))
        return judge(found, self.settings.system.name, day, required=self.required)
