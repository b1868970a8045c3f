"""Printed tape events and what they mean, drawn by Hypothesis from the table of templates."""

from hypothesis import strategies as st

from tests.support.ems_templates import TEMPLATES, Case, Words

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
volumes = st.one_of(
    st.text(_LETTERS, min_size=1, max_size=6),
    st.sampled_from(
        ["IBM", "TMF", "ESM", "NO", "WITH", "TAPE", "REEL", "RING", "X00001", "000042"]
    ),
)
plain_volumes = st.text(_LETTERS, min_size=6, max_size=6)
drives = st.sampled_from(["$VTAPE0", "$VTAPE1", "$TAPE", "\\DEV2.$VT"])
requests = st.integers(0, 9999)
_COMMENT_WORDS = (
    *("NIGHTLY", "BACKUP", "NO", "RING", "WITH", "ON", "$VTAPE9"),
    *("PLEASE", "MOUNT", "VOLUME", "MOUNTED", "ABENDED", "9904", "$ZSVR:"),
    *("-", "06-09-14", "22:00:01", "\\DEV2.$ZSVR", "TANDEM.TAPE.G06", "000659", "STATUS", "1512"),
    *("TAPE", "DISMOUNTED", "FROM", "DRIVE", "TACL", "1>", "*"),
)
comments = st.lists(st.sampled_from(_COMMENT_WORDS), max_size=12).map(" ".join)
words = st.builds(
    Words,
    request=requests,
    volume=volumes,
    other=plain_volumes,
    drive=drives,
    reel=st.none() | st.integers(1, 255),
    density=st.none() | st.sampled_from([800, 1600, 6250]),
    on=st.none() | drives,
    comment=comments,
    alias=st.text(_LETTERS, min_size=1, max_size=20),
    process=st.sampled_from(["\\DEV2.$Z4F1", "2,171"]),
)


@st.composite
def printed_cases(draw: st.DrawFn) -> Case:
    """Give any template's text, with or without the sender's prefix."""
    number, text, event = draw(st.sampled_from(TEMPLATES)).case(draw(words))
    return number, draw(st.sampled_from(["$ZSVR: ", ""])) + text, event
