import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.control.admission import Right
from copyagent.control.errands import (
    MAX_REASON,
    Adopt,
    AtTarget,
    Drilled,
    Release,
    Relocate,
    RollBack,
)
from copyagent.control.inquiries import Copies, Doubt, History
from copyagent.control.licences import InstallLicence, RemoveLicence, ShowLicence
from copyagent.control.listings import Queue, Tapes
from copyagent.control.protocol import (
    NAMES,
    RIGHTS,
    Events,
    Explain,
    Request,
    Retry,
    Status,
    command_of,
    encode_error,
    encode_request,
    encode_result,
    parse_request,
    parse_response,
    parse_where,
)
from copyagent.control.reloads import Reload
from copyagent.control.stopping import Cancel, Hold
from copyagent.control.traffic import Pause, Resume, Sync
from copyagent.core import on_record
from vtsfs.contract.errors import (
    FeedError,
    NameInvalid,
    Refused,
    RequestFailed,
    StateError,
    UsageError,
    VtsError,
)
from vtsfs.contract.naming import PoolId, TapeId

TAPE = TapeId("VAULT00", "BILL", "X00001")
REQUESTS: list[Request] = [
    Status(),
    Explain(TAPE),
    Retry(TAPE),
    Retry(None),
    Retry(None, "the line is up"),
    Retry(TAPE, "the line is up"),
    Sync(TAPE),
    Sync(TAPE.pool_id),
    Release(TAPE, "checked by hand"),
    Release(TAPE, "seen there", overwrite_target=True),
    Reload(),
    Reload("another target", dry_run=True),
    Relocate(TAPE, "it is ours"),
    Adopt(TAPE),
    Adopt(TAPE.pool_id, "drsite"),
    Adopt(TAPE, because="came on disks"),
    RollBack(TAPE, 3, "the new one is bad"),
    RollBack(TAPE, 3, "the new one is bad", "drsite"),
    AtTarget("fence", "drsite", "in service"),
    Drilled("drsite", "quarterly", "VAULT00 " + "a" * 64),
    Events(),
    Events("DEV2", TAPE, after=17, since_ns=1, unknown=True, most=5, wait=2.5),
    Events(overlay=True),
    History(TAPE, since_ns=5, failed=True, after=7, last=3, most=9),
    Copies(TAPE.pool_id, after=str(TAPE)),
    Doubt(on_record.Doubt(TAPE, "drsite", 17, "the bytes differ")),
    Pause("drsite", "line works", for_s=60),
    Resume("drsite"),
    ShowLicence(),
    InstallLicence("-----BEGIN", "ordered"),
    RemoveLicence("sold"),
    Cancel(TAPE, "not tonight"),
    Cancel(TAPE, "not there", "drsite"),
    Hold(TAPE, "a disk is looked at", "drsite"),
    Tapes(),
    Tapes(("held (conflict)", "failed"), (TAPE.pool_id,), "drsite", unprotected=True, after=TAPE),
    Tapes(kept_back=True),
    Queue(),
    Queue("drsite", 7),
]


def line(command: object, args: object, version: object = 1) -> bytes:
    return json.dumps({"version": version, "command": command, "args": args}).encode()


@pytest.mark.parametrize("request_", REQUESTS, ids=repr)
def test_round_trip(request_: Request) -> None:
    encoded = encode_request(request_)
    assert encoded.endswith(b"\n")
    assert encoded.count(b"\n") == 1
    assert parse_request(encoded[:-1]) == request_


def test_the_wire_form_of_version_1_never_changes() -> None:
    assert encode_request(Release(TAPE, "x\ny")) == (
        b'{"version":1,"command":"release",'
        b'"args":{"tape":"/VAULT00/BILL/X00001","because":"x\\ny"}}\n'
    )
    assert (
        encode_request(Retry(None)) == b'{"version":1,"command":"retry","args":{"failed":true}}\n'
    )
    assert encode_request(Events()) == (
        b'{"version":1,"command":"events","args":{"after":0,"since_ns":0,"unknown":false,'
        b'"overlay":false,"most":100,"wait":0.0}}\n'
    )
    assert encode_result([1]) == b'{"ok":true,"result":[1]}\n'
    assert encode_error(Refused("no")) == b'{"ok":false,"error":{"code":41,"message":"no"}}\n'
    assert encode_error(Refused("no"), "0.2.0-1") == (
        b'{"ok":false,"error":{"code":41,"message":"no","release":"0.2.0-1"}}\n'
    )


