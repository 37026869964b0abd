"""Names of everything this program makes, as pure functions.

A name that AWS would refuse raises `ValueError` here, before any resource is registered. The limits come from the
API reference of each service (the pattern beside each kind is AWS's, narrowed to lower case and hyphens).
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NewType

PLATFORM: Final = "mental-health-platform"
PLATFORM_ABBREVIATION: Final = "mhp"

ROLE_TAG: Final = "platform:role"
GENERATION_TAG: Final = "platform:generation"
RESTORED_FROM_TAG: Final = "platform:restored-from"
SOURCE_TAG: Final = "platform:source"
MADE_BY_TAG: Final = "platform:made-by"
UNUSABLE_TAG: Final = "platform:unusable"
REASON_TAG: Final = "platform:reason"
COPY_TO_TAG: Final = "platform:copy-to"

SERVING_ROLE: Final = "serving-database"
RETAINED_ROLE: Final = "retained-database"
REPLICA_ROLE: Final = "replica-database"
SNAPSHOT_CYCLE: Final = "snapshot-cycle"
SNAPSHOT_BY_HAND: Final = "dr-snapshot"
SNAPSHOT_MAKERS: Final = (SNAPSHOT_CYCLE, SNAPSHOT_BY_HAND)
"""What MADE_BY_TAG says of a snapshot: each maker gives up its own ones only, and data of both are good."""

DATABASE_HOST_WHEN_NONE: Final = "database.invalid"
"""Host in the database secrets while there is no database: `.invalid` never resolves (RFC 2606)."""

CACHE_HOST_WHEN_NONE: Final = "cache.invalid"
"""The same in the cache's secret."""

Tags = NewType("Tags", dict[str, str])
"""Only `tags()` makes these, so a component that takes them cannot forget one."""


@dataclass(frozen=True)
class Limit:
    """What AWS accepts as the name of one kind of resource."""

    longest: int
    pattern: str
    meaning: str
    shortest: int = 1


_HYPHENATED = r"[a-z]([a-z0-9]|-(?!-))*(?<!-)"
_HYPHENATED_MEANING = "lower-case letters, digits and single hyphens, starting with a letter, not ending with a hyphen"
_PATH = r"[A-Za-z0-9/_+=.@-]+"
_PATH_MEANING = "letters, digits and / _ + = . @ -"

LIMITS: Final[dict[str, Limit]] = {
    "general": Limit(63, _HYPHENATED, _HYPHENATED_MEANING),
    "database": Limit(63, _HYPHENATED, _HYPHENATED_MEANING),
    "database-snapshot": Limit(255, _HYPHENATED, _HYPHENATED_MEANING),
    "cache": Limit(40, _HYPHENATED, _HYPHENATED_MEANING),
    "bucket": Limit(63, r"[a-z0-9][a-z0-9-]*[a-z0-9]", "lower-case letters, digits and hyphens", shortest=3),
    "load-balancer": Limit(32, _HYPHENATED, _HYPHENATED_MEANING),
    "target-group": Limit(32, _HYPHENATED, _HYPHENATED_MEANING),
    "role": Limit(64, _HYPHENATED, _HYPHENATED_MEANING),
    "function": Limit(64, _HYPHENATED, _HYPHENATED_MEANING),
    "schedule": Limit(64, _HYPHENATED, _HYPHENATED_MEANING),
    "cluster": Limit(255, _HYPHENATED, _HYPHENATED_MEANING),
    "queue": Limit(80, _HYPHENATED, _HYPHENATED_MEANING),
    "topic": Limit(256, _HYPHENATED, _HYPHENATED_MEANING),
    "alarm": Limit(255, _HYPHENATED, _HYPHENATED_MEANING),
    "dashboard": Limit(255, _HYPHENATED, _HYPHENATED_MEANING),
    "key-alias": Limit(256, r"alias/(?!aws/)[A-Za-z0-9/_-]+", "alias/ and letters, digits, / _ -, not alias/aws/"),
    "secret": Limit(512, _PATH, _PATH_MEANING),
    "parameter": Limit(1011, r"/[A-Za-z0-9/_.-]+", "a path of letters, digits and _ . -"),
    "log-group": Limit(512, r"[A-Za-z0-9/_.#-]+", "letters, digits and / _ . # -"),
    "database-role": Limit(63, r"[a-z_][a-z0-9_]*", "a PostgreSQL identifier: lower-case letters, digits, underscores"),
}

_KIND_OF_NOUN: Final = {
    "alb": "load-balancer",
    "rds": "database",
    "redis": "cache",
    "cache-imports": "bucket",
    "audio-storage": "bucket",
    "access-logs": "bucket",
    "page": "bucket",
    "cluster": "cluster",
}


def checked(name: str, kind: str) -> str:
    """Return `name` if AWS accepts it for `kind` (a key of LIMITS), else raise ValueError saying what is allowed."""
    limit = LIMITS[kind]
    if not limit.shortest <= len(name) <= limit.longest or not re.fullmatch(limit.pattern, name):
        raise ValueError(
            f"{name!r} ({len(name)} characters) is no valid {kind} name: "
            f"{limit.shortest} to {limit.longest} characters, {limit.meaning}"
        )
    return name


def physical(short: str, noun: str, kind: str | None = None) -> str:
    """Name of a resource of the stack with the short name `short`, as the plan writes them."""
    return checked(f"{PLATFORM}-{short}-{noun}", kind or _KIND_OF_NOUN.get(noun, "general"))


def target_group(short: str, service: str) -> str:
    return checked(f"{PLATFORM_ABBREVIATION}-{short}-{service}", "target-group")


def data_key_alias(short: str) -> str:
    return checked(f"alias/{PLATFORM}-{short}-data", "key-alias")


def alerts_key_alias(short: str) -> str:
    return checked(f"alias/{PLATFORM}-{short}-alerts", "key-alias")


def secret(owner: str, noun: str) -> str:
    """Name of a secret; `owner` is a stack's short name or `shared`."""
    return checked(f"{PLATFORM}/{owner}/{noun}", "secret")


def sign_of_life_parameter(short: str) -> str:
    """SSM parameter in the standby region that says when the primary last answered the snapshot cycle."""
    return checked(f"/{PLATFORM}/{short}/primary-last-sign-of-life", "parameter")


def function_log_group(function: str) -> str:
    return checked(f"/aws/lambda/{function}", "log-group")


def database_log_group(database_identifier: str, log: str) -> str:
    """Where RDS exports a log of an instance to ("Publishing PostgreSQL logs", RDS user guide)."""
    return checked(f"/aws/rds/instance/{database_identifier}/{log}", "log-group")


def database(short: str, generation: str, first: bool, identifier: str | None = None) -> str:
    """Identifier of a database generation: the plan's name for the first, `<db>-<generation>` for later ones."""
    if identifier is not None:
        return checked(identifier, "database")
    base = physical(short, "rds")
    return base if first else checked(f"{base}-{generation}", "database")


def final_snapshot(database_identifier: str) -> str:
    return checked(f"{database_identifier}-final", "database-snapshot")


def release_snapshot(database_identifier: str, at: datetime) -> str:
    """Of one that is about to be given up; at its deletion RDS takes another by the name above."""
    return checked(f"{final_snapshot(database_identifier)}-{at:%Y-%m-%d-%H%M}", "database-snapshot")


def database_role(service: str) -> str:
    """PostgreSQL role of a service."""
    return checked(service.replace("-", "_"), "database-role")


def tags(stack: str) -> Tags:
    """The tags that every resource of `stack` carries."""
    return Tags({"Platform": PLATFORM, "Stack": stack, "ManagedBy": "pulumi"})
