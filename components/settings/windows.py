"""Backup and maintenance windows of RDS, in UTC: `hh:mm-hh:mm` every day, `ddd:hh:mm-ddd:hh:mm` once a week.

Source: CreateDBInstance in the RDS API reference (PreferredBackupWindow, PreferredMaintenanceWindow): at least 30
minutes each, and they must not overlap. A maintenance window is at most a day long.
"""

import re
from typing import Final

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY: Final = 24 * 60
WEEK: Final = len(DAYS) * DAY
SHORTEST: Final = 30
_TIME = r"([01]\d|2[0-3]):([0-5]\d)"
_DAILY = re.compile(f"{_TIME}-{_TIME}")
_WEEKLY = re.compile(f"({'|'.join(DAYS)}):{_TIME}-({'|'.join(DAYS)}):{_TIME}")


def daily_window(value: object) -> str:
    """A valid backup window as it is. Raises ValueError saying what is allowed."""
    text = str(value)
    if not _DAILY.fullmatch(text):
        raise ValueError("allowed: hh:mm-hh:mm in UTC, such as 03:00-03:30")
    _check_length(text, _daily(text)[1], DAY)
    return text


def weekly_window(value: object) -> str:
    """A valid maintenance window as it is. Raises ValueError saying what is allowed."""
    text = str(value)
    if not _WEEKLY.fullmatch(text):
        raise ValueError("allowed: ddd:hh:mm-ddd:hh:mm in UTC, lower case, such as sun:04:30-sun:05:30")
    _check_length(text, _weekly(text)[1], DAY)
    return text


def check_apart(backup: str, maintenance: str) -> None:
    """Raise ValueError where the daily window touches the weekly one on any day."""
    start, length = _weekly(maintenance)
    first, long = _daily(backup)
    for day in range(len(DAYS)):
        begins = first + day * DAY
        if (begins - start) % WEEK < length or (start - begins) % WEEK < long:
            raise ValueError(
                f"backupWindow {backup} overlaps maintenanceWindow {maintenance} on {DAYS[day]}, which RDS refuses"
            )


def _check_length(window: str, minutes: int, longest: int) -> None:
    if not SHORTEST <= minutes <= longest:
        raise ValueError(f"{window} lasts {minutes} minutes; allowed: {SHORTEST} minutes to {longest // 60} hours")


def _daily(window: str) -> tuple[int, int]:
    """Begin and length in minutes. One that ends before it begins goes over midnight."""
    begin, end = (_minutes(part) for part in window.split("-"))
    return begin, (end - begin) % DAY


def _weekly(window: str) -> tuple[int, int]:
    begin, end = (DAYS.index(part[:3]) * DAY + _minutes(part[4:]) for part in window.split("-"))
    return begin, (end - begin) % WEEK


def _minutes(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)
