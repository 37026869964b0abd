"""A moment as people type it: with its zone, or it is refused. Three hours off would restore the damage, too."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from scripts.errors import RefusedError

TYPED = re.compile(
    r"(?P<time>\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?)"
    r"(?:(?P<offset>Z|[+-]\d{2}:\d{2})| ?\[(?P<bracketed>[^\[\]]+)\]| (?P<named>[A-Za-z][\w+/-]*))?"
)
ALLOWED = (
    'Allowed, to the second: "2026-03-02T09:14:30+03:00", "2026-03-02T06:14:30Z", "2026-03-02 09:14:30 Africa/Nairobi".'
)


def parse(typed: str) -> datetime:
    """The moment in UTC. Raises RefusedError where it is not exactly one."""
    found = TYPED.fullmatch(typed.strip())
    if found is None:
        raise _refused(f'"{typed}" is no time.')
    try:
        local = datetime.fromisoformat(found["time"])
    except ValueError as error:
        raise _refused(f'"{typed}" does not exist: {error}.') from None
    if found["offset"]:
        try:
            return datetime.fromisoformat(f"{local.isoformat()}{found['offset']}").astimezone(UTC)
        except ValueError as error:
            raise _refused(f'"{typed}" has no valid offset: {error}.') from None
    name = found["bracketed"] or found["named"]
    if name is None:
        raise _refused(f'"{typed}" has no zone: hours could lie between what is meant and what is restored.')
    return _in_zone(typed, local, name)


def _in_zone(typed: str, local: datetime, name: str) -> datetime:
    if name not in available_timezones():
        raise _refused(f'"{typed}": there is no time zone {name}.')
    zone = ZoneInfo(name)
    # Where clocks change, `fold` tells which of two readings is meant: they differ only then.
    readings = [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    real = [at for at in dict.fromkeys(readings) if at.astimezone(zone).replace(tzinfo=None) == local]
    if len(real) == 1:
        return real[0]
    if real:
        one, other = (f"{at.astimezone(zone).isoformat()}" for at in real)
        raise _refused(f'"{typed}" was twice, when clocks were set back in {name}: {one} or {other}.')
    after = readings[0].astimezone(zone)
    raise _refused(f'"{typed}" never was: clocks in {name} were set forward over it, to {after.isoformat()}.')


def _refused(problem: str) -> RefusedError:
    return RefusedError(f"{problem} Nothing was changed.", ALLOWED)


def written(at: datetime) -> str:
    """As the stack's file has it: UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def said(at: datetime) -> str:
    """For people."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
