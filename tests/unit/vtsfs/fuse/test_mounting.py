from pathlib import Path

from vtsfs.fuse.mounting import Layer, is_dead, is_ours, layers_at

TABLE = """\
24 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 24 0:40 / /VAULT00 rw,nosuid,nodev shared:1 - fuse.vtsfs vtsfs\\043VAULT00 rw,user_id=0
31 30 0:41 / /VAULT00 rw,nosuid,nodev - fuse.vtsfs vtsfs\\043VAULT00 rw,user_id=0
32 24 0:42 / /VAULT00x rw - fuse.vtsfs vtsfs\\043VAULT01 rw
33 24 0:43 / /with\\040blank rw - fuse vtsfs\\043VAULT02 rw
"""


def test_layers_bottom_first() -> None:
    layers = layers_at(Path("/VAULT00"), TABLE)
    assert layers == [
        Layer("fuse.vtsfs", "vtsfs#VAULT00", "0:40"),
        Layer("fuse.vtsfs", "vtsfs#VAULT00", "0:41"),
    ]
    assert all(is_ours(layer, "VAULT00") for layer in layers)
    assert not is_ours(layers[0], "VAULT01")
    assert layers_at(Path("/with blank"), TABLE)[0].source == "vtsfs#VAULT02"
    assert layers_at(Path("/elsewhere"), TABLE) == []


def test_what_is_no_mount_is_not_dead(tmp_path: Path) -> None:
    assert not is_dead(tmp_path)
    assert not is_dead(tmp_path / "missing")
