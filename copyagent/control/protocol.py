"""What is said on the control socket, and who may say it (version 1); pure.

One request and one answer for each connection, each one line of JSON::

    {"version": 1, "command": "explain", "args": {"tape": "/VAULT00/BILL/X00001"}}
    {"ok": true, "result": {...}}
    {"ok": false, "error": {"code": 42, "message": "...", "release": "0.2.0-1"}}

A *code* is an exit status of the `VtsError` tree, so the command line ends as if the agent's error
were its own. Whoever only looks changes nothing; whoever acts is named in the event log.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from copyagent.control.admission import Right
from copyagent.control.errands import (
    Adopt,
    AtTarget,
    Drilled,
    Errand,
    Release,
    Relocate,
    RollBack,
    because_args,
    reason_if_given,
)
from copyagent.control.inquiries import Copies, Doubt, Given, History
from copyagent.control.licences import InstallLicence, LicenceChange, RemoveLicence, ShowLicence
from copyagent.control.listings import Queue, Tapes
from copyagent.control.reloads import Reload
from copyagent.control.stopping import Cancel, Hold
from copyagent.control.traffic import Pause, Resume, Sync
from vtsfs.contract.errors import FeedError, NameInvalid, RequestFailed, UsageError, VtsError
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import MALFORMED
from vtsfs.runtime.exits import exit_codes

VERSION = 1
#: Longest lines in bytes, without their end.
MAX_REQUEST = 64 * 1024
MAX_RESPONSE = 16 * 1024 * 1024
#: Most events of hosts in one answer; with the longest texts it stays far below `MAX_RESPONSE`.
MAX_EVENTS = 5000
#: Longest time that an answer is put off because there is nothing to tell, in seconds.
MAX_WAIT = 20.0


@dataclass(frozen=True, slots=True)
class Status:
    """Ask for the state of everything."""


@dataclass(frozen=True, slots=True)
class Explain:
    """Ask for all that is known of one tape."""

    tape: TapeId


@dataclass(frozen=True, slots=True)
class Retry:
    """Start a new ladder for one tape, or for every failed one when *tape* is None."""

    tape: TapeId | None
    because: str = ""


@dataclass(frozen=True, slots=True)
class Events:
    """Ask for what hosts said, the newest *most* of what fits all conditions.

    *after* is the number of an event that is known already, *since_ns* an arrival in ns since the
    epoch. *unknown* wants only what nobody understood, *overlay* also what overlays reported. If
    there is nothing, the answer is put off until there is, for at most *wait* seconds.
    """

    host: str | None = None
    tape: TapeId | None = None
    after: int = 0
    since_ns: int = 0
    unknown: bool = False
    overlay: bool = False
    most: int = 100
    wait: float = 0.0


#: What is asked of the engine alone; a change of the licence is a matter of its file, too.
EngineRequest = (
    Status
    | Explain
    | Retry
    | Sync
    | Pause
    | Resume
    | Errand
    | Events
    | History
    | Copies
    | Doubt
    | Cancel
    | Hold
    | Tapes
    | Queue
    | ShowLicence
)
Request = EngineRequest | LicenceChange | Reload

#: The name of each request, which is also the command's on the command line.
NAMES: Mapping[type[Request], str] = {
    Status: "status",
    Explain: "explain",
    Retry: "retry",
    Sync: "sync",
    Pause: "pause",
    Resume: "resume",
    Release: "release",
    Relocate: "relocate",
    Adopt: "adopt",
    RollBack: "rollback",
    AtTarget: "at-target",
    Drilled: "drill",
    Events: "events",
    History: "history",
    Copies: "copies",
    Doubt: "doubt",
    Cancel: "cancel",
    Hold: "hold",
    Tapes: "tapes",
    Queue: "queue",
    ShowLicence: "licence-show",
    InstallLicence: "licence-install",
    RemoveLicence: "licence-remove",
    Reload: "reload",
}
RIGHTS: Mapping[type[Request], Right] = {
    Status: Right.LOOK,
    Explain: Right.LOOK,
    Retry: Right.ACT,
    Sync: Right.ACT,
    Pause: Right.ACT,
    Resume: Right.ACT,
    Release: Right.ACT,
    Relocate: Right.ACT,
    Adopt: Right.ACT,
    RollBack: Right.ACT,
    AtTarget: Right.ACT,
    Drilled: Right.ACT,
    Events: Right.LOOK,
    History: Right.LOOK,
    Copies: Right.LOOK,
    Doubt: Right.ACT,
    Cancel: Right.ACT,
    Hold: Right.ACT,
    Tapes: Right.LOOK,
    Queue: Right.LOOK,
    ShowLicence: Right.LOOK,
    InstallLicence: Right.ACT,
    RemoveLicence: Right.ACT,
    Reload: Right.ACT,
}


def command_of(request: Request) -> str:
    """Return the request's name, which is also the command's on the command line."""
    return NAMES[type(request)]


def encode_request(request: Request) -> bytes:
    """Write *request* as a line with its end; raise `UsageError` for a text that is not UTF-8."""
    args: Mapping[str, object] = {}
    match request:
        case Release() | Relocate() | Adopt() | RollBack() | AtTarget() | Drilled():
            args = request.args()
        case History() | Copies() | Doubt():
            args = request.args()
        case Explain(tape):
            args = {"tape": str(tape)}
        case Retry(tape, because):
            args = {"failed": True} if tape is None else {"tape": str(tape)}
            args = {**args, **because_args(because)}
        case Sync() | Pause() | Resume() | Cancel() | Hold() | Tapes() | Queue():
            args = request.args()
        case ShowLicence() | InstallLicence() | RemoveLicence() | Reload():
            args = request.args()
        case Events():
            args = _events_args(request)
    document = {"version": VERSION, "command": command_of(request), "args": args}
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"what was typed is not UTF-8 ({error.object[error.start : error.end]!r}); use a terminal "
            "in UTF-8, or letters of ASCII"
        ) from error
    return json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"


def _events_args(request: Events) -> dict[str, object]:
    args: dict[str, object] = {
        "after": request.after,
        "since_ns": request.since_ns,
        "unknown": request.unknown,
        "overlay": request.overlay,
        "most": request.most,
        "wait": request.wait,
    }
    if request.host is not None:
        args["host"] = request.host
    if request.tape is not None:
        args["tape"] = str(request.tape)
    return args


def parse_request(line: bytes) -> Request:
    """Read a request's line; raise `FeedError` for what is none and `UsageError` for a wrong one.

    Unknown arguments are refused: an agent that ignored one would do something else than was asked.
    Of another version nothing but its number is looked at; the answer to it has the form of version 1.
    """
    document = _document(line)
    version = document.get("version", VERSION)
    if type(version) is not int or version != VERSION:
        raise FeedError(
            f"control protocol {str(version)[:40]!r} is asked for and this agent speaks "
            f"{VERSION}; use the copyagent command of the agent's own release"
        )
    if set(document) != {"version", "command", "args"}:
        raise FeedError("not a request: it should hold version, command and args")
    command, args = document["command"], document["args"]
    reader = _READERS.get(command) if isinstance(command, str) else None
    if reader is None:
        raise UsageError(
            f"no command {str(command)[:40]!r}; there are {', '.join(sorted(_READERS))}"
        )
    if not isinstance(args, dict):
        raise FeedError("not a request: args should be a mapping")
    return reader(dict(args))


def _document(line: bytes) -> dict[str, Any]:
    """Read a line as the one object it holds, each key once and each text one that can be kept."""
    try:
        document = json.loads(line.decode("utf-8"), object_pairs_hook=_each_once)
        # A text with half a surrogate pair is none in UTF-8: no state and no log could hold it.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except MALFORMED as error:
        raise FeedError(f"not a request: {type(error).__name__}") from error
    if not isinstance(document, dict):
        raise FeedError("not a request: it should be an object")
    return document


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands there twice")
    return made


def _status(args: dict[str, Any]) -> Request:
    _nothing_left(args, "status")
    return Status()


def _explain(args: dict[str, Any]) -> Request:
    tape = TapeId.parse(_text(args, "tape", "explain"))
    _nothing_left(args, "explain")
    return Explain(tape)


def _retry(args: dict[str, Any]) -> Request:
    given = Given(args, "retry")
    failed = args.get("failed") is True and given.flag("failed")
    tape = None if failed else TapeId.parse(given.text("tape"))
    made = Retry(tape, reason_if_given(given))
    given.end()
    return made


def _events(args: dict[str, Any]) -> Request:
    made = Events(
        host=_text(args, "host", "events") if "host" in args else None,
        tape=TapeId.parse(_text(args, "tape", "events")) if "tape" in args else None,
        after=round(_number(args, "after", 2**62)),
        since_ns=round(_number(args, "since_ns", 2**62)),
        unknown=args.pop("unknown", False) is True,
        overlay=args.pop("overlay", False) is True,
        most=round(_number(args, "most", MAX_EVENTS, at_least=1)),
        wait=_number(args, "wait", MAX_WAIT),
    )
    _nothing_left(args, "events")
    return made


def _number(args: dict[str, Any], name: str, at_most: float, *, at_least: int = 0) -> float:
    value = args.pop(name, at_least)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"events needs {name} as a number")
    if not at_least <= value <= at_most:
        raise UsageError(f"{name} has to be from {at_least} to {at_most:g}, not {value}")
    return value


_READERS: Mapping[str, Callable[[dict[str, Any]], Request]] = {
    "status": _status,
    "explain": _explain,
    "retry": _retry,
    "sync": Sync.read,
    "pause": Pause.read,
    "resume": Resume.read,
    "release": Release.read,
    "relocate": Relocate.read,
    "adopt": Adopt.read,
    "rollback": RollBack.read,
    "at-target": AtTarget.read,
    "drill": Drilled.read,
    "events": _events,
    "history": History.read,
    "copies": Copies.read,
    "doubt": Doubt.read,
    "cancel": Cancel.read,
    "hold": Hold.read,
    "tapes": Tapes.read,
    "queue": Queue.read,
    "licence-show": ShowLicence.read,
    "licence-install": InstallLicence.read,
    "licence-remove": RemoveLicence.read,
    "reload": Reload.read,
}


def parse_where(text: str) -> TapeId | PoolId:
    """Read a tape or a pool; raise `NameInvalid` for what is neither."""
    try:
        return PoolId.parse(text) if text.count("/") == 2 else TapeId.parse(text)
    except NameInvalid as error:
        raise NameInvalid(
            f"{text!r} is neither a tape nor a pool; write /VAULT00/BILL/X00001 or /VAULT00/BILL"
        ) from error


def _text(args: dict[str, Any], name: str, command: str) -> str:
    value = args.pop(name, None)
    if not isinstance(value, str):
        raise UsageError(f"{command} needs {name}, a text")
    return value


def _nothing_left(args: dict[str, Any], command: str) -> None:
    if args:
        raise UsageError(f"{command} does not take {', '.join(map(repr, sorted(args)))}")


def encode_result(result: object) -> bytes:
    """Write a successful answer as a line with its end; raise `RequestFailed` if it is too long."""
    line = json.dumps({"ok": True, "result": result}, separators=(",", ":")).encode("ascii")
    if len(line) > MAX_RESPONSE:
        raise RequestFailed(
            f"the answer has {len(line)} bytes and {MAX_RESPONSE} are allowed; ask for less"
        )
    return line + b"\n"


def encode_error(error: VtsError, release: str = "") -> bytes:
    """Write a refusal or a failure as a line with its end; *release* is the agent's."""
    told = {"code": error.exit_code, "message": str(error)[:4000]}
    if release:
        told["release"] = release
    return json.dumps({"ok": False, "error": told}, separators=(",", ":")).encode("ascii") + b"\n"


def parse_response(line: bytes, release: str = "") -> Any:
    """Return the result in an answer's line, or raise the error it tells of.

    The error has the class whose exit status the agent sent; `FeedError` for what is no answer. What
    an agent of another release than the asker's *release* did not understand is told as that.
    """
    try:
        document = json.loads(line)
        if document["ok"] is True:
            return document["result"]
        code, message = int(document["error"]["code"]), str(document["error"]["message"])
        agents = str(document["error"].get("release", "an earlier release"))
    except MALFORMED as error:
        raise FeedError(f"not an answer of an agent: {type(error).__name__}") from error
    if release and agents != release and code in {UsageError.exit_code, FeedError.exit_code}:
        message += (
            f"\nThe agent that runs is of {agents}, this command of {release}: what one of them knows, "
            "the other may not. Start the agent again: it is then of the installed release"
        )
    raise exit_codes().get(code, (RequestFailed,))[0](message)
