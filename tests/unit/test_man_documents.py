"""The documents that the manual describes have the keys that it names, and no others."""

import re
from dataclasses import fields
from datetime import date
from pathlib import Path

from copyagent.cli.audit_run import finding_document, summary_document
from copyagent.cli.doctor_run import doctor_document
from copyagent.cli.drill_run import drill_document
from copyagent.cli.ems_replay import replay_document
from copyagent.cli.ems_trial import trial_document
from copyagent.cli.generations_run import generation_document
from copyagent.cli.history import COLUMNS
from copyagent.cli.history_verify import document as checked_document
from copyagent.cli.verify_run import document as verify_document
from copyagent.cli.version import describe
from copyagent.core import drill_list, history
from copyagent.core.audit import Audit, Flaw, Found
from copyagent.core.chain_check import Checked
from copyagent.core.copying import CopyDone, PublishedCopy, TargetStamp
from copyagent.core.host_events import LinkUp
from copyagent.core.host_report import event_document, link_document
from copyagent.core.journal import Journal
from copyagent.core.licence import Installed, Standing, judge
from copyagent.core.licence_report import licence_document
from copyagent.core.link import Link
from copyagent.core.on_record import OnRecord
from copyagent.core.rehearsal import Rehearsal
from copyagent.core.service_level import Asked, ServiceLevel
from copyagent.core.time import Moment
from copyagent.ems.recording import Recording
from copyagent.ems.trial import Trial
from copyagent.schemas.catalogue import DOCUMENTS
from copyagent.transfer.published import Looked, Result
from tests.support.example_settings import EXAMPLE, example_settings
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.signals import Identity, Signal

PAGE = Path(__file__).parents[2] / "man" / "copyagent.8"
TAPE = TapeId("VAULT00", "BILL", "X00001")
COPY = PublishedCopy(7, Identity(1, 2, 5, 1, 1), 5, "", TargetStamp(5, 1), "size", root="aa")
#: Counted by the link's own task, and added to the document in `copyagent.answers`.
TALLIED = {
    *(
        "connections",
        "events_of_all_kinds",
        "heartbeats",
        "unrecognised",
        "garbage_lines",
        "garbage",
    ),
    *("asked", "other_events", "notify"),
}


def keys_between(begin: str, end: str) -> set[str]:
    """Return the keys in the titles of the list that stands between two lines of the page."""
    text = PAGE.read_text(encoding="ascii")
    part = text[text.index(begin) : text.index(end, text.index(begin))]
    titles = re.findall(r"^\.It Li (.*)$", part, re.MULTILINE)
    return {key for title in titles for key in title.replace(" , ", " ").split()}


def settings_with_a_host(root: Path) -> Settings:
    hosts = "ems: {hosts: {DEV2: {address: h, user: A.B, password_file: ROOT/password}}}"
    return example_settings(root, EXAMPLE.replace("ems: {required: false}", hosts))


def test_an_events_keys() -> None:
    journal = Journal()
    journal.add(LinkUp("DEV2"), [], Moment(0.0, 1))
    assert keys_between(".Ss Lines of JSON", "A signal is an object") == set(
        event_document(journal.entries[0], None)
    )


def test_a_signals_keys_are_some_of_it() -> None:
    told = keys_between("A signal is an object", ".Sh ENVIRONMENT")
    assert told <= {field.name for field in fields(Signal)}
    assert "session" in told


def test_a_hosts_keys(tmp_path: Path) -> None:
    settings = settings_with_a_host(tmp_path)
    document = link_document(settings, "DEV2", Link(), Moment(0.0, 1))
    assert keys_between(".It Ic ems status", ".It Ic ems test") == set(document) | TALLIED


def test_the_keys_of_a_trial(tmp_path: Path) -> None:
    document = trial_document(settings_with_a_host(tmp_path), "DEV2", [], Trial())
    assert keys_between(".It Ic ems test", ".It Ic ems replay") == set(document)


def test_the_keys_of_a_replay(tmp_path: Path) -> None:
    settings = settings_with_a_host(tmp_path)
    document = replay_document(settings, Rehearsal(settings, []), Recording(), "DEV2")
    assert keys_between(".It Ic ems replay", ".It Ic check") == set(document)


