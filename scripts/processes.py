"""Processes of this machine, as the kernel knows them: no other program is asked, and a slim machine may have none."""

from __future__ import annotations

import psutil

# The kernel counts from its own start, and what it says of that moment follows the machine's clock.
CLOCK_SECONDS = 2.0


def program(pid: int) -> str:
    """The name of a running process's program; "" if there is no such process, or only its corpse."""
    try:
        found = psutil.Process(pid)
        return "" if found.status() == psutil.STATUS_ZOMBIE else str(found.name())
    except psutil.NoSuchProcess:
        return ""


def born(pid: int) -> float | None:
    """When a process began, in epoch seconds; None if there is no such process, or only its corpse."""
    try:
        found = psutil.Process(pid)
        return None if found.status() == psutil.STATUS_ZOMBIE else float(found.create_time())
    except psutil.NoSuchProcess:
        return None


def same(pid: int, began: float) -> bool:
    """Whether the process that began then still runs: ids are used again."""
    now = born(pid)
    return now is not None and abs(now - began) < CLOCK_SECONDS
