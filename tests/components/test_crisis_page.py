"""The crisis page fits where it is shown, and its numbers can be dialled."""

from dataclasses import dataclass

import pytest

from components.crisis_page import FIXED_RESPONSE_BYTES, full_page, short_page
from tests.components.examples import KENYA, SOUTH_AFRICA, settings


@dataclass(frozen=True)
class Line:
    label: str
    number: str


LINES = [Line("Befrienders <Kenya>", "+254 722 178 177"), Line("Police & fire", "999")]


@pytest.mark.parametrize("page", [short_page, full_page])
def test_numbers_are_shown_and_dialled(page: object) -> None:
    assert callable(page)
    text = page(LINES, "Call <now>")
    assert '<a href="tel:+254722178177">+254 722 178 177</a>' in text
    assert '<a href="tel:999">999</a>' in text
    assert "Befrienders &lt;Kenya&gt;" in text
    assert "Police &amp; fire" in text
    assert "Call &lt;now&gt;" in text


@pytest.mark.parametrize("stack", [KENYA, SOUTH_AFRICA])
def test_the_configured_page_fits_a_fixed_response(stack: str) -> None:
    crisis = settings(stack).crisis
    assert len(short_page(crisis.phone_lines, crisis.text).encode()) <= FIXED_RESPONSE_BYTES == 1024


def test_the_limit_counts_bytes() -> None:
    room = FIXED_RESPONSE_BYTES - len(short_page(LINES, "").encode())
    assert len(short_page(LINES, "x" * room).encode()) == FIXED_RESPONSE_BYTES
    with pytest.raises(ValueError, match="takes 1025 bytes, a fixed response holds 1024"):
        short_page(LINES, "x" * (room + 1))
    with pytest.raises(ValueError, match="a fixed response holds 1024"):
        short_page(LINES, "ü" * (room // 2 + 1))


@pytest.mark.parametrize("page", [short_page, full_page])
def test_a_page_without_a_number_is_refused(page: object) -> None:
    assert callable(page)
    with pytest.raises(ValueError, match="at least one phone line"):
        page([], "Call")
