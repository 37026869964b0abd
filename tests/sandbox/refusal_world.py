"""What the requests of `refusals.py` refer to, and how `$name` in them becomes an identifier."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any, Final

from tests.sandbox import roles
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, Site, World, hosted_zone, wait

ACCOUNT: Final = "123456789012"
_PLACEHOLDER: Final = re.compile(r"\$([a-z_]+)")


class Things(dict[str, Any]):
    """Identifiers by name."""

    def fill(self, template: Any) -> Any:
        """A template with its placeholders replaced; one that is a whole string may stand for anything."""
        if isinstance(template, Mapping):
            return {key: self.fill(value) for key, value in template.items() if value is not None}
        if isinstance(template, list):
            return [self.fill(value) for value in template]
        if not isinstance(template, str):
            return template
        if template.startswith("$") and template[1:] in self:
            return self[template[1:]]
        return _PLACEHOLDER.sub(lambda found: str(self[found[1]]), template)


def build(world: World) -> Things:
    """Everything that a request may name, in kenya's region."""
    site = Site(world, KENYA)
    site.build_network()
    things = Things(archive=_archive(), vpc=site.vpc, subnet=site.public[0], other_subnet=site.public[1])
    things.update(group=site.alb_group, open_group=site.alb_group, route_table=site.private_table)
    _identities(world, things)
    _data(world, things)
    _traffic(site, things)
    _services(world, things)
    _restorable(world, things)
    things["foreign_snapshot"] = _snapshot(world, str(things["key_there"]))
    return things


def _archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("handler.py", "def handler(event, context):\n    return event\n")
    return content.getvalue()


def _identities(world: World, things: Things) -> None:
    iam = world.client("iam", "us-east-1")
    for name, service in (("function", "lambda.amazonaws.com"), ("task", "ecs-tasks.amazonaws.com")):
        things[f"{name}_role"] = roles.make(iam, f"{name}-role", service)
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="task-role", PolicyName="read", PolicyDocument=policy)
    things["role_name"] = "task-role"


def _data(world: World, things: Things) -> None:
    kms, s3 = world.client("kms", KENYA), world.client("s3", KENYA)
    things["key"] = kms.create_key()["KeyMetadata"]["KeyId"]
    things["disabled_key"] = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=things["disabled_key"])
    kms.create_alias(AliasName="alias/taken", TargetKeyId=things["key"])
    things["alias"] = "alias/taken"
    things["key_there"] = world.client("kms", SOUTH_AFRICA).create_key()["KeyMetadata"]["Arn"]
    for name in ("bucket", "versioned", "versioned_too", "blocked"):
        things[name] = f"refusals-{name.replace('_', '-')}"
        s3.create_bucket(Bucket=things[name], CreateBucketConfiguration={"LocationConstraint": KENYA})
    for name in ("versioned", "versioned_too"):
        s3.put_bucket_versioning(Bucket=things[name], VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_ownership_controls(
        Bucket=things["bucket"], OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    blocked = {"BlockPublicPolicy": True, "BlockPublicAcls": True, "IgnorePublicAcls": True}
    s3.put_public_access_block(Bucket=things["blocked"], PublicAccessBlockConfiguration=blocked)
    secrets = world.client("secretsmanager", KENYA)
    things["secret_name"] = "taken"
    things["secret"] = secrets.create_secret(Name="taken", SecretString="x")["ARN"]
    world.client("ssm", KENYA).put_parameter(Name="/taken", Value="x", Type="String")
    world.client("logs", KENYA).create_log_group(logGroupName="/taken")
    things["topic"] = world.client("sns", KENYA).create_topic(Name="taken")["TopicArn"]


def _traffic(site: Site, things: Things) -> None:
    elb, route53 = site.client("elbv2"), site.world.client("route53", "us-east-1")
    made = elb.create_load_balancer(Name="front", Subnets=site.public, SecurityGroups=[site.alb_group])
    things["balancer"] = made["LoadBalancers"][0]["LoadBalancerArn"]
    things["target_group"] = site.target_group("refusals")
    site.listener = things["listener"] = elb.create_listener(
        LoadBalancerArn=things["balancer"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": things["target_group"]}],
    )["Listeners"][0]["ListenerArn"]
    site.rule(10, {"Type": "forward", "TargetGroupArn": things["target_group"]})
    things["zone"] = hosted_zone(site.world).rpartition("/")[2]
    record = {"Name": "taken.example.org", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    route53.change_resource_record_sets(
        HostedZoneId=things["zone"], ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    )


def _services(world: World, things: Things) -> None:
    ecs, functions = world.client("ecs", KENYA), world.client("lambda", KENYA)
    things["cluster"] = ecs.create_cluster(clusterName="refusals")["cluster"]["clusterName"]
    made = ecs.register_task_definition(
        family="accepted",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "web", "image": "ghcr.io/x/y:1", "essential": True}],
    )
    things["task_definition"] = made["taskDefinition"]["taskDefinitionArn"]
    function = functions.create_function(
        FunctionName="taken",
        Role=things["function_role"],
        Runtime="python3.13",
        Handler="handler.handler",
        Code={"ZipFile": things["archive"]},
    )
    things.update(function=function["FunctionArn"], function_name="taken")


def _database(world: World, region: str, name: str, key: str, retention: int) -> None:
    world.client("rds", region).create_db_instance(
        DBInstanceIdentifier=name,
        Engine="postgres",
        DBInstanceClass="db.t4g.medium",
        AllocatedStorage=20,
        StorageEncrypted=True,
        KmsKeyId=key,
        MasterUsername="postgres",
        MasterUserPassword="long-enough-1",
        BackupRetentionPeriod=retention,
    )


def _restorable(world: World, things: Things) -> None:
    """A database with automated backups, whose key is disabled once there are some, and one without."""
    kms, rds = world.client("kms", KENYA), world.client("rds", KENYA)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    things.update(restorable="restorable", kept_nothing="kept-nothing")
    _database(world, KENYA, "restorable", key, 1)
    _database(world, KENYA, "kept-nothing", key, 0)

    def backed_up() -> bool:
        found = rds.describe_db_instance_automated_backups(DBInstanceIdentifier="restorable")
        return bool(found["DBInstanceAutomatedBackups"] and found["DBInstanceAutomatedBackups"][0]["RestoreWindow"])

    wait(backed_up, 40, "the first backup")
    kms.disable_key(KeyId=key)


def _snapshot(world: World, key: str) -> str:
    """The ARN of an encrypted snapshot in the other region."""
    rds = world.client("rds", SOUTH_AFRICA)
    _database(world, SOUTH_AFRICA, "source", key, 0)

    def available() -> bool:
        return bool(rds.describe_db_instances()["DBInstances"][0]["DBInstanceStatus"] == "available")

    wait(available, 40, "the source database")
    made = rds.create_db_snapshot(DBInstanceIdentifier="source", DBSnapshotIdentifier="source-copy")
    arn = str(made["DBSnapshot"]["DBSnapshotArn"])
    wait(lambda: rds.describe_db_snapshots()["DBSnapshots"][0]["Status"] == "available", 40, "the snapshot")
    return arn
