"""The pulled snapshot cycle: this region fetches copies of the primary's database, as long as it stands by.

Pulled, because what the primary would have to push stops with the primary, unnoticed. The function and its rules are
in functions/snapshot_cycle.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components import naming, policies
from components.metrics import OWN_NAMESPACE
from components.scheduled_function import ScheduledFunction, ScheduledFunctionArgs
from components.watches_recovery import FunctionWatch

SOURCE = Path(__file__).parent / "functions" / "snapshot_cycle"
EVERY_MINUTES = 5
TIMEOUT_SECONDS = 120
MEMORY_MIB = 256


@dataclass(frozen=True, kw_only=True)
class SnapshotCycleArgs:
    """`source_region` and `source_short_name` say whose database is copied; `key_arn` encrypts the copies.

    `running` is false from the moment of a promotion: what the old primary still holds must not be copied any more.
    """

    short_name: str
    tags: naming.Tags
    account_id: str
    region: str
    source_region: str
    source_short_name: str
    key_arn: pulumi.Input[str]
    running: bool


class SnapshotCycle(pulumi.ComponentResource):
    """Function and schedule. The function also keeps when the primary last answered, in a parameter that it makes
    itself: declared here, its changing value would be reported as drift for ever.

    `stopped`: what a restore has to wait for. `watch`: the function as alarms know it.
    """

    def __init__(self, name: str, args: SnapshotCycleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:snapshots:SnapshotCycle", name, {}, opts)
        cycle = ScheduledFunction(
            name,
            ScheduledFunctionArgs(
                short_name=args.short_name,
                tags=args.tags,
                account_id=args.account_id,
                region=args.region,
                noun=naming.SNAPSHOT_CYCLE,
                description=f"Copies of the database in {args.source_region}",
                code=pulumi.AssetArchive(
                    {file.name: pulumi.FileAsset(str(file)) for file in sorted(SOURCE.glob("*.py"))}
                ),
                environment=environment(args),
                key_arn=args.key_arn,
                statements=pulumi.Output.from_input(args.key_arn).apply(lambda key: statements(args, key)),
                network=None,
                timeout_seconds=TIMEOUT_SECONDS,
                memory_mib=MEMORY_MIB,
                every_minutes=EVERY_MINUTES,
                event={"time": "<aws.scheduler.scheduled-time>"},
                enabled=args.running,
                # A restore waits for this schedule, so it waits for nothing.
                ticks_after=[],
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.watch = FunctionWatch(
            noun=naming.SNAPSHOT_CYCLE,
            name=cycle.function_name,
            every_minutes=EVERY_MINUTES,
            dead_letters=cycle.dead_letters_name,
            tells_runs=True,
        )
        self.stopped: list[pulumi.Resource] = [cycle.schedule]
        self.register_outputs({"function_name": cycle.function_name})


def environment(args: SnapshotCycleArgs) -> dict[str, pulumi.Input[str]]:
    """What functions/snapshot_cycle/handler.py reads."""
    return {
        "SOURCE_REGION": args.source_region,
        "SOURCE_BASE": naming.physical(args.source_short_name, "rds"),
        "KEY_ARN": args.key_arn,
        "PARAMETER": naming.sign_of_life_parameter(args.short_name),
        "ROLE_TAG": naming.ROLE_TAG,
        "SERVING_ROLE": naming.SERVING_ROLE,
        "MADE_BY_TAG": naming.MADE_BY_TAG,
        "MADE_BY": naming.SNAPSHOT_CYCLE,
        "SOURCE_TAG": naming.SOURCE_TAG,
        "UNUSABLE_TAG": naming.UNUSABLE_TAG,
        "METRIC_NAMESPACE": OWN_NAMESPACE,
        "STACK": args.tags["Stack"],
        "COPY_TAGS": json.dumps(args.tags, sort_keys=True),
    }


def statements(args: SnapshotCycleArgs, key_arn: str) -> list[dict[str, Any]]:
    """What the cycle may do: look, snapshot, copy, prune what it made itself. Sources: the service authorization
    references of RDS, KMS and Systems Manager; "Copying a DB snapshot" in the RDS user guide for the keys."""
    base = naming.physical(args.source_short_name, "rds")
    there = f"arn:aws:rds:{args.source_region}:{args.account_id}"
    here = f"arn:aws:rds:{args.region}:{args.account_id}"
    taken, automated = f"{there}:snapshot:{base}*", f"{there}:snapshot:rds:{base}*"
    copies = f"{here}:snapshot:{base}*"
    return [
        policies.allow("FindSource", ["rds:DescribeDBInstances"], [f"{there}:db:*"]),
        policies.allow(
            "FindSnapshots",
            ["rds:DescribeDBSnapshots"],
            [f"{there}:snapshot:*", f"{here}:snapshot:*", f"{there}:db:*", f"{here}:db:*"],
        ),
        policies.allow(
            "FindBackups", ["rds:DescribeDBInstanceAutomatedBackups"], [f"{here}:db:*", f"{here}:auto-backup:*"]
        ),
        policies.allow("TakeSnapshot", ["rds:CreateDBSnapshot"], [f"{there}:db:{base}*", taken]),
        policies.allow("CopySnapshot", ["rds:CopyDBSnapshot"], [taken, automated, copies]),
        # IAM offers no narrower resource: it stands for the call that this region makes to the source region.
        policies.allow("ReachSource", ["rds:CrossRegionCommunication"], ["*"]),
        policies.allow("TagSnapshots", ["rds:AddTagsToResource"], [taken, copies]),
        policies.allow(
            "PruneOwn",
            ["rds:DeleteDBSnapshot"],
            [taken, copies],
            {"StringEquals": {f"aws:ResourceTag/{naming.MADE_BY_TAG}": naming.SNAPSHOT_CYCLE}},
        ),
        *_keys(args, key_arn),
        # PutMetricData knows no resource: the namespace is all that it can be limited by.
        policies.allow(
            "Metrics",
            ["cloudwatch:PutMetricData"],
            ["*"],
            {"StringEquals": {"cloudwatch:namespace": OWN_NAMESPACE}},
        ),
        policies.allow(
            "SignOfLife",
            ["ssm:GetParameter", "ssm:PutParameter"],
            [f"arn:aws:ssm:{args.region}:{args.account_id}:parameter{naming.sign_of_life_parameter(args.short_name)}"],
        ),
    ]


def _keys(args: SnapshotCycleArgs, key_arn: str) -> list[dict[str, Any]]:
    """Let RDS decrypt there and encrypt here: it uses keys under a grant that its caller makes, who needs no more than
    that ("AWS KMS key management", RDS user guide). The primary's key is known by its alias: nothing of this stack
    reads what the other one exports."""
    through_there = {"kms:ViaService": f"rds.{args.source_region}.amazonaws.com"}
    through_here = {"kms:ViaService": f"rds.{args.region}.amazonaws.com"}
    by_alias = {"kms:ResourceAliases": naming.data_key_alias(args.source_short_name)}
    source_keys = [f"arn:aws:kms:{args.source_region}:{args.account_id}:key/*"]
    look, grant = ["kms:DescribeKey"], ["kms:CreateGrant"]
    aliased: Mapping[str, Any] = {"ForAnyValue:StringEquals": by_alias}
    return [
        policies.allow("SourceKey", look, source_keys, {**aliased, "StringEquals": through_there}),
        policies.allow("SourceKeyGrants", grant, source_keys, {**aliased, **_for_aws(through_there)}),
        policies.allow("CopyKey", look, [key_arn], {"StringEquals": through_here}),
        policies.allow("CopyKeyGrants", grant, [key_arn], _for_aws(through_here)),
    ]


def _for_aws(through: Mapping[str, str]) -> dict[str, Any]:
    """A grant that only an AWS service can use."""
    return {"Bool": {"kms:GrantIsForAWSResource": "true"}, "StringEquals": dict(through)}
