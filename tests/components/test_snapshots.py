"""How far the snapshot cycle's permissions reach: one database there, its copies here, and the keys of both.

Schedule, variables and calls are in test_functions.py, what the function does in test_snapshot_handler.py.
"""

from typing import Any

import pytest

from components import naming
from components.snapshots import SnapshotCycleArgs, statements
from tests.components.examples import ACCOUNT

KEY = f"arn:aws:kms:af-south-1:{ACCOUNT}:key/own"
THERE, HERE = f"arn:aws:rds:eu-west-1:{ACCOUNT}", f"arn:aws:rds:af-south-1:{ACCOUNT}"
BASE = "mental-health-platform-kenya-rds"


@pytest.fixture
def granted() -> dict[str, dict[str, Any]]:
    args = SnapshotCycleArgs(
        short_name="sa",
        tags=naming.tags("test"),
        account_id=ACCOUNT,
        region="af-south-1",
        source_region="eu-west-1",
        source_short_name="kenya",
        key_arn=KEY,
        running=True,
    )
    return {statement["Sid"]: statement for statement in statements(args, KEY)}


def test_it_takes_snapshots_of_the_primarys_databases_only(granted: dict[str, dict[str, Any]]) -> None:
    assert granted["TakeSnapshot"]["Resource"] == [f"{THERE}:db:{BASE}*", f"{THERE}:snapshot:{BASE}*"]


def test_it_copies_what_it_or_rds_took_there_to_a_name_of_its_own_here(granted: dict[str, dict[str, Any]]) -> None:
    assert granted["CopySnapshot"]["Resource"] == [
        f"{THERE}:snapshot:{BASE}*",
        f"{THERE}:snapshot:rds:{BASE}*",
        f"{HERE}:snapshot:{BASE}*",
    ]


def test_it_prunes_on_both_sides_but_never_what_rds_took(granted: dict[str, dict[str, Any]]) -> None:
    assert granted["PruneOwn"]["Resource"] == [f"{THERE}:snapshot:{BASE}*", f"{HERE}:snapshot:{BASE}*"]


def test_the_primarys_key_is_known_by_its_alias(granted: dict[str, dict[str, Any]]) -> None:
    for sid in ("SourceKey", "SourceKeyGrants"):
        condition = granted[sid]["Condition"]
        assert granted[sid]["Resource"] == [f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/*"]
        assert condition["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": naming.data_key_alias("kenya")}
        assert condition["StringEquals"] == {"kms:ViaService": "rds.eu-west-1.amazonaws.com"}


def test_rds_uses_keys_by_a_grant_and_the_cycle_by_itself_cannot(granted: dict[str, dict[str, Any]]) -> None:
    for sid in ("SourceKey", "CopyKey"):
        assert granted[sid]["Action"] == ["kms:DescribeKey"]
    for sid in ("SourceKeyGrants", "CopyKeyGrants"):
        assert granted[sid]["Action"] == ["kms:CreateGrant"]
        assert granted[sid]["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}


def test_copies_are_encrypted_with_this_regions_key(granted: dict[str, dict[str, Any]]) -> None:
    for sid in ("CopyKey", "CopyKeyGrants"):
        assert granted[sid]["Resource"] == [KEY]
        assert granted[sid]["Condition"]["StringEquals"] == {"kms:ViaService": "rds.af-south-1.amazonaws.com"}


def test_it_looks_at_the_backups_that_are_replicated_to_here(granted: dict[str, dict[str, Any]]) -> None:
    assert granted["FindBackups"]["Action"] == ["rds:DescribeDBInstanceAutomatedBackups"]
    assert granted["FindBackups"]["Resource"] == [f"{HERE}:db:*", f"{HERE}:auto-backup:*"]


def test_it_writes_one_parameter(granted: dict[str, dict[str, Any]]) -> None:
    name = naming.sign_of_life_parameter("sa")
    assert granted["SignOfLife"]["Resource"] == [f"arn:aws:ssm:af-south-1:{ACCOUNT}:parameter{name}"]


def test_it_tells_figures_of_one_namespace_only(granted: dict[str, dict[str, Any]]) -> None:
    assert granted["Metrics"]["Action"] == ["cloudwatch:PutMetricData"]
    assert granted["Metrics"]["Condition"] == {"StringEquals": {"cloudwatch:namespace": "MentalHealthPlatform"}}
