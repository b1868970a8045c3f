"""Requests that start or stop traffic, as they are carried; wrong ones are refused with a reason."""

import json
from typing import Any

import pytest

from copyagent.control.protocol import encode_request, parse_request
from copyagent.control.traffic import MAX_PAUSE_S, Pause, Resume, Sync
from tests.support.histories import TAPE
from vtsfs.contract.errors import FeedError, UsageError


@pytest.mark.parametrize(
    "request_",
    [
        Sync(TAPE),
        Sync(TAPE.pool_id, "missing"),
        Sync(TAPE.pool_id, "all", "drsite", dry_run=True),
        Pause("drsite", "line works"),
        Pause(str(TAPE.pool_id), "line works", until_ns=5, finish=True),
        Pause("drsite", "line works", for_s=MAX_PAUSE_S),
        Resume("drsite"),
        Resume("drsite", "repaired"),
        Sync(TAPE, because="asked by audit"),
    ],
    ids=repr,
)
def test_what_is_written_is_read_again(request_: Sync | Pause | Resume) -> None:
    assert parse_request(encode_request(request_)) == request_


@pytest.mark.parametrize(
    ("command", "args", "told"),
    [
        ("sync", {}, "sync needs where"),
        ("sync", {"where": str(TAPE), "which": "some"}, "not of 'some'"),
        ("sync", {"where": str(TAPE), "dry_run": 1}, "true or false"),
        ("sync", {"where": str(TAPE), "wet": True}, "does not take 'wet'"),
        ("pause", {"about": "drsite", "because": "  "}, "needs a reason"),
        ("pause", {"about": "drsite", "because": "x" * 501}, "say it shorter"),
        ("pause", {"about": "drsite", "because": "x", "for_s": 1, "until_ns": 1}, "choose one"),
        ("pause", {"about": "drsite", "because": "x", "for_s": MAX_PAUSE_S + 1}, "for_s has to be"),
        ("pause", {"because": "x"}, "needs about"),
        ("resume", {}, "needs about"),
        ("resume", {"about": "drsite", "reason": "x"}, "does not take"),
        ("resume", {"about": "drsite", "because": " "}, "needs a reason"),
    ],
)
def test_what_is_wrong_is_refused(command: str, args: dict[str, Any], told: str) -> None:
    line = json.dumps({"version": 1, "command": command, "args": args}).encode()
    with pytest.raises((UsageError, FeedError), match=told):
        parse_request(line)