@given(st.text())
def test_any_label_survives(label: str) -> None:
    try:
        tape = TapeId.parse(f"/VAULT00/BILL/{label}")
    except NameInvalid:
        return
    assert parse_request(encode_request(Explain(tape))[:-1]) == Explain(tape)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (line("explode", {}), "no command 'explode'"),
        (line(["status"], {}), "no command"),
        (line("status", {"pool": "x"}), "status does not take 'pool'"),
        (line("explain", {}), "explain needs tape"),
        (line("explain", {"tape": 7}), "explain needs tape"),
        (line("explain", {"tape": "X00001"}), "is not a tape"),
        (line("explain", {"tape": str(TAPE), "x": 1}), "does not take 'x'"),
        (line("retry", {}), "retry needs tape"),
        (line("retry", {"failed": False}), "retry needs tape"),
        (line("retry", {"failed": True, "tape": str(TAPE)}), "does not take 'tape'"),
        (line("retry", {"failed": 1}), "retry needs tape"),
        (line("sync", {"where": "/VAULT00"}), "neither a tape nor a pool"),
        (line("release", {"tape": str(TAPE)}), "release needs because"),
        (line("release", {"tape": str(TAPE), "because": " \n "}), "needs a reason"),
        (line("release", {"tape": str(TAPE), "because": "x" * (MAX_REASON + 1)}), "shorter"),
    ],
)
def test_a_wrong_request_is_told(sent: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_request(sent)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1",
        b"[]",
        b"null",
        b"{}",
        b"\xff\x00",
        b"[" * 60_000,
        line("status", []),
        line("status", {}, version=2),
        line("status", {}, version="1"),
        line("status", {}, version=True),
        b'{"version":1,"command":"status","args":{},"more":1}',
        b'{"version":1,"version":1,"command":"status","args":{}}',
        b'{"version":1,"command":"explain","args":{"tape":"/V/P/A","tape":"/V/P/B"}}',
        line("release", {"tape": str(TAPE), "because": "half a pair \ud800"}),
        line("events", {"host": "\udcff"}),
        line("\ud800", {}),
        '{"version":1,"command":"status","args":{}}'.encode("utf-16"),
        b'{"version":1,"command":"status","args":{"most":1' + b"0" * 5000 + b"}}",
    ],
    ids=lambda sent: repr(sent[:30]),
)
def test_what_is_no_request_is_told(sent: bytes) -> None:
    with pytest.raises(FeedError):
        parse_request(sent)


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.0, [], "x" * 1000])
def test_of_another_version_nothing_but_the_number_is_looked_at(version: object) -> None:
    later = json.dumps({"version": version, "verb": "status", "lines": 2}).encode()
    with pytest.raises(FeedError, match=r"is asked for and this agent speaks 1; use the copyagent"):
        parse_request(later)


def test_a_terminal_that_is_not_utf_8_is_told() -> None:
    typed = b"f\xfcr immer".decode("utf-8", "surrogateescape")
    with pytest.raises(UsageError, match="not UTF-8"):
        encode_request(Release(TAPE, typed))


@pytest.mark.parametrize("command", ["release", "pause", "at-target", "licence-remove"])
def test_a_reason_cannot_steer_a_terminal(command: str) -> None:
    args = {"because": "\x1b[2Jseen\x00 |\u2028 by me\u202e"}
    more = {
        "release": {"tape": str(TAPE)},
        "pause": {"about": "drsite"},
        "at-target": {"action": "fence", "target": "drsite"},
    }
    request: Any = parse_request(line(command, args | more.get(command, {})))
    assert request.because == "[2Jseen by me"


@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises((FeedError, UsageError)):
        parse_request(garbage)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
COMMANDS = st.sampled_from(["status", "explain", "retry", "sync", "release"])


@given(COMMANDS, st.dictionaries(st.sampled_from(["tape", "where", "because", "failed"]), JSON))
def test_odd_arguments_are_refused_or_understood(command: str, args: dict[str, object]) -> None:
    try:
        assert command_of(parse_request(line(command, args))) == command
    except (FeedError, UsageError):
        pass


