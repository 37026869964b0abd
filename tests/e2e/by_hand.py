"""What somebody changes behind the engine's back: an input of each type, through a provider of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.sandbox.drift import put
from tests.sandbox.provider_client import Client, Made

Resource = Mapping[str, Any]  # as the state has it
Resources = Mapping[str, Resource]  # one of each type
Change = dict[str, Any]  # values by path
_TAGS: Final = {"tags": {"Owner": "every-type", "By": "hand"}}


def _policy(action: str, resource: str, **rest: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **rest}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _to_nat(_: Client, resources: Resources) -> Change:
    return {"gatewayId": None, "natGatewayId": resources["aws:ec2/natGateway:NatGateway"]["id"]}


def _to_another_key(client: Client, _: Resources) -> Change:
    return {"targetKeyId": client.create("aws:kms/key:Key", {"description": "by hand"}).state["keyId"]}


def _bucket_policy(_: Client, resources: Resources) -> Change:
    bucket = resources["aws:s3/bucketPolicy:BucketPolicy"]["id"]
    who = {"AWS": "123456789012"}
    return {"policy": _policy("s3:GetObjectVersion", f"arn:aws:s3:::{bucket}/*", Principal=who)}


# An input of each type without tags; of the others the tags are changed unless an input stands here.
INPUTS: Final[dict[str, Change | Callable[[Client, Resources], Change]]] = {
    "aws:appautoscaling/policy:Policy": {"targetTrackingScalingPolicyConfiguration.targetValue": 70},
    "aws:appautoscaling/target:Target": {"maxCapacity": 3},
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": {"alarmDescription": "by hand"},
    "aws:cloudwatch/dashboard:Dashboard": {"dashboardBody": json.dumps({"widgets": [], "start": "-PT1H"})},
    "aws:cloudwatch/logGroup:LogGroup": {"retentionInDays": 1},
    "aws:cloudwatch/metricAlarm:MetricAlarm": {"threshold": 5},
    "aws:ec2/route:Route": _to_nat,
    "aws:ec2/subnet:Subnet": {"mapPublicIpOnLaunch": True},
    "aws:ec2/vpc:Vpc": {"enableDnsHostnames": False},
    "aws:ecs/service:Service": {"deploymentMinimumHealthyPercent": 50},
    "aws:elasticache/replicationGroup:ReplicationGroup": {"snapshotRetentionLimit": 1},
    "aws:iam/role:Role": {"maxSessionDuration": 7200},
    "aws:iam/rolePolicy:RolePolicy": {"policy": _policy("s3:GetObject", "*")},
    "aws:kms/alias:Alias": _to_another_key,
    "aws:kms/key:Key": {"enableKeyRotation": False},
    "aws:lambda/function:Function": {"timeout": 9},
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": {"maximumRetryAttempts": 2},
    "aws:lb/listenerRule:ListenerRule": {"priority": 150},
    "aws:lb/loadBalancer:LoadBalancer": {"idleTimeout": 90},
    "aws:lb/targetGroup:TargetGroup": {"deregistrationDelay": 60},
    "aws:rds/instance:Instance": {"backupRetentionPeriod": 1},
    "aws:rds/parameterGroup:ParameterGroup": {"parameters.value": "0"},
    "aws:route53/healthCheck:HealthCheck": {"failureThreshold": 5},
    "aws:route53/record:Record": {"ttl": 30},
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {"rules.status": "Disabled"},
    "aws:s3/bucketLogging:BucketLogging": {"targetPrefix": "by-hand/"},
    "aws:s3/bucketObjectv2:BucketObjectv2": {"cacheControl": "no-store"},
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": {"rule.objectOwnership": "ObjectWriter"},
    "aws:s3/bucketPolicy:BucketPolicy": _bucket_policy,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {"restrictPublicBuckets": False},
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": {"rules.status": "Disabled"},
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
        "rules.bucketKeyEnabled": False
    },
    "aws:s3/bucketVersioning:BucketVersioning": {"versioningConfiguration.status": "Suspended"},
    "aws:s3/inventory:Inventory": {"schedule.frequency": "Weekly"},
    "aws:scheduler/schedule:Schedule": {"description": "by hand"},
    "aws:secretsmanager/secret:Secret": {"description": "by hand"},
    "aws:sqs/queue:Queue": {"visibilityTimeoutSeconds": 9},
}
# Which one is changed where a type has several and not all can be.
NAMED: Final = {
    "aws:cloudwatch/logGroup:LogGroup": "flows",
    "aws:rds/instance:Instance": "database",
    "aws:route53/record:Record": "proof",  # no alias, so it has a TTL
    "aws:s3/bucketPolicy:BucketPolicy": "audio",
    "aws:s3/bucketVersioning:BucketVersioning": "reports",  # replication keeps the others versioned
}
# Whatever is changed of these makes another resource; tests/sandbox/test_drift.py reads such a one.
CREATE_ONLY: Final = {
    "aws:acm/certificateValidation:CertificateValidation",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:lambda/invocation:Invocation",
    "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication",
    "aws:secretsmanager/secretVersion:SecretVersion",
    "aws:sns/topicSubscription:TopicSubscription",
}


def change_one_of_each_type(port: int, region: str, state: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Change an input of one resource of each type that can be changed; by URN, its changed inputs."""
    chosen: dict[str, Resource] = {}
    for item in state:
        if item["urn"].rpartition("::")[2] == NAMED.get(item["type"], item["urn"].rpartition("::")[2]):
            chosen.setdefault(item["type"], item)
    changed: dict[str, set[str]] = {}
    client = Client(port, region)
    try:
        for token in sorted(chosen.keys() - CREATE_ONLY):
            one, given = chosen[token], INPUTS.get(token, _TAGS)
            change = given(client, chosen) if callable(given) else given
            inputs, outputs = dict(one["inputs"]), dict(one["outputs"])
            client.update(Made(token, one["id"], inputs, outputs), put(inputs, change))
            changed[one["urn"]] = {path.split(".")[0] for path in change}
    finally:
        client.close()
    return changed
