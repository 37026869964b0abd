"""The snapshot cycle's calls with what the program allows its function: all of it is needed, each action taken away is
missed, and what belongs to others is out of reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from components import naming, policies, snapshots
from components.metrics import OWN_NAMESPACE
from components.naming import physical, sign_of_life_parameter
from scripts.rehearsal import access
from tests.sandbox import roles
from tests.sandbox.database_estate import Estate, running_estate
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA

ACCOUNT = "123456789012"
BASE = physical("kenya", "rds")
MADE_BY = {"Key": naming.MADE_BY_TAG, "Value": naming.SNAPSHOT_CYCLE}
TAKEN = f"{BASE}-snapshot-2026-01-01"


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with running_estate() as found:
        kms = found.world.client("kms", KENYA)
        kms.create_alias(AliasName=naming.data_key_alias("kenya"), TargetKeyId=found.keys[KENYA])
        found.create(BASE, StorageEncrypted=True, KmsKeyId=found.keys[KENYA])
        found.snapshot(BASE, TAKEN)
        yield found


def statements(estate: Estate) -> list[dict[str, Any]]:
    """What the program allows the function beyond its log."""
    args = snapshots.SnapshotCycleArgs(
        short_name="sa",
        tags=naming.tags("south-africa"),
        account_id=ACCOUNT,
        region=SOUTH_AFRICA,
        source_region=KENYA,
        source_short_name="kenya",
        key_arn=estate.keys[SOUTH_AFRICA],
        running=True,
    )
    return snapshots.statements(args, estate.keys[SOUTH_AFRICA])


@dataclass
class Cycle:
    """The function's calls, made with a role of that name."""

    estate: Estate
    role: str

    def client(self, service: str, region: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            region_name=region,
            endpoint_url=self.estate.world.url,
            aws_access_key_id=f"TASK-{self.role}",
            aws_secret_access_key="fake",
            config=Config(retries={"max_attempts": 0}),
        )

    def run(self) -> None:
        there, here = self.client("rds", KENYA), self.client("rds", SOUTH_AFRICA)
        name = f"{BASE}-snapshot-{self.role}"
        there.describe_db_instances()
        for client in (there, here):
            client.describe_db_snapshots()
        here.describe_db_instance_automated_backups()
        self.client("ssm", SOUTH_AFRICA).put_parameter(
            Name=sign_of_life_parameter("sa"), Value="now", Type="String", Overwrite=True
        )
        self.client("ssm", SOUTH_AFRICA).get_parameter(Name=sign_of_life_parameter("sa"))
        data = [{"MetricName": "CopyCycleRuns", "Value": 1.0}]
        metrics = self.client("cloudwatch", SOUTH_AFRICA)
        metrics.put_metric_data(Namespace=OWN_NAMESPACE, MetricData=data)
        self.estate.available(BASE)
        there.create_db_snapshot(DBInstanceIdentifier=BASE, DBSnapshotIdentifier=name, Tags=[MADE_BY])
        here.copy_db_snapshot(
            SourceDBSnapshotIdentifier=f"arn:aws:rds:{KENYA}:{ACCOUNT}:snapshot:{TAKEN}",
            TargetDBSnapshotIdentifier=name,
            KmsKeyId=self.estate.keys[SOUTH_AFRICA],
            SourceRegion=KENYA,
            Tags=[MADE_BY],
        )
        for region, client in ((KENYA, there), (SOUTH_AFRICA, here)):
            self.estate.completed(name, region)
            client.delete_db_snapshot(DBSnapshotIdentifier=name)


def make(estate: Estate, name: str, without: str = "") -> Cycle:
    granted = statements(estate)
    for statement in granted:
        statement["Action"] = [kept for kept in statement["Action"] if kept != without] or ["sts:GetCallerIdentity"]
    iam = estate.world.client("iam", "us-east-1")
    roles.make(iam, name, "lambda.amazonaws.com", allowed=None)
    iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=policies.document(*granted))
    return Cycle(estate, name)


def told(estate: Estate) -> dict[str, Any]:
    found: dict[str, Any] = estate.world.control("GET", "access")
    return found


def test_all_that_the_cycle_is_allowed_is_needed(estate: Estate) -> None:
    make(estate, "whole").run()
    found = told(estate)
    own = {"mental-health-platform-sa-snapshot-cycle-runs": found["roles"]["whole"]}
    uses = [use | {"role": next(iter(own))} for use in found["uses"] if use["role"] == "whole"]
    assert len(uses) > 15
    assert [str(part) for part in access.unused(own, uses)] == []
    assert not [entry for entry in found["refusals"] if entry["role"] == "whole"]


@pytest.mark.parametrize(
    "action",
    [
        "rds:DescribeDBInstances",
        "rds:DescribeDBSnapshots",
        "rds:DescribeDBInstanceAutomatedBackups",
        "rds:CreateDBSnapshot",
        "rds:CopyDBSnapshot",
        "rds:CrossRegionCommunication",
        "rds:AddTagsToResource",
        "rds:DeleteDBSnapshot",
        "kms:DescribeKey",
        "kms:CreateGrant",
        "cloudwatch:PutMetricData",
        "ssm:GetParameter",
        "ssm:PutParameter",
    ],
)
def test_an_action_taken_away_is_missed(estate: Estate, action: str) -> None:
    name = "no-" + action.replace(":", "-").lower()
    with pytest.raises(ClientError) as refusal:
        make(estate, name, without=action).run()
    code = refusal.value.response["Error"]["Code"]
    assert ("KMSKeyNotAccessible" if action.startswith("kms:") else "AccessDenied") in code
    assert {entry["action"] for entry in told(estate)["refusals"] if entry["role"] == name} == {action}


def test_what_others_made_and_other_databases_are_out_of_reach(estate: Estate) -> None:
    cycle = make(estate, "curious")
    there, here = cycle.client("rds", KENYA), cycle.client("rds", SOUTH_AFRICA)
    beyond: dict[str, Any] = {
        "a snapshot that the cycle did not make": lambda: there.delete_db_snapshot(DBSnapshotIdentifier=TAKEN),
        "another database": lambda: there.create_db_snapshot(DBInstanceIdentifier="other", DBSnapshotIdentifier="x"),
        "another region's databases": lambda: here.describe_db_instances(),
        "another key": lambda: here.copy_db_snapshot(
            SourceDBSnapshotIdentifier=f"arn:aws:rds:{KENYA}:{ACCOUNT}:snapshot:{TAKEN}",
            TargetDBSnapshotIdentifier=f"{BASE}-snapshot-other-key",
            KmsKeyId=estate.world.client("kms", SOUTH_AFRICA).create_key()["KeyMetadata"]["Arn"],
            SourceRegion=KENYA,
        ),
        "another namespace": lambda: cycle.client("cloudwatch", SOUTH_AFRICA).put_metric_data(
            Namespace="AWS/RDS", MetricData=[{"MetricName": "x", "Value": 1.0}]
        ),
    }
    for what, attempt in beyond.items():
        with pytest.raises(ClientError) as refusal:
            attempt()
        assert refusal.value.response["Error"]["Code"] in ("AccessDenied", "KMSKeyNotAccessibleFault"), what
