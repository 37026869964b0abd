"""What the function inside the network finds in a restored database, beside what it finds in the one that serves.

A restore is asked for because something is wrong with what serves: that both differ is told and never a failure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scripts import console
from scripts.freezing import checks as freezing
from scripts.promotion import leftovers
from scripts.promotion.record import Record
from scripts.promotion.site import Site

SHOWN = 40  # lines on the terminal; the record has all of them
NAMED = 5  # in a sentence

Answer = Mapping[str, Any]  # components/functions/database_roles/inspecting.py


@dataclass
class Inspection:
    """Of the database `identifier`, whose data reach until `at`, beside the database `beside`.

    Each answer is asked for once: neither database changes meanwhile. `silent`: why there is nothing to compare with.
    """

    site: Site
    identifier: str
    beside: str
    at: datetime | None
    restored: Answer | None = None
    serving: Answer | None = None
    silent: str | None = None
    _asked: bool = field(default=False, repr=False)

    def look(self) -> tuple[bool, str]:
        """Whether it can serve, and what was found."""
        if self.restored is None:
            self.restored, error = _ask(self.site, self.identifier, indexes=True)
            if self.restored is None:
                return False, f"{self.identifier}: {error}"
        if not self._asked:
            self._asked = True
            try:
                self.serving, self.silent = _ask(self.site, self.beside, indexes=False)
            except (ClientError, BotoCoreError) as error:
                self.silent = str(error)
        found = list(faults(self.restored, self.serving))
        return not found, "; ".join([*found, *self._told(self.restored)])

    def _told(self, restored: Answer) -> Iterator[str]:
        yield f"{restored['tls']}, {len(restored['tables'])} tables"
        if self.serving is None:
            yield f"not compared with {self.beside}: {self.silent}"
        elif restored["fingerprint"] == self.serving["fingerprint"]:
            yield f"the schema is that of {self.beside}"
        else:
            found = differences(restored, self.serving)
            yield f"the schema is not that of {self.beside}: {_some(found) if found else 'too many objects to name'}"
        if estimated := [name for name, table in restored["tables"].items() if not table["exact"]]:
            yield f"not counted in time: {_some(estimated)}"
        yield from _of_amcheck(restored["indexes"])
        if self.at and (late := list(later(restored, self.at))):
            yield f"later than the moment, if these are no appointments: {_some(late)}"

    def tell(self, record: Record) -> None:
        """Show what differs, and write everything down."""
        document = self.as_json()
        if self.restored is None or document is None:
            return
        record.add("inspection", **document)
        if self.serving is None:
            return
        rows = [
            (name, _rows(mine), _rows(other), _newest(mine), _newest(other))
            for name, mine, other in side_by_side(self.restored, self.serving)
            if mine != other
        ]
        titles = ("table", "rows now restored", "rows in what serves", "newest restored", "newest in what serves")
        console.table("Rows that differ", titles, rows[:SHOWN])
        found = differences(self.restored, self.serving)
        if found:
            console.table("Schema that differs", ("object",), [(line,) for line in found[:SHOWN]])
        if max(len(rows), len(found)) > SHOWN:
            console.note("There are more: result.json has all of them.")

    def as_json(self) -> dict[str, Any] | None:
        """For the result; None where nothing was asked yet."""
        if self.restored is None:
            return None
        compared = self.serving is not None
        return {
            "database": self.identifier,
            "beside": self.beside,
            "not_compared": self.silent,
            "tls": self.restored["tls"],
            "tls_only": self.restored["tls_only"],
            "fingerprint": self.restored["fingerprint"],
            "same_schema": self.serving["fingerprint"] == self.restored["fingerprint"] if self.serving else None,
            "differences": differences(self.restored, self.serving) if self.serving else None,
            "tables": {
                name: {"restored": mine, **({"serving": other} if compared else {})}
                for name, mine, other in side_by_side(self.restored, self.serving or {"tables": {}})
            },
            "later_than_the_moment": list(later(self.restored, self.at)) if self.at else [],
            "indexes": self.restored["indexes"],
        }


def _ask(site: Site, identifier: str, indexes: bool) -> tuple[Answer | None, str | None]:
    """What the function found in this database, or why there is no answer."""
    instance = site.instance(identifier)
    if instance is None:
        return None, "it does not exist"
    if not (endpoint := instance.get("Endpoint")):
        return None, f"it is {instance['DBInstanceStatus']}"
    for call in leftovers.of_type(site.checkpoint(), freezing.INVOCATION):
        if master := json.loads(call.inputs["input"]).get("master"):
            place = {"host": endpoint["Address"], "port": endpoint["Port"]}
            event = {"task": "inspect", "master": master, "indexes": indexes, **place}
            answer, error = freezing.invoke(site, call.inputs["functionName"], json.dumps(event))
            return (answer, None) if error is None else (None, error)
    return None, "the state records no call of the function inside the network"


# -- judging --------------------------------------------------------------------------------------------------------
def faults(restored: Answer, serving: Answer | None) -> Iterator[str]:
    """What must not serve."""
    if restored["tls"] is None:
        yield "the session is not encrypted"
    if not restored["tls_only"]:
        yield "it takes logins without TLS"
    if not restored["tables"] and serving and serving["tables"]:
        yield f"it has no table, and what serves has {len(serving['tables'])}"
    if unreadable := [f"{name} ({table['broken']})" for name, table in restored["tables"].items() if table["broken"]]:
        yield f"cannot be read: {_some(unreadable)}"
    if broken := [f"{name} ({said})" for name, said in restored["indexes"]["broken"].items()]:
        yield f"broken indexes: {_some(broken)}"


def _of_amcheck(indexes: Mapping[str, Any]) -> Iterator[str]:
    if indexes["refused"]:
        yield f"amcheck after {indexes['checked']} indexes: {indexes['refused']}"
    else:
        yield f"amcheck looked at {indexes['checked']} btree indexes"
    if indexes["unchecked"]:
        yield f"{len(indexes['unchecked'])} not in time: {_some(indexes['unchecked'])}"


def differences(restored: Answer, serving: Answer) -> list[str]:
    """Each object that is not the same in both, named; nothing where there are too many for the function to name."""
    mine, other = restored["objects"], serving["objects"]
    if mine is None or other is None:
        return []
    found = {name: "differs" for name in mine.keys() & other.keys() if mine[name] != other[name]}
    found |= dict.fromkeys(mine.keys() - other.keys(), "only in what was restored")
    found |= dict.fromkeys(other.keys() - mine.keys(), "only in what serves")
    return [f"{name}: {how}" for name, how in sorted(found.items())]


def side_by_side(restored: Answer, serving: Answer) -> Iterator[tuple[str, Answer | None, Answer | None]]:
    """Every table of both; None where it is not there."""
    mine, other = restored["tables"], serving["tables"]
    for name in sorted(mine.keys() | other.keys()):
        yield name, mine.get(name), other.get(name)


def later(restored: Answer, at: datetime) -> Iterator[str]:
    """Columns that hold something later than what the data should reach until."""
    for name, table in restored["tables"].items():
        for column, newest in table["newest"].items():
            if (moment := _moment(newest)) and moment > at:
                yield f"{name}.{column} {newest}"


def _moment(text: str | None) -> datetime | None:
    """None for what Python knows no time for: infinity, years before Christ."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# -- words ----------------------------------------------------------------------------------------------------------
def _some(found: list[str]) -> str:
    more = [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
    return ", ".join([*found[:NAMED], *more])


def _rows(table: Answer | None) -> str:
    if table is None:
        return "no such table"
    if table["rows"] is None:
        return "not counted"
    return f"{table['rows']:,}" if table["exact"] else f"about {table['rows']:,}"


def _newest(table: Answer | None) -> str:
    times = table["newest"] if table else {}
    return "\n".join(f"{column} {newest or 'none'}" for column, newest in times.items())
