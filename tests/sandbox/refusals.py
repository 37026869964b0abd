"""What AWS refuses: one row a rule, with the error code that AWS answers and where the rule is written.

`$name` in a row's parameters stands for something that exists (refusal_world.py).
"""

from __future__ import annotations

from typing import Final

from tests.sandbox import refusals_of_platform, refusals_of_restores, refusals_of_services

REFUSALS: Final = (*refusals_of_restores.ROWS, *refusals_of_services.ROWS, *refusals_of_platform.ROWS)
