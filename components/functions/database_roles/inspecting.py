"""Looks at a whole database, and changes nothing: how it is reached, its schema, its rows, its indexes.

Everything has a limit: people see the crisis page while this runs. What was not looked at in time is told as that.
Of the rows it tells how many there are and the newest times in them, nothing else.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pg8000.exceptions import DatabaseError
from pg8000.native import identifier

# In Lambda the function's own folder is where imports begin; type checks see it from the project's.
if TYPE_CHECKING:
    from components.functions.database_roles import fingerprint
else:
    import fingerprint

Session = fingerprint.Session

# Of the function's two minutes (database_roles.py), of which two logins may take 20 seconds each.
ROWS_SECONDS = 35.0
INDEXES_SECONDS = 35.0
# One statement. The connection itself gives up after 20 seconds of silence.
STATEMENT_SECONDS = 15.0
# Lambda hands over 6 MB; names of objects go first.
MOST_BYTES = 4_000_000
SETTINGS = (
    "SET search_path = pg_catalog",
    "SET default_transaction_read_only = on",
    "SET row_security = off",  # rather an error than a count of some rows
    "SET lock_timeout = '2s'",
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO'",
)
TLS = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"
# Small ones first: what is not looked at in time is one large table rather than everything else.
TABLES = f"""
SELECT c.oid::bigint, own.nspname::text, c.relname::text, CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END
  FROM pg_class c JOIN ({fingerprint.OWN}) own ON own.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm')
   AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = c.tableoid AND objid = c.oid AND deptype = 'e')
 ORDER BY pg_relation_size(c.oid), 2, 3
"""  # noqa: S608 - a constant
# Columns that hold times, and whether an index knows the newest one.
TIMES = """
SELECT a.attrelid::bigint, a.attname::text, EXISTS (
       SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am ON pg_am.oid = c.relam
        WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum AND i.indisvalid AND i.indpred IS NULL
          AND pg_am.amname = 'btree')
  FROM pg_attribute a
 WHERE a.attnum > 0 AND NOT a.attisdropped
   AND a.atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
 ORDER BY a.attrelid, a.attnum
"""
# The catalogue's own as well: pg_catalog and TOAST.
INDEXES = """
SELECT c.oid::bigint, c.oid::regclass::text
  FROM pg_class c JOIN pg_am ON pg_am.oid = c.relam JOIN pg_index i ON i.indexrelid = c.oid
 WHERE c.relkind = 'i' AND pg_am.amname = 'btree' AND c.relpersistence <> 't' AND i.indisready AND i.indisvalid
 ORDER BY pg_relation_size(c.oid), 2
"""
INSTALLED = """
SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'amcheck'
"""
OFFERED = "SELECT FROM pg_available_extensions WHERE name = 'amcheck'"
ITS_OWN = "amcheck_of_inspection"
# Cancelled by its own limit, or kept waiting for somebody's lock.
TOO_LONG = ("57014", "55P03")
# Data or index corrupted, an internal error (XX), a file that cannot be read (58): what was looked at is broken.
BROKEN = ("XX", "58")


@dataclass(frozen=True)
class Table:
    """`rows`: None where nobody knows. `newest` by column. `broken`: what PostgreSQL said of unreadable rows."""

    rows: int | None
    exact: bool
    newest: dict[str, str | None] = field(default_factory=dict)
    broken: str | None = None


@dataclass(frozen=True)
class Indexes:
    """`refused`: why amcheck looked at none, or at no more. `unchecked`: for lack of time."""

    checked: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    unchecked: list[str] = field(default_factory=list)
    refused: str | None = None


@dataclass(frozen=True)
class Inspected:
    """`tls`: the protocol that this very session uses. `objects`: None where there are too many to name."""

    tls: str | None
    fingerprint: str
    objects: dict[str, str] | None
    tables: dict[str, Table]
    indexes: Indexes | None


class Limited:
    """A session in which no statement outlives the time that there is for all of them."""

    def __init__(self, session: Session, seconds: float, clock: Callable[[], float]) -> None:
        self._session = session
        self._clock = clock
        self._end = clock() + seconds

    @property
    def over(self) -> bool:
        return self._clock() >= self._end

    def run(self, sql: str, **values: Any) -> Any:
        left = max(0.1, min(STATEMENT_SECONDS, self._end - self._clock()))
        self._session.run(f"SET statement_timeout = {int(left * 1000)}")
        return self._session.run(sql, **values)

    def back(self, sql: str) -> None:
        """Undo, also where a transaction has failed and takes nothing else any more."""
        self._session.run(sql)


def inspect(session: Session, with_indexes: bool, clock: Callable[[], float] = time.monotonic) -> Inspected:
    """Raises DatabaseError where not even the catalogue can be read."""
    limited = Limited(session, ROWS_SECONDS, clock)
    for setting in SETTINGS:
        limited.run(setting)
    tls = limited.run(TLS)
    objects = fingerprint.objects(limited)
    named = json.dumps(objects, sort_keys=True)
    return Inspected(
        tls=tls[0][0] if tls else None,
        fingerprint=hashlib.sha256(named.encode()).hexdigest(),
        objects=objects if len(named) < MOST_BYTES else None,
        tables=dict(_tables(limited)),
        indexes=_indexes(Limited(session, INDEXES_SECONDS, clock)) if with_indexes else None,
    )


# -- rows -----------------------------------------------------------------------------------------------------------
def _tables(session: Limited) -> Iterator[tuple[str, Table]]:
    times: dict[int, dict[str, bool]] = {}
    for table, column, indexed in session.run(TIMES):
        times.setdefault(table, {})[column] = indexed
    for oid, schema, name, estimate in session.run(TABLES):
        place = f"{identifier(schema)}.{identifier(name)}"
        yield f"{schema}.{name}", _table(session, place, estimate, times.get(oid, {}))


def _table(session: Limited, name: str, estimate: int | None, times: Mapping[str, bool]) -> Table:
    """One look at all rows; where that takes too long, PostgreSQL's estimate and what an index answers at once."""
    try:
        ((count, *newest),) = _looked(session, name, "count(*)", list(times))
        return Table(count, True, dict(zip(times, newest, strict=True)))
    except DatabaseError as error:
        if _code(error).startswith(BROKEN):
            return Table(estimate, False, broken=_said(error))
    newest_known = {}
    for column in (column for column, indexed in times.items() if indexed):
        try:
            ((_, newest_known[column]),) = _looked(session, name, "null", [column])
        except DatabaseError as error:
            if _code(error).startswith(BROKEN):
                return Table(estimate, False, newest_known, _said(error))
    return Table(estimate, False, newest_known)


