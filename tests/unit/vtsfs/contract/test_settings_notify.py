"""The section notify: which messages, which command, for how long."""

from typing import Any

import pytest
from pydantic import ValidationError

from vtsfs.contract.settings_notify import AlarmHook


def test_without_it_nothing_is_run() -> None:
    assert AlarmHook().run == ()


def test_ids_may_be_written_as_numbers() -> None:
    made = AlarmHook.model_validate({"on": [824140, "behind"], "run": ["/bin/true", "-x"]})
    assert (made.on, made.run) == (("824140", "behind"), ("/bin/true", "-x"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"run": ["page"]}, "absolute path"),
        ({"run": "/bin/page now"}, "should be a list"),
        ({"run": ["/bin/page", 7]}, "each a text"),
        ({"run": ["/bin/page", "a\0b"]}, "NUL"),
        ({"on": ["everything"]}, "one of critical"),
        ({"on": [True]}, "a kind of message"),
        ({"timeout": "0s"}, "greater than 0"),
        ({"shell": "true"}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(data: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AlarmHook.model_validate(data)
