"""Takes the application's roles every way into a database, and proves it. What undoes it is the task `roles`.

A setting of a session or a role would not do: the client overrides `default_transaction_read_only`. So nobody but the
master may begin a session any more, and the sessions that there are end, the master's own among them, whatever they
are in the middle of.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import identifier

# A session that began before the roles were locked may take a moment to be seen: it must stay quiet for so long.
QUIET_SECONDS = 2.0
PATIENCE_SECONDS = 30.0
LOOK_EVERY = 0.1
# What PostgreSQL says to a session that is refused: not permitted to log in, another password, no right to connect.
REFUSALS = ("28000", "28P01", "42501")
# An open transaction holds the entry of a role: lock not available, tuple concurrently updated, deadlock.
BUSY = ("55P03", "XX000", "40P01")

SESSIONS = """
SELECT pid FROM pg_stat_activity AS session
 WHERE backend_type <> 'walsender' AND pid <> pg_backend_pid()
   AND NOT EXISTS (SELECT FROM pg_roles WHERE oid = session.usesysid AND rolsuper)
   AND (datname = current_database() OR usesysid = (SELECT oid FROM pg_roles WHERE rolname = current_user)
        OR usesysid IN (SELECT oid FROM pg_roles WHERE rolname::text = ANY(CAST(:roles AS text[]))))
"""
# Everybody who was given the right to connect, but for who owns the database: the master, as whom this runs.
ADMITTED = """
SELECT DISTINCT holder.rolname::text
  FROM pg_database AS base
 CROSS JOIN aclexplode(coalesce(base.datacl, acldefault('d', base.datdba))) AS entry
  JOIN pg_roles AS holder ON holder.oid = entry.grantee
 WHERE base.datname = current_database() AND entry.privilege_type = 'CONNECT'
   AND holder.oid <> base.datdba AND NOT holder.rolsuper AND holder.rolname <> current_user
 ORDER BY 1
"""
# Whoever may act for the owner of the database lets everybody in again, also from another database.
OWNERS = """
SELECT member.rolname::text, owner.rolname::text
  FROM pg_database AS base
  JOIN pg_roles AS owner ON owner.oid = base.datdba
  JOIN pg_roles AS member ON pg_has_role(member.oid, owner.oid, 'MEMBER')
 WHERE base.datname = current_database() AND member.oid <> owner.oid
   AND member.rolcanlogin AND NOT member.rolsuper AND member.rolname <> current_user
 ORDER BY 1
"""
STILL_OPEN = """
SELECT rolname::text FROM pg_roles
 WHERE rolcanlogin AND NOT rolsuper AND rolname <> current_user
   AND (rolname::text = ANY(CAST(:roles AS text[])) OR has_database_privilege(oid, current_database(), 'CONNECT'))
 ORDER BY 1
