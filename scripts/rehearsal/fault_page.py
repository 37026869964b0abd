"""Prints docs/faults.md from the fault table: `python -m scripts.rehearsal.fault_page`."""

from __future__ import annotations

from scripts.rehearsal.fault_rows import Moment, Row
from scripts.rehearsal.fault_table import FAULTS

HEAD = """# Faults in a promotion

`dr rehearse faults` draws each of these into a promotion whose primary region is lost, with the real engine and the
real `dr promote --apply`. A row holds if the exit code is the one below (its meaning is in
[exit-codes.md](exit-codes.md)), the message names the cause, people are served exactly where the table says so and the
result says the same where the promotion failed, the takeover is said only if the critical services answer, nothing was
changed where the promotion is refused, and the same command completes once the fault is mended: every check holds, with
one database that was restored once.

`--only NAME` (more than once) takes some of them. The seed is printed; it draws which service or zone is hit, how late
answers are, when a fault comes that needs a moment, and in which order those come that stop a promotion at the same
point. The table says what must happen; what did happen, and when, is in [measurements.md](measurements.md). Three rows
run in `make test`. This page is made from `scripts/rehearsal/fault_table.py` by `make docs`.

| fault | what is broken | ends | code | people are served | mended by |
| --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    return HEAD + "\n".join(map(line, FAULTS)) + "\n"


def line(row: Row) -> str:
    broken = row.broken + (f" ({_moment(row.moment)})" if row.moment else "")
    cells = (f"`{row.name}`", broken, row.outcome, str(row.code), "yes" if row.served else "no", row.mended)
    return f"| {' | '.join(cells)} |"


def _moment(moment: Moment) -> str:
    low, high = moment.minutes
    return f"{low:g} to {high:g} modelled minutes after {moment.told}"


if __name__ == "__main__":
    print(page(), end="")
