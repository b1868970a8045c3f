"""How a kept demonstration is told of: the export line, the tour, the way to end it."""

from tests.demo.place import Place, kept, pointer
from tests.demo.timeline import Timeline
from tests.demo.tour import tour


def print_tour(place: Place, timeline: Timeline) -> None:
    """Print what to type first, and then stop by stop what there is to see."""
    timeline.plain()
    timeline.plain("This demonstration was kept and is running. In a shell, first:", "bold")
    timeline.plain()
    timeline.plain(place.export_line(), "bold green")
    timeline.plain()
    timeline.plain(
        "Then vtsfs, copyagent and demo (which plays the host and fate) work there. A tour of ten minutes:"
    )
    for number, stop in enumerate(tour(place), start=1):
        timeline.heading(number, stop.title)
        timeline.paragraph(stop.text, indent=3)
        for command in stop.commands:
            timeline.plain(f"     {command.line}", "green")
    timeline.plain()
    timeline.plain(
        "'demo tour' prints this again. 'make demo-down' ends everything and removes it", "bold"
    )
    other = kept()
    if other is not None and other.root == place.root:
        timeline.plain(f"(found through {pointer()}).")