def test_a_reason_is_one_line() -> None:
    asked = parse_request(line("release", {"tape": str(TAPE), "because": " seen\nby  me "}))
    assert asked == Release(TAPE, "seen by me")


@pytest.mark.parametrize(
    "error", [Refused("a"), RequestFailed("b"), UsageError("c"), StateError("d")]
)
def test_an_error_comes_back_as_itself(error: VtsError) -> None:
    with pytest.raises(type(error), match=str(error)):
        parse_response(encode_error(error)[:-1])


def test_an_unknown_code_is_a_failed_request() -> None:
    with pytest.raises(RequestFailed, match="newer"):
        parse_response(b'{"ok":false,"error":{"code":99,"message":"newer"}}')


@given(JSON)
def test_any_result_survives(result: object) -> None:
    assert parse_response(encode_result(result)[:-1]) == result


@given(st.binary(max_size=100))
def test_a_garbled_answer_is_told(garbage: bytes) -> None:
    with pytest.raises(FeedError):
        parse_response(garbage)


def test_an_endless_answer_is_refused() -> None:
    with pytest.raises(RequestFailed, match="ask for less"):
        encode_result("x" * (16 << 20))


def test_a_tape_or_a_pool() -> None:
    assert parse_where("/VAULT00/BILL") == PoolId("VAULT00", "BILL")
    assert parse_where("/VAULT00/BILL/X00001") == TAPE
    for text in ("", "/", "BILL", "/VAULT00/BILL/X/Y", "/a/b"):
        with pytest.raises(NameInvalid, match="neither"):
            parse_where(text)


LOOKING = (Status, Explain, Events, History, Copies, Tapes, Queue, ShowLicence)


@pytest.mark.parametrize("kind", get_args(Request), ids=lambda kind: kind.__name__)
def test_every_request_has_a_name_a_right_and_a_reader(kind: type[Request]) -> None:
    assert (RIGHTS[kind] is Right.LOOK) == (kind in LOOKING)
    with pytest.raises(UsageError, match=r"does not take .nonsense.|needs"):
        parse_request(line(NAMES[kind], {"nonsense": 1}))


def test_nothing_else_has_any() -> None:
    kinds = set(get_args(Request))
    assert (set(NAMES), set(RIGHTS)) == (kinds, kinds)
    assert len(set(NAMES.values())) == len(kinds)


def test_every_request_is_in_the_round_trips() -> None:
    assert {type(request) for request in REQUESTS} == set(get_args(Request))


@pytest.mark.parametrize(
    "args",
    [
        {"most": 0},
        {"most": 10**9},
        {"wait": 3600},
        {"wait": -1},
        {"after": True},
        {"after": "1"},
        {"since_ns": None},
        {"host": 5},
        {"tape": "X00001"},
        {"until": 1},
    ],
)
def test_events_are_not_asked_for_in_any_other_way(args: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        parse_request(line("events", args))


@pytest.mark.parametrize(
    ("line", "agents"),
    [
        (b'{"ok":false,"error":{"code":2,"message":"no command"}}', "an earlier release"),
        (encode_error(UsageError("no command"), "0.3.0-1")[:-1], "0.3.0-1"),
        (encode_error(FeedError("no command"), "0.3.0-1")[:-1], "0.3.0-1"),
    ],
)
def test_what_an_agent_of_another_release_does_not_know_is_told_as_that(
    line: bytes, agents: str
) -> None:
    with pytest.raises((UsageError, FeedError)) as caught:
        parse_response(line, "0.2.0-1")
    first, second = str(caught.value).splitlines()
    assert first == "no command"
    assert second.startswith(f"The agent that runs is of {agents}, this command of 0.2.0-1: ")
    assert "Start the agent again" in second


def test_what_both_releases_know_or_one_release_refuses_is_told_as_it_is() -> None:
    refused = encode_error(RequestFailed("not held"), "0.3.0-1")[:-1]
    with pytest.raises(RequestFailed, match=r"^not held$"):
        parse_response(refused, "0.2.0-1")
    same = encode_error(UsageError("no such tape"), "0.2.0-1")[:-1]
    with pytest.raises(UsageError, match=r"^no such tape$"):
        parse_response(same, "0.2.0-1")
