"""Extensions as RDS offers them: who has rds_superuser may create one, which PostgreSQL keeps to superusers.

RDS does it inside the server ("Using PostgreSQL extensions with Amazon RDS for PostgreSQL", RDS user guide). Here the
session's role is a superuser while the one command runs, in the same transaction: a failure takes that back as well.
Which ones there are is what the server was built with, not RDS's own list.
"""

from __future__ import annotations

from sandbox.cloud.postgres import ADMIN, Server

BEFORE_AND_AFTER = {"start": "SUPERUSER", "end": "NOSUPERUSER"}


def offer(server: Server, database: str) -> None:
    """Let rds_superuser create them in this database, and in every copy of it."""
    with server.admin(database) as connection:
        for moment, attribute in BEFORE_AND_AFTER.items():
            # In PostgreSQL's own schema, where the application does not see it.
            connection.run(
                f"""
                CREATE FUNCTION pg_catalog.rds_extension_{moment}() RETURNS event_trigger
                LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
                BEGIN
                    IF session_user <> '{ADMIN}' AND pg_has_role(session_user, 'rds_superuser', 'MEMBER') THEN
                        EXECUTE format('ALTER ROLE %I {attribute}', session_user);
                    END IF;
                END $$
                """
            )
            connection.run(
                f"CREATE EVENT TRIGGER rds_extension_{moment} ON ddl_command_{moment} "
                f"WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION pg_catalog.rds_extension_{moment}()"
            )
