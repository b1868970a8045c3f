"""Where in a distributor's command the option stands that asks for what was missed."""

import pytest

from copyagent.ems.catch_up import can_ask, command_from
from tests.support.broken_links import PLAIN, START
from vtsfs.contract.settings_ems import DEFAULT_DISTRIBUTOR


@pytest.mark.parametrize(
    ("distributor", "typed"),
    [
        (PLAIN, f"{PLAIN}, TIME 2026-10-24 22:00:00"),
        ("EMSDIST /NAME/ TYPE P%time%, COLLECTOR $0",
         "EMSDIST /NAME/ TYPE P, TIME 2026-10-24 22:00:00, COLLECTOR $0"),
        ("RUN $SYSTEM.EMSDIST /NAME/ TYPE P",
         "RUN $SYSTEM.EMSDIST /NAME/ TYPE P, TIME 2026-10-24 22:00:00"),
        ("RUN VTSDIST %time%", "RUN VTSDIST , TIME 2026-10-24 22:00:00"),
    ],
)  # fmt: skip
def test_the_option_stands_where_the_setting_wants_it(distributor: str, typed: str) -> None:
    assert can_ask(distributor) == ""
    assert command_from(distributor, START) == typed
    assert "%time%" not in command_from(distributor, None)
    assert "TIME" not in command_from(distributor, None).upper()


def test_the_default_can_catch_up() -> None:
    assert can_ask(DEFAULT_DISTRIBUTOR) == ""
