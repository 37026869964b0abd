"""Whether the restored database holds exactly what it must: a decision on rows and moments alone."""

from __future__ import annotations

from scripts.rehearsal.evidence import Evidence


def rows_exact(e: Evidence) -> tuple[bool, str]:
    """Rows 1..M without a hole; all that were acknowledged before the snapshot's moment, none begun after it.

    The moment isn't a point: between `not_before` and `not_after` a row may be inside or not. One writer commits one
    row at a time in ascending order.
    """
    if e.read_back is None:
        return False, "The rows could not be read back."
    if e.data_moment is None:
        return False, f"It is not known from when the data of {e.restored_from} are."
    present = e.present
    if present != list(range(1, len(present) + 1)):
        return False, f"{len(present)} rows with holes: {_holes(present)}"
    must = sum(1 for row in e.rows if row.acknowledged <= e.data_moment.not_before)
    may = sum(1 for row in e.rows if row.sent <= e.data_moment.not_after)
    evidence = (
        f"rows 1 to {len(present)} are there, without a hole; {must} were acknowledged before the snapshot's moment, "
        f"{may} begun before its end; {e.committed_before - len(present)} later ones are lost"
    )
    return must <= len(present) <= may and must > 0, evidence


def _holes(present: list[int]) -> str:
    missing = sorted(set(range(1, max(present, default=0) + 1)) - set(present))
    return f"{len(missing)} missing, first {missing[:5]}; {len(present) - len(set(present))} twice"