def _looked(session: Limited, name: str, first: str, columns: list[str]) -> Any:
    wanted = [first, *(f"max({identifier(column)})::text" for column in columns)]
    return session.run(f"SELECT {', '.join(wanted)} FROM ONLY {name}")  # noqa: S608 - names of the catalogue, quoted


# -- indexes --------------------------------------------------------------------------------------------------------
def _indexes(session: Limited) -> Indexes:
    """What amcheck says of every btree index. Where it is not installed it is for this transaction only, which is
    rolled back: it stays away from what the application and its migrations find."""
    session.run("BEGIN READ WRITE")
    try:
        home, refused = _amcheck(session)
        return Indexes(refused=refused) if home is None else _checked(session, home)
    finally:
        session.back("ROLLBACK")


def _amcheck(session: Limited) -> tuple[str | None, str | None]:
    """The schema in which it is, or why it is in none."""
    if there := session.run(INSTALLED):
        return str(there[0][0]), None
    if not session.run(OFFERED):
        return None, "this server does not offer amcheck"
    try:
        session.run(f"CREATE SCHEMA {ITS_OWN}")
        session.run(f"CREATE EXTENSION amcheck SCHEMA {ITS_OWN}")
    except DatabaseError as error:
        return None, f"amcheck cannot be created: {_said(error)}"
    return ITS_OWN, None


def _checked(session: Limited, home: str) -> Indexes:
    indexes = session.run(INDEXES)
    broken, unchecked = {}, []
    session.run("SAVEPOINT one_index")
    for place, (oid, name) in enumerate(indexes):
        if session.over:
            unchecked += [name for _, name in indexes[place:]]
            break
        try:
            session.run(f"SELECT {home}.bt_index_check(CAST(:index AS oid)::regclass)", index=oid)
        except DatabaseError as error:
            if _code(error) in TOO_LONG:
                unchecked.append(name)
            elif _code(error).startswith(BROKEN):
                broken[name] = _said(error)
            else:
                return Indexes(place, broken, unchecked, _said(error))
        finally:
            session.back("ROLLBACK TO one_index")  # its locks as well: thousands would fill the table of locks
    return Indexes(len(indexes) - len(unchecked), broken, unchecked)


# -- errors ---------------------------------------------------------------------------------------------------------
def _code(error: DatabaseError) -> str:
    return str(_told(error).get("C"))


def _said(error: DatabaseError) -> str:
    """Code and first line: a detail could hold a row."""
    return f"{_told(error).get('M')} ({_code(error)})"[:300]


def _told(error: DatabaseError) -> Mapping[str, Any]:
    told = error.args[0] if error.args else None
    return told if isinstance(told, dict) else {"M": str(error)}
