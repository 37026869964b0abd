"""The page that people see while no service answers: what it says, as pure functions.

The short form fits into a load balancer's fixed response, the full form lives in the page bucket.
"""

import html
from collections.abc import Sequence
from typing import Protocol

# AWS: "Quotas for your Application Load Balancers" and the FixedResponseActionConfig reference.
FIXED_RESPONSE_BYTES = 1024


class PhoneLine(Protocol):
    """A crisis line: who answers, and the number to call."""

    @property
    def label(self) -> str:
        """Who answers."""

    @property
    def number(self) -> str:
        """The number as people dial it."""


def short_page(phone_lines: Sequence[PhoneLine], text: str) -> str:
    """HTML for the fixed response. Raises ValueError beyond 1,024 bytes or without a phone line."""
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Help is available</title>'
        f"<p>{html.escape(text)}</p><ul>{_lines(phone_lines)}</ul></html>"
    )
    size = len(page.encode())
    if size > FIXED_RESPONSE_BYTES:
        raise ValueError(f"the crisis page takes {size} bytes, a fixed response holds {FIXED_RESPONSE_BYTES}")
    return page


def full_page(phone_lines: Sequence[PhoneLine], text: str) -> str:
    """HTML for the page bucket: the same help, with advice for the time until somebody answers."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Help is available</title>
<style>
body {{ font: 1.1rem/1.6 sans-serif; margin: 2rem auto; max-width: 36rem; padding: 0 1rem; }}
a {{ font-size: 1.4rem; }}
</style>
</head>
<body>
<h1>Help is available</h1>
<p>{html.escape(text)}</p>
<ul>{_lines(phone_lines)}</ul>
<p>If your life is in danger, call one of these lines or go to the nearest hospital now.
If you can, stay with someone you trust until help arrives.</p>
</body>
</html>
"""


def _lines(phone_lines: Sequence[PhoneLine]) -> str:
    if not phone_lines:
        raise ValueError("the crisis page needs at least one phone line")
    return "".join(
        f'<li>{html.escape(line.label)}: <a href="tel:{_dialled(line.number)}">{html.escape(line.number)}</a></li>'
        for line in phone_lines
    )


def _dialled(number: str) -> str:
    """Only what a phone dials: digits and a leading plus."""
    digits = "".join(character for character in number if character.isdigit())
    return f"+{digits}" if number.strip().startswith("+") else digits
