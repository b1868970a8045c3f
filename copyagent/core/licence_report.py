"""How it stands with the licence, as plain data: part of ``copyagent status --json``, and a document."""

from typing import Any

from copyagent.core.dates import iso
from copyagent.core.licence import Installed, Judged, day_of, next_step

Document = dict[str, Any]


def licence_document(found: Installed, judged: Judged, system: str, at_ns: int) -> Document:
    """Return what ``copyagent licence show --json`` prints, without the version of the document.

    *at_ns* is what the clock says, *judged* may be by a later day.
    """
    terms = found.terms
    return {
        "standing": judged.standing.value,
        "copying": judged.standing.copies,
        "why": judged.words,
        "next": next_step(judged.standing, system),
        "judged_on": judged.day.isoformat(),
        "clock_behind": day_of(at_ns) < judged.day,
        "days_left": judged.days_left,
        "installed": iso(found.at_ns) if found.digest else None,
        "installed_by": found.user or None if found.digest else None,
        "fault": found.fault or None,
        "feature": terms.feature if terms else None,
        "system": terms.system if terms else None,
        "customer": terms.customer if terms else None,
        "serial": terms.serial if terms else None,
        "issued": terms.issued.isoformat() if terms else None,
        "expires": terms.expires.isoformat() if terms else None,
        "grace_ends": terms.grace_ends.isoformat() if terms else None,
    }
