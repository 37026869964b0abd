"""What the plugin replaces, from the source of its resources: the second witness, where a page says too little.

Pages rarely say what a change does. The schema of the resource does: `ForceNew`, or `RequiresReplace` in newer ones.
"""

from __future__ import annotations

from typing import Final, NamedTuple

REPOSITORY: Final = "https://github.com/hashicorp/terraform-provider-aws/blob/"


class Schema(NamedTuple):
    """The schema of one resource, read on 2026-11-27.

    `file`: under internal/service; `commit`: the version that was read, of differing ages and not always the one that
    pulumi_aws has inside; `forces_new`: those of our arguments whose change makes a new resource.
    """

    file: str
    commit: str
    forces_new: str

    @property
    def address(self) -> str:
        return f"{REPOSITORY}{self.commit}/internal/service/{self.file}"


SCHEMAS: Final = {
    "aws:acm/certificate:Certificate": Schema("acm/certificate.go", "01661ea3cbe6", "domainName validationMethod"),
    "aws:acm/certificateValidation:CertificateValidation": Schema(
        "acm/certificate_validation.go", "004eea7f9b66", "certificateArn validationRecordFqdns"
    ),
    "aws:appautoscaling/policy:Policy": Schema(
        "appautoscaling/policy.go", "048320e88399", "name resourceId scalableDimension serviceNamespace"
    ),
    "aws:appautoscaling/target:Target": Schema(
        "appautoscaling/target.go", "0105d2191ae7", "resourceId scalableDimension serviceNamespace"
    ),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": Schema(
        "cloudwatch/composite_alarm.go", "050ac11163ca", "alarmName"
    ),
    "aws:cloudwatch/dashboard:Dashboard": Schema("cloudwatch/dashboard.go", "0620f2a6a126", "dashboardName"),
    "aws:ec2/eip:Eip": Schema("ec2/ec2_eip.go", "01606926a0c0", "domain"),
    "aws:ec2/flowLog:FlowLog": Schema(
        "ec2/vpc_flow_log.go",
        "00a35305dc1b",
        "iamRoleArn logDestination logDestinationType maxAggregationInterval trafficType vpcId",
    ),
    "aws:ec2/internetGateway:InternetGateway": Schema("ec2/vpc_internet_gateway.go", "08923b68b5ad", ""),
    "aws:ec2/natGateway:NatGateway": Schema(
        "ec2/vpc_nat_gateway.go", "04088eaa5494", "allocationId connectivityType subnetId"
    ),
    "aws:ec2/route:Route": Schema("ec2/vpc_route.go", "0128541e0711", "destinationCidrBlock routeTableId"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Schema(
        "ec2/vpc_route_table_association.go", "0be71beb458a", "subnetId"
    ),
    "aws:ec2/subnet:Subnet": Schema("ec2/vpc_subnet.go", "00cda125a19d", "availabilityZone cidrBlock vpcId"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Schema(
        "ec2/vpc_endpoint.go", "008db85aad5e", "serviceName vpcEndpointType vpcId"
    ),
    "aws:ecs/cluster:Cluster": Schema("ecs/cluster.go", "a5509eea2653", "name"),
    "aws:ecs/service:Service": Schema("ecs/service.go", "8a0b630aa00b", "cluster launchType name"),
    "aws:ecs/taskDefinition:TaskDefinition": Schema(
        "ecs/task_definition.go",
        "f1750b8668f2",
        "containerDefinitions cpu executionRoleArn family memory networkMode requiresCompatibilities runtimePlatform "
        "taskRoleArn volumes",
    ),
    "aws:elasticache/parameterGroup:ParameterGroup": Schema(
        "elasticache/parameter_group.go", "0593466d96e3", "description family name"
    ),
    "aws:elasticache/replicationGroup:ReplicationGroup": Schema(
        "elasticache/replication_group.go",
        "001b6364c1a3",
        "atRestEncryptionEnabled kmsKeyId port replicationGroupId snapshotArns snapshotName subnetGroupName",
    ),
    "aws:elasticache/subnetGroup:SubnetGroup": Schema("elasticache/subnet_group.go", "01c08000ddb1", "name"),
    "aws:iam/rolePolicy:RolePolicy": Schema("iam/role_policy.go", "02f97af85f89", "name role"),
    "aws:lambda/function:Function": Schema("lambda/function.go", "0156d84e6bb4", "name"),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Schema(
        "lambda/function_event_invoke_config.go", "01606926a0c0", "functionName"
    ),
    "aws:lambda/invocation:Invocation": Schema("lambda/invocation.go", "0133e9ef3555", "functionName input triggers"),
    "aws:rds/instance:Instance": Schema(
        "rds/instance.go",
        "00e4b2383885",
        "dbName engine identifier kmsKeyId restoreToPointInTime snapshotIdentifier storageEncrypted username",
    ),
    "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication": Schema(
        "rds/instance_automated_backups_replication.go",
        "0213a3c19c26",
        "kmsKeyId retentionPeriod sourceDbInstanceArn",
    ),
    "aws:route53/record:Record": Schema("route53/record.go", "00655c1681ea", "name zoneId"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Schema(
        "s3/bucket_lifecycle_configuration.go", "01606926a0c0", "bucket"
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": Schema("s3/object.go", "033c721bf1ed", "bucket key"),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Schema(
        "s3/bucket_ownership_controls.go", "01c08000ddb1", "bucket"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Schema("s3/bucket_policy.go", "0073593e7d69", "bucket"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Schema(
        "s3/bucket_public_access_block.go", "01606926a0c0", "bucket"
    ),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": Schema(
        "s3/bucket_replication_configuration.go", "028665b1da30", "bucket"
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Schema("s3/bucket_versioning.go", "01c08000ddb1", "bucket"),
    "aws:s3/inventory:Inventory": Schema("s3/bucket_inventory.go", "02fe3b283b48", "bucket name"),
    "aws:secretsmanager/secretVersion:SecretVersion": Schema(
        "secretsmanager/secret_version.go", "0042e8ea0de2", "secretId secretString"
    ),
    "aws:sns/topic:Topic": Schema("sns/topic.go", "00a35305dc1b", "name"),
    "aws:sns/topicSubscription:TopicSubscription": Schema(
        "sns/topic_subscription.go", "04a2e6e5bc62", "endpoint protocol topic"
    ),
    "aws:sqs/queue:Queue": Schema("sqs/queue.go", "00a35305dc1b", "name"),
    # Both directions share one schema.
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Schema(
        "ec2/vpc_security_group_ingress_rule.go", "00a322094b4b", "securityGroupId"
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Schema(
        "ec2/vpc_security_group_ingress_rule.go", "00a322094b4b", "securityGroupId"
    ),
}

# Arguments of ours that exclude one another: `ConflictsWith` in the same files. A replica's engine and version did
# until version 5 of the plugin; in the installed SDK only user and database name "Cannot be specified for a replica".
CONFLICTS: Final = {
    "aws:rds/instance:Instance": (
        ("replicateSourceDb", "dbName"),
        ("replicateSourceDb", "username"),
        ("replicateSourceDb", "restoreToPointInTime"),
        ("restoreToPointInTime", "snapshotIdentifier"),
    ),
    "aws:route53/record:Record": (("aliases", "records"), ("aliases", "ttl")),
    "aws:sqs/queue:Queue": (("kmsMasterKeyId", "sqsManagedSseEnabled"),),
}