"""
# Nobody but its role and AWS's own superuser can end one, so it stays what it is while the role is locked.
PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY 1"


class Session(Protocol):
    """A connection to the database."""

    def run(self, sql: str, **values: Any) -> Any: ...
    def close(self) -> None: ...


class NotLocked(Exception):
    """Somebody could still write. The text says who."""


@dataclass(frozen=True)
class Locked:
    """`absent`: roles that do not exist here. `ended`: sessions. `revoked`: others who lost the right to connect, and
    do not get it back by the task `roles`. `refused`: what PostgreSQL said to each role's login. `prepared`: two-phase
    transactions that wait, and cannot be committed while their role is locked."""

    locked: list[str]
    absent: list[str]
    ended: int
    revoked: list[str]
    refused: dict[str, str]
    prepared: list[str]


def lock(
    master: Session,
    logins: Mapping[str, Callable[[], Session]],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Locked:
    """Lock the roles that `logins` names and everybody else but the master; `logins` tries each one's own password.

    Running it again changes nothing. Raises NotLocked where somebody still has a way in, DatabaseError where a
    statement was refused.
    """
    existing = {name for (name,) in master.run("SELECT rolname::text FROM pg_roles")}
    roles = sorted(existing & logins.keys())
    deadline = clock() + PATIENCE_SECONDS
    ended = 0
    while True:
        ended += _end_sessions(master, roles)
        revoked = _lock_roles(master, roles)
        if revoked is not None:
            break
        if clock() > deadline:
            raise NotLocked(
                "the roles' entries stay busy: what holds them is no session that this may end, see "
                "pg_locks and pg_prepared_xacts"
            )
        sleep(LOOK_EVERY)
    ended += _until_quiet(master, roles, deadline, clock, sleep)
    refused = {role: _refusal(role, logins[role], deadline, clock, sleep) for role in roles}
    if owners := master.run(OWNERS):
        revoke = "; ".join(f"REVOKE {identifier(owner)} FROM {identifier(member)}" for member, owner in owners)
        raise NotLocked(f"these roles may act for the database's owner and open it again; as the master: {revoke}")
    if still := [name for (name,) in master.run(STILL_OPEN, roles=roles)]:
        raise NotLocked(f"these roles may still log in: {', '.join(still)}")
    return Locked(
        locked=roles,
        absent=sorted(logins.keys() - existing),
        ended=ended,
        revoked=[name for name in revoked if name not in logins],
        refused=refused,
        prepared=[gid for (gid,) in master.run(PREPARED)],
    )


def _end_sessions(master: Session, roles: Sequence[str]) -> int:
    """End every session that could write, and say how many there were."""
    found = [pid for (pid,) in master.run(SESSIONS, roles=list(roles))]
    for pid in found:
        master.run("SELECT pg_terminate_backend(:pid)", pid=pid)
    return len(found)


def _lock_roles(master: Session, roles: Sequence[str]) -> list[str] | None:
    """Who lost the right to connect; None where a session keeps an entry busy."""
    try:
        master.run("BEGIN")
        master.run("SET LOCAL lock_timeout = '1s'")
        admitted = [name for (name,) in master.run(ADMITTED)]
        ((database,),) = master.run("SELECT current_database()::text")
        for statement in statements(str(database), roles, admitted):
            master.run(statement)
        master.run("COMMIT")
    except DatabaseError as error:
        master.run("ROLLBACK")
        if _code(error) in BUSY:
            return None
        raise
    return admitted


def statements(database: str, roles: Sequence[str], admitted: Sequence[str]) -> list[str]:
    """The SQL that locks: no login, no connection, and no right to one for anybody."""
    found = [f"ALTER ROLE {identifier(role)} WITH NOLOGIN CONNECTION LIMIT 0" for role in roles]
    holders = ["PUBLIC", *(identifier(name) for name in admitted)]
    found.append(f"REVOKE CONNECT ON DATABASE {identifier(database)} FROM {', '.join(holders)} CASCADE")
    return found


def _until_quiet(
    master: Session,
    roles: Sequence[str],
    deadline: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> int:
    """End what began before the lock and is seen only now, until nothing is left for a while."""
    ended, quiet_since = 0, clock()
    while clock() - quiet_since < QUIET_SECONDS:
        if found := _end_sessions(master, roles):
            ended, quiet_since = ended + found, clock()
            if clock() > deadline:
                raise NotLocked(f"{found} session(s) do not end")
        sleep(LOOK_EVERY)
    return ended


def _refusal(
    role: str,
    login: Callable[[], Session],
    deadline: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> str:
    """What PostgreSQL answers to the role's own password. No session, so nothing that a write could be tried in.

    Any other failure proves nothing: those who try to come back may have taken every connection for a moment.
    """
    while True:
        try:
            session = login()
        except (DatabaseError, InterfaceError, OSError) as error:
            if (code := _code(error)) in REFUSALS:
                return code
            if clock() > deadline:
                raise
            sleep(LOOK_EVERY)
        else:
            session.close()
            raise NotLocked(f"{role} still logs in with its password")


def _code(error: Exception) -> str:
    told = error.args[0] if error.args else None
    return str(told.get("C")) if isinstance(told, dict) else ""
