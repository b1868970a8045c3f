import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.transfer.layout import Layout, parent
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import parse_settings

NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=80)

SETTINGS = """
system: {name: TAPESRV1}
vaults: {VAULT00: {backing: /b, mountpoint: /VAULT00}}
targets:
  drsite:
    host: dr.example
    user: vts
    key: /k
    known_hosts: /h
    vaults: {VAULT00: /VAULT00, VAULT01: /mnt/VAULT01}
    staging: .staged
"""


def layout(pool: str = "BILL", label: str = "X00001") -> Layout:
    return Layout("/VAULT00", ".vts-autocopy", "TAPESRV1", TapeId("VAULT00", pool, label))


def test_everything_of_a_plain_tape() -> None:
    made = layout()
    assert made.destination == "/VAULT00/BILL/X00001"
    assert made.directory == "/VAULT00/.vts-autocopy/TAPESRV1"
    assert made.fences == (
        "/VAULT00/.vts-autocopy/IN-SERVICE",
        "/VAULT00/.vts-autocopy/TAPESRV1/IN-SERVICE",
    )
    stage = made.stage(7, "abc")
    assert parent(stage) == made.directory
    assert stage.startswith(f"{made.directory}/BILL.X00001.")
    assert stage.endswith(".g7.abc.stage")
    assert parent(made.manifest) == parent(made.intent) == made.records
    assert parent("/VAULT00") == "/"


def test_a_layout_from_the_settings() -> None:
    settings = parse_settings(SETTINGS, "test")
    made = Layout.of(settings, "drsite", TapeId("VAULT01", "POOL", "A"))
    assert made.destination == "/mnt/VAULT01/POOL/A"
    assert made.directory == "/mnt/VAULT01/.staged/TAPESRV1"


@given(NAMES, NAMES)
def test_every_name_gives_a_plain_short_file_name(pool: str, label: str) -> None:
    made = layout(pool, label)
    for path in (made.stage(2**63, "f" * 16), f"{made.manifest}.{'f' * 16}.new", made.intent):
        name = path.rpartition("/")[2]
        assert name.isascii()
        assert set("/\0\n '\"") & set(name) == set()
        assert len(name) < 255


@given(NAMES, NAMES, NAMES, NAMES)
def test_no_two_tapes_share_a_name(pool: str, label: str, other: str, another: str) -> None:
    one, two = layout(pool, label), layout(other, another)
    same = (pool, label) == (other, another)
    assert (one.key == two.key) == same
    name = two.stage(1, "abc").rpartition("/")[2]
    assert one.is_stage(name) == same


@pytest.mark.parametrize(
    ("one", "two"), [(("A", "B.C"), ("A.B", "C")), (("A", "B C"), ("A", "B_C"))]
)
def test_look_alikes_are_apart(one: tuple[str, str], two: tuple[str, str]) -> None:
    assert layout(*one).key != layout(*two).key


def test_names_that_are_no_text_have_a_key() -> None:
    keys = {layout(label=label).key for label in ("\udcff", "\udcfe", "\ud800", "?")}
    assert len(keys) == 4


def test_manifests_and_strangers_are_no_stages() -> None:
    made = layout()
    for path in (made.manifest, made.intent, "notes.txt", made.key):
        assert not made.is_stage(path.rpartition("/")[2])


def test_every_content_has_a_map_of_its_own() -> None:
    made = layout()
    one, two = made.map("ab" * 32), made.map("cd" * 32)
    assert one != two
    for path in (one, two):
        directory, _, name = path.rpartition("/")
        assert directory == made.records
        assert made.is_map(name)
        assert not layout(label="X00002").is_map(name)
        assert len(name) < 255
    assert not made.is_map(made.manifest.rpartition("/")[2])
