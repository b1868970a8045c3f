import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.host_events import PolicyCommand
from copyagent.ems.lines import EmsEvent
from copyagent.ems.policy import read_policy_command


def read(text: str) -> PolicyCommand | None:
    event = EmsEvent("06-09-14 22:00:01", "\\DEV2", "12,34", "EXTERNAL.0.0", 1234, text)
    return read_policy_command("DEV2", event)


@pytest.mark.parametrize(
    "text",
    [
        'VTSPolicy FTX "/VAULT01/Pool s=VTS1 st=VTS1 o=opt1 r=14,d"',
        "VTSPolicy IDR '/VAULT00/BILL/X00001'",
        "VTSPolicy Erase - X00001 X00002 s=VTS1",
        "vtspolicy  idr   x",
    ],
)
def test_a_command_is_handed_on_as_printed(text: str) -> None:
    printed = " ".join(text.split())
    assert read(text) == PolicyCommand(
        "DEV2", printed, node="\\DEV2", printed_at="06-09-14 22:00:01"
    )


@pytest.mark.parametrize("text", ["", "VTSPolicy", "VTSPolicyIDR x", "see VTSPolicy IDR x"])
def test_what_is_no_command(text: str) -> None:
    assert read(text) is None


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    read(text)
    read(f"VTSPolicy {text}")
