"""Which requests make a resource of CloudFormation, and where their members go.

Members and properties are matched without regard to case against AWS's own schemas (scripts/template/schema.py); only
what is named otherwise stands here.
"""

from __future__ import annotations

from typing import Any, Final

from sandbox.cloud.recording import MASKED
from scripts.template.kind import Kind, Members, constant, into, merge, named, pairs


def _attributes(_: dict[str, Any], given: Members) -> Members:
    """SQS and SNS carry their settings as a map of text; a policy is a resource of its own."""
    rest = {name: value for name, value in given.items() if name != "Attributes"}
    return {**rest, **{name: value for name, value in (given.get("Attributes") or {}).items() if name != "Policy"}}


def _attribute(_: dict[str, Any], given: Members) -> Members:
    name = given["AttributeName"]
    return {} if name == "Policy" else {name: given.get("AttributeValue")}


def _logs(so_far: dict[str, Any], given: Members) -> Members:
    """ModifyDBInstance turns exports on and off; the resource lists those that are on."""
    change = given.get("CloudwatchLogsExportConfiguration") or {}
    kept = {*so_far.get("EnableCloudwatchLogsExports", ()), *change.get("EnableLogTypes", ())}
    exports = sorted(kept - {*change.get("DisableLogTypes", ())})
    rest = {name: value for name, value in given.items() if name != "CloudwatchLogsExportConfiguration"}
    return {**rest, "EnableCloudwatchLogsExports": exports} if change else rest


def _code(_: dict[str, Any], __: Members) -> Members:
    return {"Code": {"ZipFile": MASKED}}


def _lifecycle(_: dict[str, Any], given: Members) -> Members:
    """The property has a rule's prefix outside of its filter, and an end in words of its own."""
    rules = [dict(rule) for rule in given["LifecycleConfiguration"]["Rules"]]
    for rule in rules:
        found = rule.pop("Filter", None) or {}
        rule.update({"Prefix": found["Prefix"]} if found.get("Prefix") else {})
        end = dict(rule.pop("Expiration", None) or {})
        rule.update({"ExpirationInDays": end.pop("Days")} if "Days" in end else {})
        rule.update(end)
    return {"LifecycleConfiguration": {"Rules": rules}}


def _inventory(so_far: dict[str, Any], given: Members) -> Members:
    """A property has one list without the API's nesting. CloudFormation cannot say how a list is encrypted."""
    asked = given["InventoryConfiguration"]
    target = asked["Destination"]["S3BucketDestination"]
    destination = {
        "BucketArn": target["Bucket"],
        "BucketAccountId": target.get("AccountId"),
        "Format": target["Format"],
        "Prefix": target.get("Prefix"),
    }
    inventory = {
        "Id": asked["Id"],
        "Enabled": asked["IsEnabled"],
        "Destination": destination,
        "IncludedObjectVersions": asked["IncludedObjectVersions"],
        "OptionalFields": asked.get("OptionalFields"),
        "Prefix": (asked.get("Filter") or {}).get("Prefix"),
        "ScheduleFrequency": asked["Schedule"]["Frequency"],
    }
    return {"InventoryConfigurations": [*so_far.get("InventoryConfigurations", ()), inventory]}


def _bucket(_: dict[str, Any], given: Members) -> Members:
    ownership = given.get("ObjectOwnership")
    owner = {"OwnershipControls": {"Rules": [{"ObjectOwnership": ownership}]}} if ownership else {}
    return {"BucketName": given["Bucket"], **owner}


_ELB: Final = "AWS::ElasticLoadBalancingV2::"
_INSTANCE: Final = ("CreateDBInstance", "RestoreDBInstanceFromDBSnapshot", "RestoreDBInstanceToPointInTime",
                    "CreateDBInstanceReadReplica")  # fmt: skip