def test_the_keys_of_a_licence() -> None:
    judged = judge(Installed(), "TAPESRV1", date(2026, 11, 23), required=True)
    document = licence_document(Installed(), judged, "TAPESRV1", 0)
    assert keys_between(".It Ic licence show", ".It Ic licence install") == set(document)
    text = PAGE.read_text(encoding="ascii")
    shown = text[text.index(".It Li standing") : text.index(".It Li copying")]
    plain = shown.replace(".Li ", "").replace('"', "").replace("\n", " ").replace(" ,", ",")
    assert all(standing.value in plain for standing in Standing)


def test_the_keys_of_an_examination(tmp_path: Path) -> None:
    document = doctor_document(example_settings(tmp_path), {})
    assert keys_between(".It Ic doctor", ".It Ic import-vts-config") == set(document)


def test_the_keys_of_a_verification() -> None:
    copy = OnRecord(TAPE, "drsite", "copied", 7, None, COPY)
    document = verify_document(copy, Looked(Result.GOOD), "")
    assert keys_between(".It Ic verify", ".It Ic audit") == set(document)
    shown = PAGE.read_text(encoding="ascii")
    shown = shown[shown.index(".It Ic verify") : shown.index(".It Ic audit")]
    assert all(result.value in shown for result in Result)


def test_the_keys_of_an_audit() -> None:
    finding = finding_document(PoolId("VAULT00", "BILL"), "drsite", Found(Flaw.EXTRA, "X", "why"))
    summary = summary_document(PoolId("VAULT00", "BILL"), "drsite", Audit())
    documented = keys_between(".It Ic audit", ".It Ic generations")
    assert documented == set(finding) | set(summary)
    text = PAGE.read_text(encoding="ascii")
    assert all(f".Em {flaw}" in text for flaw in Flaw)


def test_the_keys_of_a_generation() -> None:
    document = generation_document("drsite", COPY)
    assert keys_between(".It Ic generations", ".It Ic fetch") == set(document)


def test_the_keys_of_a_drill() -> None:
    assert keys_between(".It Ic drill", ".It Ic report") == set(drill_document("", "", []))
    text = PAGE.read_text(encoding="ascii")
    text = text[text.index(".It Ic drill") : text.index(".It Ic report")]
    assert all(word.value in text for word in (*drill_list.How, *drill_list.Flaw))
    assert all(name in text for name in (drill_list.LIST, drill_list.CHECK))


def test_the_keys_of_a_report() -> None:
    document = {"system": "", **ServiceLevel(Asked(0, 1, 1)).document()}
    assert keys_between(".It Ic report", ".It Ic history") == set(document)
    text = PAGE.read_text(encoding="ascii")
    text = text[text.index(".It Ic report") : text.index(".It Ic history")]
    assert [key for key in document["total"] if key not in text] == []


def test_the_keys_of_a_version() -> None:
    documented = keys_between(".It Ic version", ".Ss Who may run what")
    assert documented == set(describe(PAGE.parent, bundled=True))
    text = PAGE.read_text(encoding="ascii")
    text = text[text.index(".It Ic version") : text.index(".Ss Who may run what")]
    part = DOCUMENTS["version"].schema()["properties"]["bundled"]["items"]
    assert [key for key in part["required"] if not re.search(rf"\b{key}\b", text)] == []


def test_the_keys_of_the_history() -> None:
    kept = history.History()
    kept.copied(TAPE, "drsite", CopyDone(COPY, 0, 0.0), 1, 1)
    (entry,) = kept.news()
    common = set(history.document(entry)) - set(entry.facts)
    checked = set(checked_document(Checked(), PAGE)) - {"schema"}
    documented = keys_between(".It Ic history", ".It Ic licence show")
    assert documented == common | {kind.value for kind in history.Kind} | checked
    text = PAGE.read_text(encoding="ascii")
    text = text[text.index(".It Ic history") : text.index(".It Ic licence show")]
    facts = FACTS | entry.facts.keys() | set(COLUMNS) - common
    assert [fact for fact in sorted(facts) if not re.search(rf"\b{fact}\b", text)] == []


#: What entries of the several kinds say of themselves, besides what a copy does.
FACTS = {
    *("verdict", "row", "overlay", "host", "mounted", "sessions", "opened", "ended", "wrote"),
    *("bytes", "changes", "again", "copy_to", "held_at", "action", "user", "object", "because"),
    *("old", "new", "done", "message", "severity", "text", "how", "redacted", "count", "first"),
    *("last", "until", "value", "reason", "cause", "waiting", "left"),
}
