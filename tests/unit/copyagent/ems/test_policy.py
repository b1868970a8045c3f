import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.host_events import HostEvent, PolicyCommand
from copyagent.core.host_memory import HostMemory, Resumption
from copyagent.core.policy_commands import SyncOrder, read_command
from copyagent.ems.lines import EmsEvent, EmsLineDecoder
from copyagent.ems.link_settings import LinkTally
from copyagent.ems.listening import Listener
from copyagent.ems.policy import read_policy_command
from copyagent.ems.tape_events import read_host_event
from tests.support.ems_host.layout import Layout


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


@pytest.mark.parametrize("ssid", ["TANDEM.EMS.G06", "TANDEM.TAPE.G06", "EXTERNAL.0.0", "1.2.3"])
@pytest.mark.parametrize("process", ["$ZSVR", "12,34", "$FUP"])
@pytest.mark.parametrize("number", [512, 600, 1234, -7])
def test_its_text_alone_tells_it_whoever_sent_it(ssid: str, process: str, number: int) -> None:
    """FUP's lines are event 512 of EMS; a macro chooses subsystem and number as it likes."""
    text = 'VTSPolicy IDR "/VAULT00/BILL s=VTS1"'
    event = EmsEvent("06-09-14 22:00:01", "\\DEV2", process, ssid, number, text, critical=True)
    found = read_host_event("DEV2", event)
    assert isinstance(found, PolicyCommand)
    assert found.text == text


@pytest.mark.parametrize("width", range(20, 133, 7))
@pytest.mark.parametrize("indent", [0, 1, 8])
def test_a_wrapped_command_is_whole_again_or_is_not_obeyed(width: int, indent: int) -> None:
    text = 'VTSPolicy IDR "/VAULT00/BILL/X00001 source = TAPESRV1 d=drsite"'
    layout = Layout(process="$FUP", ssid="TANDEM.EMS.G06", width=width, indent=indent)
    printed = "".join(f"{line}\r\n" for line in layout.lines("06-09-14 22:00:01", 512, text))
    decoder = EmsLineDecoder()
    for end in range(len(printed)):
        cut = EmsLineDecoder()
        for event in [*cut.feed(printed[:end]), *cut.flush()]:
            found = read_policy_command("DEV2", event)
            if found is not None and not event.unfinished and found.text != text:
                assert not isinstance(read_command(found.text), SyncOrder), found.text
    (event,) = [*decoder.feed(printed), *decoder.flush()]
    found = read_policy_command("DEV2", event)
    assert found is not None
    assert read_command(found.text) == read_command(text)


@pytest.mark.parametrize("text", ["\x07{}", "{}\x07", "\x07 {} \x07\x00"])
def test_the_bell_of_a_critical_text_is_no_part_of_the_command(text: str) -> None:
    command = 'VTSPolicy IDR "/VAULT00/BILL s=VTS1"'
    found = read(text.format(command))
    assert found is not None
    assert found.text == command


def test_what_the_collector_cuts_at_102_bytes_is_not_obeyed() -> None:
    """A text written to the collector by WRITE, as FUP does, is cut there (EMS manual, event 512)."""
    long = f'VTSPolicy IDR "/VAULT00/BILL/X00001 source={"v" * 60}.example.com"'
    found = read(long[:102])
    assert found is not None
    assert not isinstance(read_command(found.text), SyncOrder)


def test_half_a_line_is_no_command_yet_even_if_it_reads_like_one() -> None:
    """What follows may be ``s=OTHER``, or the line may never end: it is handed over when it has."""
    head = "06-09-14 22:00:01 \\DEV2.$FUP  TANDEM.EMS.G06  000512 "
    decoder = EmsLineDecoder()
    listener = Listener("DEV2", HostMemory(), Resumption(None, first=True), LinkTally(), 0.0)
    heard: list[HostEvent] = list(listener.begin())
    for now, piece in enumerate((head + 'VTSPolicy IDR "/VAULT', '00/BILL"'), 1):
        heard += listener.take(decoder.feed(piece), float(now))
        heard += listener.take_open(decoder.flush(), now + 0.3)
        heard += listener.take_open(decoder.flush(unfinished_too=True), now + 0.6)
    assert [e for e in heard if isinstance(e, PolicyCommand)] == []
    heard += listener.take(decoder.feed("\r\n"), 10.0)
    heard += listener.take_open(decoder.flush(), 10.3)
    heard += listener.take(decoder.feed(f"{head}something else\r\n{head}"), 11.0)
    commands = [e.text for e in heard if isinstance(e, PolicyCommand)]
    assert commands == ['VTSPolicy IDR "/VAULT00/BILL"']
