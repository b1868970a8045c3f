"""Where figures may be offered: on this machine and nowhere else."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from vtsfs.contract.settings_metrics import Metrics


def place(listen: str | None) -> Path | tuple[str, int] | None:
    return Metrics.model_validate({"listen": listen}).place


def test_nothing_is_offered_unless_asked_for() -> None:
    assert Metrics().place is None
    assert place(None) is None


@pytest.mark.parametrize(
    ("listen", "meant"),
    [
        ("127.0.0.1:9469", ("127.0.0.1", 9469)),
        ("127.8.9.10:1", ("127.8.9.10", 1)),
        ("[::1]:65535", ("::1", 65535)),
        ("/run/vts-autocopy/metrics.sock", Path("/run/vts-autocopy/metrics.sock")),
    ],
)
def test_what_may_be_listened_on(listen: str, meant: object) -> None:
    assert place(listen) == meant


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("0.0.0.0:9469", "can be reached from other machines"),
        ("[::]:9469", "can be reached from other machines"),
        ("192.0.2.1:9469", "can be reached from other machines"),
        ("[::ffff:192.0.2.1]:9469", "can be reached from other machines"),
        ("localhost:9469", "127.0.0.1:9469"),
        ("127.0.0.1", "127.0.0.1:9469"),
        (":9469", "127.0.0.1:9469"),
        ("9469", "127.0.0.1:9469"),
        ("127.0.0.1:0", "a port from 1 to 65535"),
        ("127.0.0.1:65536", "a port from 1 to 65535"),
        ("127.0.0.256:9469", "is no address"),
        ("::1:9469", "127.0.0.1:9469"),
        ("metrics.sock", "the path of a socket"),
        ("/run/../etc/x.sock", "without .."),
        ("/run/", "the path of a socket"),
        ("/" + "x" * 107, "the kernel allows"),
        ("", "the path of a socket"),
    ],
)
def test_what_may_not(listen: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why.replace(".", r"\.")):
        place(listen)


def test_a_number_is_no_place() -> None:
    with pytest.raises(ValidationError, match="127"):
        Metrics.model_validate({"listen": 9469})
