"""How long evidence is kept: long enough for somebody to look."""

import pytest
from pydantic import ValidationError

from vtsfs.contract.settings_history import LEAST_MOST, HistoryKept


def test_a_year_and_a_month_unless_something_else_is_said() -> None:
    assert HistoryKept().keep == 400 * 86_400
    assert HistoryKept().most == 1_000_000
    kept = HistoryKept.model_validate({"keep": "10000d", "most": LEAST_MOST})
    assert (kept.keep, kept.most) == (10_000 * 86_400, LEAST_MOST)


@pytest.mark.parametrize(
    "section", [{"keep": "23h"}, {"keep": 400}, {"keep": "0d"}, {"most": 9999}, {"least": 1}]
)
def test_what_would_be_gone_before_anybody_looked_is_refused(section: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HistoryKept.model_validate(section)
