"""The real configuration files as the engine hands them over, and facts of a region, for tests to change one thing."""

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import naming
from components.configuration import read_settings
from components.facts import Backups, Copy, Facts, Instance, Offer
from components.settings.stack import Settings
from components.stack_files import DEFAULTS, Sources

ROOT = Path(__file__).resolve().parents[2]
PROJECT = naming.PLATFORM
KENYA = "kenya"
SOUTH_AFRICA = "south-africa"
ACCOUNT = "123456789012"
ZONE_ID = "Z0123456789"
KEY_ARN = f"arn:aws:kms:af-south-1:{ACCOUNT}:key/own"
LAST_SIGN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

Path_ = tuple[str | int, ...]


class Missing:
    """Take a key away instead of changing it."""


MISSING = Missing()


def sources(stack: str) -> Sources:
    """The checkout's own files."""
    return Sources.read(ROOT, PROJECT, stack)


def engine_values(stack: str, changes: Mapping[Path_, Any] | None = None) -> dict[str, str]:
    """The real files with some values changed, as text by key. `zoneId` is what `dr bootstrap` would have written."""
    files = sources(stack)
    values: dict[str, Any] = copy.deepcopy({**files.project_keys, **files.stack_keys, "zoneId": ZONE_ID})
    for path, value in (changes or {}).items():
        _change(values, path, value)
    return {"aws:region" if key == "region" else f"{PROJECT}:{key}": _text(value) for key, value in values.items()}


def _change(values: dict[str, Any], path: Path_, value: Any) -> None:
    target: Any = values
    for step in path[:-1]:
        target = target[step]
    if isinstance(value, Missing):
        del target[path[-1]]
    else:
        target[path[-1]] = value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def settings(stack: str = SOUTH_AFRICA, changes: Mapping[Path_, Any] | None = None) -> Settings:
    return read_settings(PROJECT, stack, engine_values(stack, changes), sources(stack))


def refused(changes: Mapping[Path_, Any], stack: str = SOUTH_AFRICA) -> str:
    """The message that a changed configuration is refused with."""
    with pytest.raises(pulumi.RunError) as refusal:
        settings(stack, changes)
    return str(refusal.value)


def default(name: str, *path: str | int) -> Path_:
    """Where the real files keep a shared default."""
    return (DEFAULTS, name, *path)


COPY = Copy(
    identifier="mental-health-platform-kenya-rds-snapshot-2026-03-02-0845",
    status="available",
    source_database="mental-health-platform-kenya-rds",
    copied_from="arn:aws:rds:eu-west-1:123456789012:snapshot:mental-health-platform-kenya-rds-snapshot-2026-03-02-0845",
    made_by=naming.SNAPSHOT_CYCLE,
    unusable=False,
    encrypted=True,
    key_arn=KEY_ARN,
    original_created_at=datetime(2026, 3, 2, 8, 45, tzinfo=UTC),
    engine_version="17.6",
    allocated_storage=100,
)

INSTANCE = Instance(
    identifier="mental-health-platform-sa-rds",
    status="available",
    engine_version="17.6",
    allocated_storage=100,
    generation="first",
    role=naming.SERVING_ROLE,
    restored_from=COPY.identifier,
    replica_of=None,
)

SOURCE_ARN = f"arn:aws:rds:eu-west-1:{ACCOUNT}:db:mental-health-platform-kenya-rds"

REPLICA = replace(INSTANCE, role=naming.REPLICA_ROLE, restored_from=SOURCE_ARN, replica_of=SOURCE_ARN, replication=None)

BACKUPS = Backups(
    arn=f"arn:aws:rds:af-south-1:{ACCOUNT}:auto-backup:ab-example",
    source_arn=SOURCE_ARN,
    status="replicating",
    key_arn=KEY_ARN,
    latest=datetime(2026, 3, 2, 8, 55, tzinfo=UTC),
    engine_version="17.6",
    allocated_storage=100,
    resource_id="db-KENYA",
    earliest=datetime(2026, 2, 23, 9, 0, tzinfo=UTC),
)

OFFERS = tuple(Offer(version, smallest_storage=20, largest_storage=65536, lacks=()) for version in ("16.9", "17.6"))

FACTS = Facts(
    account=ACCOUNT,
    instances=(),
    copies=(COPY,),
    data_key_arn=KEY_ARN,
    sign_of_life=LAST_SIGN,
    offers=OFFERS,
)


def from_source(source: str, **changes: Any) -> dict[Path_, Any]:
    """What a stack's file says for another source than the copies, as changes of the real file."""
    given: dict[Path_, Any] = {("database", "standbySource"): source, ("database", "standbySourceArn"): SOURCE_ARN}
    return {**given, **{(name,): value for name, value in changes.items()}}


def with_copies(*copies: Copy) -> Facts:
    return replace(FACTS, copies=copies)


def with_instances(*instances: Instance) -> Facts:
    return replace(FACTS, instances=instances)
