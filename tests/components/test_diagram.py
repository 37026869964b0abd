"""docs/diagram.md is what the program registers today."""

import pytest

from tests.components.diagram import page, reduced
from tests.components.examples import ROOT


def test_the_diagram_is_drawn_from_the_program_as_it_is() -> None:
    assert (ROOT / "docs" / "diagram.md").read_text() == page(), "run `make docs`"


@pytest.mark.parametrize(
    ("edges", "left"),
    [
        ([("a", "b"), ("b", "c"), ("a", "c")], [("a", "b"), ("b", "c")]),
        ([("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")], [("a", "b"), ("b", "c"), ("c", "d")]),
        ([("a", "c"), ("b", "c")], [("a", "c"), ("b", "c")]),
    ],
)
def test_an_arrow_that_follows_from_others_is_left_out(
    edges: list[tuple[str, str]], left: list[tuple[str, str]]
) -> None:
    assert reduced(edges) == left


def test_the_diagram_shows_what_matters() -> None:
    drawn = page()
    for line in (
        "south_africa_services --> south_africa_takeover",
        "south_africa_snapshots --> south_africa_database",
        "south_africa_dns -.-> kenya_dns",
        "south_africa_storage -.-> kenya_storage",
    ):
        assert line in drawn
    assert "kenya_dns -.-> " not in drawn, "the standby is configured with something of the primary"