KINDS: Final = (
    Kind(
        type="AWS::RDS::DBInstance",
        service="rds",
        create=_INSTANCE,
        identity=("DBInstanceIdentifier",),
        changes={"ModifyDBInstance": _logs},
        delete="DeleteDBInstance",
        renamed={"VpcSecurityGroupIds": "VPCSecurityGroups"},
    ),
    Kind(
        type="AWS::RDS::DBSubnetGroup",
        service="rds",
        create=("CreateDBSubnetGroup",),
        identity=("DBSubnetGroupName",),
        changes={"ModifyDBSubnetGroup": merge},
        delete="DeleteDBSubnetGroup",
    ),
    Kind(
        type="AWS::RDS::DBParameterGroup",
        service="rds",
        create=("CreateDBParameterGroup",),
        identity=("DBParameterGroupName",),
        changes={"ModifyDBParameterGroup": named("Parameters", "Parameters")},
        delete="DeleteDBParameterGroup",
        renamed={"DBParameterGroupFamily": "Family"},
    ),
    Kind(
        type="AWS::ECS::Cluster",
        service="ecs",
        create=("CreateCluster",),
        identity=("clusterName",),
        changes={"UpdateCluster": merge, "UpdateClusterSettings": merge},
        delete="DeleteCluster",
        renamed={"settings": "ClusterSettings"},
        dropped=frozenset({"cluster"}),
    ),
    Kind(
        type="AWS::ECS::TaskDefinition",
        service="ecs",
        create=("RegisterTaskDefinition",),
        identity=(),
        chosen="taskDefinition.taskDefinitionArn",
    ),
    Kind(
        type="AWS::ECS::Service",
        service="ecs",
        create=("CreateService",),
        identity=("cluster", "serviceName|service"),
        changes={"UpdateService": merge},
        delete="DeleteService",
        dropped=frozenset({"service", "clientToken"}),
    ),
    Kind(
        type="AWS::Lambda::Function",
        service="lambda",
        create=("CreateFunction",),
        identity=("FunctionName",),
        changes={
            "UpdateFunctionCode": _code,
            "UpdateFunctionConfiguration": merge,
            "PutFunctionConcurrency": merge,
        },
        delete="DeleteFunction",
        dropped=frozenset({"Publish"}),
    ),
    Kind(
        type="AWS::Lambda::EventInvokeConfig",
        service="lambda",
        create=("PutFunctionEventInvokeConfig",),
        identity=("FunctionName",),
        delete="DeleteFunctionEventInvokeConfig",
        added={"Qualifier": "$LATEST"},  # what the API takes where none is named
    ),
    Kind(
        type="AWS::Lambda::Permission",
        service="lambda",
        create=("AddPermission",),
        identity=("FunctionName", "StatementId"),
        delete="RemovePermission",
        dropped=frozenset({"StatementId"}),
    ),
    Kind(
        type=f"{_ELB}LoadBalancer",
        service="elbv2",
        create=("CreateLoadBalancer",),
        identity=("LoadBalancerArn",),
        chosen="LoadBalancers[0].LoadBalancerArn",
        changes={
            "ModifyLoadBalancerAttributes": pairs("LoadBalancerAttributes", "Attributes"),
            "SetSecurityGroups": merge,
            "SetSubnets": merge,
        },
        delete="DeleteLoadBalancer",
        dropped=frozenset({"LoadBalancerArn"}),
    ),
    Kind(
        type=f"{_ELB}TargetGroup",
        service="elbv2",
        create=("CreateTargetGroup",),
        identity=("TargetGroupArn",),
        chosen="TargetGroups[0].TargetGroupArn",
        changes={
            "ModifyTargetGroup": merge,
            "ModifyTargetGroupAttributes": pairs("TargetGroupAttributes", "Attributes"),
        },
        delete="DeleteTargetGroup",
        dropped=frozenset({"TargetGroupArn"}),
    ),
    Kind(
        type=f"{_ELB}Listener",
        service="elbv2",
        create=("CreateListener",),
        identity=("ListenerArn",),
        chosen="Listeners[0].ListenerArn",
        changes={"ModifyListener": merge, "ModifyListenerAttributes": pairs("ListenerAttributes", "Attributes")},
        delete="DeleteListener",
        dropped=frozenset({"ListenerArn"}),
    ),
    Kind(
        type=f"{_ELB}ListenerRule",
        service="elbv2",
        create=("CreateRule",),
        identity=("RuleArn",),
        chosen="Rules[0].RuleArn",
        changes={"ModifyRule": merge},
        delete="DeleteRule",
        dropped=frozenset({"RuleArn"}),
    ),
    Kind(
        type="AWS::S3::Bucket",
        service="s3",
        create=("CreateBucket",),
        identity=("Bucket",),
        made=_bucket,
        changes={
            "PutBucketEncryption": into(
                "BucketEncryption", "{ServerSideEncryptionConfiguration: ServerSideEncryptionConfiguration.Rules}"
            ),
            "PutBucketInventoryConfiguration": _inventory,
            "PutBucketLifecycleConfiguration": _lifecycle,
            "PutBucketLogging": into("LoggingConfiguration", "BucketLoggingStatus.LoggingEnabled"),
            "PutBucketOwnershipControls": into("OwnershipControls", "OwnershipControls"),
            "PutBucketReplication": into("ReplicationConfiguration", "ReplicationConfiguration"),
            "PutBucketTagging": into("Tags", "Tagging.TagSet"),
            "PutBucketVersioning": into("VersioningConfiguration", "VersioningConfiguration"),
            "PutPublicAccessBlock": into("PublicAccessBlockConfiguration", "PublicAccessBlockConfiguration"),
        },
        delete="DeleteBucket",
        renamed={
            "ApplyServerSideEncryptionByDefault": "ServerSideEncryptionByDefault",
            "TargetBucket": "DestinationBucketName",
            "TargetPrefix": "LogFilePrefix",
        },
    ),
    Kind(
        type="AWS::S3::BucketPolicy",
        service="s3",
        create=("PutBucketPolicy",),
        identity=("Bucket",),
        delete="DeleteBucketPolicy",
        renamed={"Policy": "PolicyDocument"},
        dropped=frozenset({"ChecksumAlgorithm", "ContentMD5", "ConfirmRemoveSelfBucketAccess"}),
    ),
    Kind(
        type="AWS::ElastiCache::ReplicationGroup",
        service="elasticache",
        create=("CreateReplicationGroup",),
        identity=("ReplicationGroupId",),
        changes={"ModifyReplicationGroup": merge},
        delete="DeleteReplicationGroup",
        dropped=frozenset({"ApplyImmediately", "AuthTokenUpdateStrategy"}),
    ),
    Kind(
        type="AWS::ElastiCache::SubnetGroup",
        service="elasticache",
        create=("CreateCacheSubnetGroup",),
        identity=("CacheSubnetGroupName",),
        changes={"ModifyCacheSubnetGroup": merge},
        delete="DeleteCacheSubnetGroup",
        renamed={"CacheSubnetGroupDescription": "Description"},
    ),
    Kind(
        type="AWS::ElastiCache::ParameterGroup",
        service="elasticache",
        create=("CreateCacheParameterGroup",),
        identity=("CacheParameterGroupName",),
        changes={"ModifyCacheParameterGroup": named("Properties", "ParameterNameValues")},
        delete="DeleteCacheParameterGroup",
    ),
    Kind(
        type="AWS::IAM::Role",
        service="iam",
        create=("CreateRole",),
        identity=("RoleName",),
        changes={
            "UpdateRole": merge,
            "UpdateAssumeRolePolicy": into("AssumeRolePolicyDocument", "PolicyDocument"),
            "AttachRolePolicy": lambda so_far, given: {
                "ManagedPolicyArns": [*so_far.get("ManagedPolicyArns", ()), given["PolicyArn"]]
            },
        },
        delete="DeleteRole",
    ),
    Kind(
        type="AWS::IAM::RolePolicy",
        service="iam",
        create=("PutRolePolicy",),
        identity=("RoleName", "PolicyName"),
        delete="DeleteRolePolicy",
        follows=("AWS::IAM::Role", "RoleName"),
    ),
    Kind(
        type="AWS::KMS::Key",
        service="kms",
        create=("CreateKey",),
        identity=("KeyId",),
        chosen="KeyMetadata.KeyId",
        changes={
            "EnableKeyRotation": constant(EnableKeyRotation=True),
            "DisableKeyRotation": constant(EnableKeyRotation=False),
            "EnableKey": constant(Enabled=True),
            "DisableKey": constant(Enabled=False),
            "PutKeyPolicy": into("Policy", "Policy"),
            "UpdateKeyDescription": merge,
        },
        delete="ScheduleKeyDeletion",
        renamed={"Policy": "KeyPolicy", "TagKey": "Key", "TagValue": "Value"},
        dropped=frozenset({"KeyId"}),
    ),
    Kind(
        type="AWS::KMS::Alias",
        service="kms",
        create=("CreateAlias",),
        identity=("AliasName",),
        changes={"UpdateAlias": merge},
        delete="DeleteAlias",
    ),
    Kind(
        type="AWS::SQS::Queue",
        service="sqs",
        create=("CreateQueue",),
        identity=("QueueUrl",),
        chosen="QueueUrl",
        made=_attributes,
        changes={"SetQueueAttributes": _attributes},
        delete="DeleteQueue",
        dropped=frozenset({"QueueUrl"}),
    ),
    Kind(
        type="AWS::SQS::QueuePolicy",
        service="sqs",
        create=("SetQueueAttributes",),
        identity=("QueueUrl",),
        only="Attributes.Policy",
        made=lambda _, given: {"Queues": [given["QueueUrl"]], "PolicyDocument": given["Attributes"]["Policy"]},
    ),
    Kind(
        type="AWS::SNS::Topic",
        service="sns",
        create=("CreateTopic",),
        identity=("TopicArn",),
        chosen="TopicArn",
        made=_attributes,
        changes={"SetTopicAttributes": _attribute},
        delete="DeleteTopic",
        renamed={"Name": "TopicName"},
    ),
    Kind(
        type="AWS::SNS::TopicPolicy",
        service="sns",
        create=("SetTopicAttributes",),
        identity=("TopicArn",),
        only="AttributeName == 'Policy' || null",
        made=lambda _, given: {"Topics": [given["TopicArn"]], "PolicyDocument": given["AttributeValue"]},
    ),
    Kind(
        type="AWS::SNS::Subscription",
        service="sns",
        create=("Subscribe",),
        identity=("SubscriptionArn",),
        chosen="SubscriptionArn",
        made=_attributes,
        changes={"SetSubscriptionAttributes": _attribute},
        delete="Unsubscribe",
        dropped=frozenset({"ReturnSubscriptionArn"}),
    ),
)
# Requests of these services that say nothing a template would hold.
SAYS_NOTHING: Final = {
    "AddTags", "AddTagsToResource", "RemoveTags", "RemoveTagsFromResource", "TagResource", "UntagResource", "TagRole",
    "UntagRole", "TagQueue", "UntagQueue",  # tags added later: no rule is about them
    "DeregisterTaskDefinition",  # the next revision is registered beside it
    "RebootDBInstance", "StartDBInstance", "StopDBInstance",  # an act, not a property
    "PutObject", "DeleteObject", "DeleteObjects", "PutObjectTagging", "CopyObject",  # content
    "SetRulePriorities",
}  # fmt: skip
