"""What a schema consists of: each object with a short hash of its definition, equal in a database and in its copy.

Left out is what belongs to an extension, whose version says enough, and what changes as rows are written: where a
sequence is, statistics. Who owns an object or may use it is no part of its definition: the task `roles` sets that.
"""

from typing import Any, Protocol

# PostgreSQL's own catalogues have no other names than these.
OWN = "SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
# (catalogue and id of the object, or of the table that it is a part of; name; definition) by kind. A row as text
# keeps its values apart. With an empty search path PostgreSQL qualifies every name.
KINDS = {
    "schema": "SELECT s.tableoid, s.oid, quote_ident(s.nspname), '' FROM pg_namespace s JOIN own USING (oid)",
    "extension": "SELECT tableoid, oid, quote_ident(extname), extversion FROM pg_extension",
    "table": """
SELECT c.tableoid, c.oid, c.oid::regclass::text,
       ROW(c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.reloptions,
           pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
           (SELECT array_agg(inhparent::regclass::text ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = c.oid),
           CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END)::text
  FROM pg_class c JOIN own ON own.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')""",
    "column": """
SELECT c.tableoid, c.oid, format('%s.%I', c.oid::regclass, a.attname),
       ROW(format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
           a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid))::text
  FROM pg_class c JOIN own ON own.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')""",
    "constraint": """
SELECT coalesce(c.tableoid, t.tableoid), coalesce(c.oid, t.oid),
       format('%s.%I', coalesce(c.oid::regclass::text, t.oid::regtype::text), k.conname), pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN own ON own.oid = k.connamespace
  LEFT JOIN pg_class c ON c.oid = k.conrelid
  LEFT JOIN pg_type t ON t.oid = k.contypid""",
    "index": """
SELECT c.tableoid, c.oid, c.oid::regclass::text, ROW(pg_get_indexdef(c.oid), i.indisvalid)::text
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN own ON own.oid = c.relnamespace""",
    "sequence": """
SELECT c.tableoid, c.oid, c.oid::regclass::text,
       ROW(s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle)::text
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN own ON own.oid = c.relnamespace""",
    "function": """
SELECT p.tableoid, p.oid, p.oid::regprocedure::text,
       CASE p.prokind
       WHEN 'a' THEN (SELECT ROW(aggtransfn, aggfinalfn, aggcombinefn, aggtranstype::regtype, agginitval)::text
                        FROM pg_aggregate WHERE aggfnoid = p.oid)
       ELSE pg_get_functiondef(p.oid) END
  FROM pg_proc p JOIN own ON own.oid = p.pronamespace""",
    "trigger": """
SELECT c.tableoid, c.oid, format('%s.%I', c.oid::regclass, t.tgname), ROW(pg_get_triggerdef(t.oid), t.tgenabled)::text
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN own ON own.oid = c.relnamespace
 WHERE NOT t.tgisinternal""",
    "rule": """
SELECT c.tableoid, c.oid, format('%s.%I', c.oid::regclass, r.rulename), ROW(pg_get_ruledef(r.oid), r.ev_enabled)::text
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN own ON own.oid = c.relnamespace
 WHERE r.rulename <> '_RETURN'""",
    "policy": """
SELECT c.tableoid, c.oid, format('%s.%I', c.oid::regclass, p.polname),
       ROW(p.polcmd, p.polpermissive, (SELECT array_agg(role::regrole::text ORDER BY role::regrole::text)
                                         FROM unnest(p.polroles) AS role),
           pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN own ON own.oid = c.relnamespace""",
    "type": """
SELECT t.tableoid, t.oid, t.oid::regtype::text,
       ROW(t.typtype, t.typnotnull, t.typdefault, format_type(t.typbasetype, t.typtypmod),
           (SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid),
           (SELECT rngsubtype::regtype FROM pg_range WHERE rngtypid = t.oid))::text
  FROM pg_type t JOIN own ON own.oid = t.typnamespace
 WHERE t.typtype IN ('e', 'd', 'r')""",
}
HASHED = """
WITH own AS ({own}), member AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e')
SELECT name, substr(encode(sha256(convert_to(definition, 'UTF8')), 'hex'), 1, 12)
  FROM ({kind}) AS object (class, id, name, definition)
 WHERE NOT EXISTS (SELECT FROM member WHERE classid = class AND objid = id)
"""


class Session(Protocol):
    """A connection to the database."""

    def run(self, sql: str, **values: Any) -> Any: ...


def objects(session: Session) -> dict[str, str]:
    """Hash by kind and name of each object. `session` has `search_path` set to pg_catalog alone."""
    return {
        f"{kind} {name}": hashed
        for kind, statement in KINDS.items()
        for name, hashed in session.run(HASHED.format(own=OWN, kind=statement))
    }
