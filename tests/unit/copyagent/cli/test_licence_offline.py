"""What the commands do by themselves while no agent answers, in a build that requires a licence."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from copyagent.cli.licence_offline import OfflineLicence
from copyagent.control.licences import InstallLicence, RemoveLicence
from copyagent.core.licence import Terms, day_of
from copyagent.licence.place import find_licence, licence_path, lock_path
from tests.support.example_settings import example_settings
from tests.support.licences import TERMS, Issuer
from vtsfs.contract.errors import AgentBusy, LicenceInvalid, RequestFailed
from vtsfs.runtime.clock import wall_ns
from vtsfs.runtime.files import lock_file

ISSUER = Issuer()
TODAY = day_of(wall_ns())
GOOD = replace(TERMS, issued=TODAY, expires=TODAY + timedelta(100))


@pytest.fixture
def offline(tmp_path: Path) -> OfflineLicence:
    settings = example_settings(tmp_path)
    settings.agent_directory().mkdir(parents=True)
    return OfflineLicence(settings, required=True, issuers=[ISSUER.public])


def install(offline: OfflineLicence, terms: Terms = GOOD) -> list[str]:
    return offline.install(InstallLicence(ISSUER.issue(terms), "at night"))


def test_there_is_none_then_there_is_one_then_there_is_none(offline: OfflineLicence) -> None:
    assert offline.look()["standing"] == "missing"
    assert install(offline)[0].startswith("licence installed: serial 2026-0017 for TAPESRV1")
    shown = offline.look()
    assert (shown["schema"], shown["standing"], shown["days_left"]) == (1, "valid", 100)
    assert offline.remove(RemoveLicence("sold")) == [
        "licence removed: none",
        "no licence is installed",
    ]
    found = find_licence(licence_path(offline.settings), offline.issuers)
    assert (found.digest, found.because) == ("", "sold")
    assert found.user
    with pytest.raises(RequestFailed, match="nothing to remove"):
        offline.remove(RemoveLicence("sold"))


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (replace(GOOD, system="OTHER"), "is for system OTHER"),
        (replace(GOOD, issued=TODAY - timedelta(60), expires=TODAY - timedelta(15)), "expired"),
    ],
)
def test_what_is_of_no_use_is_refused(offline: OfflineLicence, terms: Terms, said: str) -> None:
    install(offline)
    with pytest.raises(RequestFailed, match=f"not installed: .*{said}"):
        install(offline, terms)
    with pytest.raises(LicenceInvalid, match="signature"):
        offline.install(InstallLicence(Issuer().issue(GOOD), "x"))
    assert offline.look()["standing"] == "valid"


def test_a_clock_that_was_set_back_is_seen_by_the_agents_last_word(offline: OfflineLicence) -> None:
    install(offline)
    later = (GOOD.expires + timedelta(15)).isoformat()
    offline.settings.snapshot_path().write_text(
        json.dumps({"at": "2026-11-22T03:00:00Z", "licence": {"judged_on": later}})
    )
    shown = offline.look()
    assert (shown["standing"], shown["clock_behind"]) == ("expired", True)
    for odd in (None, {}, {"judged_on": None}, {"judged_on": "never"}):
        offline.settings.snapshot_path().write_text(json.dumps({"at": "x", "licence": odd}))
        assert offline.look()["standing"] == "valid"


def test_nothing_is_changed_while_an_agent_runs(offline: OfflineLicence) -> None:
    with lock_file(lock_path(offline.settings)):
        with pytest.raises(AgentBusy):
            install(offline)
    assert offline.look()["standing"] == "missing"
