import io

import pytest
from rich.console import Console

from tests.demo.timeline import WIDTH, NotSo, Timeline

EVENT = (
    "2026-11-22 12:27:19|WARNING|424110|5900-E|127.0.0.1|TAPESRV1||copyagent|Copy of " + "x " * 60
)


def shown(*, terminal: bool = False) -> tuple[Timeline, io.StringIO]:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=300, highlight=False)
    return Timeline(console), output


def test_no_line_is_wider_than_the_terminal_or_ends_in_blanks() -> None:
    timeline, output = shown()
    timeline.heading(1, "A scene")
    timeline.facts([("name", "word " * 60)])
    timeline.tell("agent", "word " * 60)
    timeline.quote(["    indented " * 20, "", "unbroken" * 40], command="copyagent " + "x " * 80)
    timeline.quote_events([EVENT])
    timeline.paragraph("word " * 60, indent=3)
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert [line for line in lines if line != line.rstrip()] == []
    assert "\x1b" not in output.getvalue()


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    timeline, output = shown(terminal=True)
    timeline.tell("agent", "copies")
    assert "\x1b[" in output.getvalue()


def test_a_line_to_be_copied_is_never_broken() -> None:
    timeline, output = shown()
    line = "export PATH=" + "x" * 200
    timeline.plain(line)
    assert output.getvalue().splitlines() == [line]


def test_a_claim_that_is_so_is_counted_and_one_that_is_not_ends_it() -> None:
    timeline, output = shown()
    timeline.prove("one is one", ["something"])
    assert timeline.proven == ["one is one"]
    with pytest.raises(NotSo, match="one is two: it is not two"):
        timeline.prove("one is two", False, "it is not two")
    timeline.prove_quietly("one is one", True, "")
    with pytest.raises(NotSo, match="one is two"):
        timeline.prove_quietly("one is two", False, "")
    assert timeline.proven == ["one is one"]
    assert "one is two" not in output.getvalue()
