"""Each argument of pulumi_aws that the program uses, held once against the provider's documentation.

Somebody who uses another one reads the page, adds the argument here and runs
`.venv/bin/python -m tests.components.provider_pages > docs/arguments.md`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.components.provider_schemas import SCHEMAS

ADDRESS: Final = "https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/"


class Page(NamedTuple):
    """One resource type. `slug`: the end of its page's address; `arguments` and `forces_new`: names, blank-separated.

    `forces_new`: the arguments that the page marks "Forces new resource", none where it is silent. Read between
    2026-11-23 and 2026-11-27 in website/docs/r of hashicorp/terraform-provider-aws, in stored versions of differing
    ages; names, values and defaults were held against the docstrings of the installed pulumi_aws.
    """

    slug: str
    arguments: str
    forces_new: str
    note: str


PAGES: Final = {
    "aws:acm/certificate:Certificate": Page(
        "acm_certificate",
        "domainName tags validationMethod",
        "",
        "DNS validation; a new domain is a new certificate",
    ),
    "aws:acm/certificateValidation:CertificateValidation": Page(
        "acm_certificate_validation",
        "certificateArn validationRecordFqdns",
        "",
        "a wait; the record's name comes from the certificate",
    ),
    "aws:appautoscaling/policy:Policy": Page(
        "appautoscaling_policy",
        "name policyType resourceId scalableDimension serviceNamespace targetTrackingScalingPolicyConfiguration",
        "",
        "target tracking only; a name is unique for its target",
    ),
    "aws:appautoscaling/target:Target": Page(
        "appautoscaling_target",
        "maxCapacity minCapacity resourceId scalableDimension serviceNamespace suspendedState tags",
        "",
        "service, resource and dimension are its identity",
    ),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": Page(
        "cloudwatch_composite_alarm",
        "alarmActions alarmDescription alarmName alarmRule okActions tags",
        "",
        "a rule over alarms by name",
    ),
    "aws:cloudwatch/dashboard:Dashboard": Page(
        "cloudwatch_dashboard",
        "dashboardBody dashboardName",
        "",
        "JSON; no tags",
    ),
    "aws:cloudwatch/logGroup:LogGroup": Page(
        "cloudwatch_log_group",
        "kmsKeyId name retentionInDays tags",
        "name",
        "retention is one of the listed values; the key's policy admits the Logs service",
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Page(
        "cloudwatch_metric_alarm",
        "alarmActions alarmDescription comparisonOperator dimensions evaluationPeriods extendedStatistic "
        "insufficientDataActions metricName metricQueries name namespace okActions period region "
        "statistic tags threshold treatMissingData",
        "",
        "a metric with a statistic, or queries of which one returns data",
    ),
    "aws:ec2/eip:Eip": Page(
        "eip",
        "domain tags",
        "",
        "domain vpc, the only one left",
    ),
    "aws:ec2/flowLog:FlowLog": Page(
        "flow_log",
        "iamRoleArn logDestination logDestinationType maxAggregationInterval tags trafficType vpcId",
        "",
        "nothing can be changed; intervals of 60 or 600 seconds",
    ),
    "aws:ec2/internetGateway:InternetGateway": Page(
        "internet_gateway",
        "tags vpcId",
        "",
        "attached to its network by vpcId",
    ),
    "aws:ec2/natGateway:NatGateway": Page(
        "nat_gateway",
        "allocationId connectivityType subnetId tags",
        "",
        "public gateways need an address",
    ),
    "aws:ec2/route:Route": Page(
        "route",
        "destinationCidrBlock gatewayId natGatewayId routeTableId",
        "",
        "one target a route",
    ),
    "aws:ec2/routeTable:RouteTable": Page(
        "route_table",
        "tags vpcId",
        "",
        "no inline routes: they exclude route resources",
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Page(
        "route_table_association",
        "routeTableId subnetId",
        "",
        "one table a subnet; another table is swapped in place, under a new id",
    ),
    "aws:ec2/securityGroup:SecurityGroup": Page(
        "security_group",
        "description name tags vpcId",
        "description name vpcId",
        "no inline rules: they exclude rule resources; AWS's default egress rule is removed",
    ),
    "aws:ec2/subnet:Subnet": Page(
        "subnet",
        "availabilityZone cidrBlock mapPublicIpOnLaunch tags vpcId",
        "",
        "zones by name",
    ),
    "aws:ec2/vpc:Vpc": Page(
        "vpc",
        "cidrBlock enableDnsHostnames enableDnsSupport tags",
        "",
        "both DNS switches, for private names of endpoints",
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Page(
        "vpc_endpoint",
        "privateDnsEnabled routeTableIds securityGroupIds serviceName subnetIds tags vpcEndpointType vpcId",
        "",
        "interface: subnets, groups, private DNS (elsewhere its change is a new endpoint); gateway: route tables",
    ),
    "aws:ecs/cluster:Cluster": Page(
        "ecs_cluster",
        "name settings tags",
        "",
        "Container Insights by settings",
    ),
    "aws:ecs/service:Service": Page(
        "ecs_service",
        "cluster deploymentCircuitBreaker deploymentMaximumPercent deploymentMinimumHealthyPercent "
        "desiredCount enableEcsManagedTags healthCheckGracePeriodSeconds launchType loadBalancers name "
        "networkConfiguration platformVersion propagateTags serviceConnectConfiguration tags "
        "taskDefinition waitForSteadyState",
        "",
        "waitForSteadyState is also satisfied at 0 = 0; grace period only with a load balancer",
    ),
    "aws:ecs/taskDefinition:TaskDefinition": Page(
        "ecs_task_definition",
        "containerDefinitions cpu executionRoleArn family memory networkMode requiresCompatibilities "
        "runtimePlatform skipDestroy tags taskRoleArn volumes",
        "",
        "a change is a new revision; skipDestroy keeps the old one for a rollback",
    ),
    "aws:elasticache/parameterGroup:ParameterGroup": Page(
        "elasticache_parameter_group",
        "description family name parameters tags",
        "",
        "family by major version",
    ),
    "aws:elasticache/replicationGroup:ReplicationGroup": Page(
        "elasticache_replication_group",
        "applyImmediately atRestEncryptionEnabled authToken authTokenUpdateStrategy "
        "autoMinorVersionUpgrade automaticFailoverEnabled description engine engineVersion kmsKeyId "
        "maintenanceWindow multiAzEnabled nodeType numCacheClusters parameterGroupName port "
        "replicationGroupId securityGroupIds snapshotArns snapshotName snapshotRetentionLimit snapshotWindow "
        "subnetGroupName tags transitEncryptionEnabled transitEncryptionMode",
        "snapshotName",
        "encryption is set once, in transit only below 7.0.5; the token needs TLS; an older version is a new group",
    ),
    "aws:elasticache/subnetGroup:SubnetGroup": Page(
        "elasticache_subnet_group",
        "description name subnetIds tags",
        "",
        "subnets change in place",
    ),
    "aws:iam/role:Role": Page(
        "iam_role",
        "assumeRolePolicy name tags",
        "name",
        "no inline or managed policies here: they would be exclusive",
    ),
    "aws:iam/rolePolicy:RolePolicy": Page(
        "iam_role_policy",
        "name policy role",
        "",
        "inline policies, one resource each",
    ),
    "aws:kms/alias:Alias": Page(
        "kms_alias",
        "name region targetKeyId",
        "",
        "begins with alias/; the key by id or ARN",
    ),
    "aws:kms/key:Key": Page(
        "kms_key",
        "deletionWindowInDays description enableKeyRotation policy region tags",
        "",
        "7 to 30 days of waiting; a policy is always given",
    ),
    "aws:lambda/function:Function": Page(
        "lambda_function",
        "architectures code description environment handler loggingConfig memorySize name role runtime "
        "tags timeout vpcConfig",
        "",
        "archive, handler and runtime together; log group by loggingConfig",
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Page(
        "lambda_function_event_invoke_config",
        "destinationConfig functionName maximumEventAgeInSeconds maximumRetryAttempts",
        "",
        "60 to 21,600 seconds, 0 to 2 attempts",
    ),
    "aws:lambda/invocation:Invocation": Page(
        "lambda_invocation",
        "functionName input triggers",
        "",
        "runs when created or replaced; triggers decide when, and another input with the scope CREATE_ONLY",
    ),
    "aws:lb/listener:Listener": Page(
        "lb_listener",
        "certificateArn defaultActions loadBalancerArn port protocol sslPolicy tags",
        "loadBalancerArn",
        "certificate and policy with HTTPS only",
    ),
    "aws:lb/listenerRule:ListenerRule": Page(
        "lb_listener_rule",
        "actions conditions listenerArn priority tags",
        "listenerArn",
        "priority and conditions change in place",
    ),
    "aws:lb/loadBalancer:LoadBalancer": Page(
        "lb",
        "accessLogs dropInvalidHeaderFields enableDeletionProtection internal loadBalancerType name "
        "securityGroups subnets tags",
        "",
        "subnets change in place for an application load balancer",
    ),
    "aws:lb/targetGroup:TargetGroup": Page(
        "lb_target_group",
        "deregistrationDelay healthCheck name port protocol tags targetType vpcId",
        "name port protocol targetType vpcId",
        "health check in place; 0 to 3,600 seconds of draining",
    ),
    "aws:rds/instance:Instance": Page(
        "db_instance",
        "allocatedStorage applyImmediately autoMinorVersionUpgrade backupRetentionPeriod backupWindow "
        "copyTagsToSnapshot dbName dbSubnetGroupName deleteAutomatedBackups deletionProtection "
        "enabledCloudwatchLogsExports engine engineVersion finalSnapshotIdentifier identifier "
        "instanceClass kmsKeyId maintenanceWindow monitoringInterval monitoringRoleArn multiAz "
        "parameterGroupName password performanceInsightsEnabled performanceInsightsKmsKeyId "
        "performanceInsightsRetentionPeriod publiclyAccessible replicateSourceDb restoreToPointInTime "
        "skipFinalSnapshot snapshotIdentifier "
        "storageEncrypted storageType tags username vpcSecurityGroupIds",
        "",
        "0 to 35 days of backups; final snapshot unless skipped; what forces a new instance is not said on the page",
    ),
    "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication": Page(
        "db_instance_automated_backups_replication",
        "kmsKeyId retentionPeriod sourceDbInstanceArn",
        "kmsKeyId retentionPeriod sourceDbInstanceArn",
        "made in the destination region; nothing can be changed; deleting it asks the source's region",
    ),
    "aws:rds/parameterGroup:ParameterGroup": Page(
        "db_parameter_group",
        "description family name parameters tags",
        "description family name",
        "static parameters need pending-reboot",
    ),
    "aws:rds/subnetGroup:SubnetGroup": Page(
        "db_subnet_group",
        "description name subnetIds tags",
        "name",
        "subnets and description change in place",
    ),
    "aws:route53/healthCheck:HealthCheck": Page(
        "route53_health_check",
        "childHealthThreshold childHealthchecks enableSni failureThreshold fqdn invertHealthcheck port "
        "requestInterval resourcePath searchString tags type",
        "",
        "string match in the first 5,120 bytes; 0 to 256 children",
    ),
    "aws:route53/record:Record": Page(
        "route53_record",
        "aliases allowOverwrite failoverRoutingPolicies healthCheckId name records setIdentifier ttl type zoneId",
        "",
        "alias excludes ttl and records; failover needs setIdentifier",
    ),
    "aws:s3/bucket:Bucket": Page(
        "s3_bucket",
        "bucket tags",
        "bucket",
        "configuration by resources of its own",
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Page(
        "s3_bucket_lifecycle_configuration",
        "bucket rules",
        "",
        "an empty filter means the whole bucket",
    ),
    "aws:s3/bucketLogging:BucketLogging": Page(
        "s3_bucket_logging",
        "bucket targetBucket targetPrefix",
        "bucket",
        "the target's policy admits the logging service",
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": Page(
        "s3_object",
        "bucket cacheControl content contentType key",
        "",
        "content as text; the type is not guessed",
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Page(
        "s3_bucket_ownership_controls",
        "bucket rule",
        "",
        "BucketOwnerEnforced turns access lists off",
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Page(
        "s3_bucket_policy",
        "bucket policy",
        "",
        "JSON; after the public access block",
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Page(
        "s3_bucket_public_access_block",
        "blockPublicAcls blockPublicPolicy bucket ignorePublicAcls restrictPublicBuckets",
        "",
        "all four are false unless given",
    ),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": Page(
        "s3_bucket_replication_configuration",
        "bucket role rules",
        "",
        "both buckets versioned first; delete markers with a filter",
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Page(
        "s3_bucket_server_side_encryption_configuration",
        "bucket rules",
        "bucket",
        "bucket key with SSE-KMS",
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Page(
        "s3_bucket_versioning",
        "bucket versioningConfiguration",
        "bucket",
        "can be suspended, never removed",
    ),
    "aws:s3/inventory:Inventory": Page(
        "s3_bucket_inventory",
        "bucket destination includedObjectVersions name optionalFields schedule",
        "",
        "all versions or the current ones",
    ),
    "aws:scheduler/schedule:Schedule": Page(
        "scheduler_schedule",
        "description flexibleTimeWindow name scheduleExpression state target",
        "name",
        "60 to 86,400 seconds and 0 to 185 attempts of a retry",
    ),
    "aws:secretsmanager/secret:Secret": Page(
        "secretsmanager_secret",
        "kmsKeyId name recoveryWindowInDays replicas tags",
        "",
        "0 or 7 to 30 days of recovery; replicas by region",
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": Page(
        "secretsmanager_secret_version",
        "secretId secretString",
        "",
        "a new value is a new version",
    ),
    "aws:servicediscovery/httpNamespace:HttpNamespace": Page(
        "service_discovery_http_namespace",
        "description name tags",
        "",
        "what a change does is not said on the page",
    ),
    "aws:sns/topic:Topic": Page(
        "sns_topic",
        "kmsMasterKeyId name policy region tags",
        "",
        "policy inline; the key's policy admits the publishers",
    ),
    "aws:sns/topicSubscription:TopicSubscription": Page(
        "sns_topic_subscription",
        "endpoint protocol region topic",
        "",
        "e-mail must be confirmed; an unconfirmed one is left behind on deletion",
    ),
    "aws:sqs/queue:Queue": Page(
        "sqs_queue",
        "kmsMasterKeyId messageRetentionSeconds name policy receiveWaitTimeSeconds redriveAllowPolicy "
        "redrivePolicy sqsManagedSseEnabled tags visibilityTimeoutSeconds",
        "",
        "60 to 1,209,600 seconds of retention; redrive policies as JSON",
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Page(
        "vpc_security_group_egress_rule",
        "cidrIpv4 description fromPort ipProtocol referencedSecurityGroupId securityGroupId tags toPort",
        "",
        "one range or group a rule, and from one to the other is a new rule; no ports with protocol -1",
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Page(
        "vpc_security_group_ingress_rule",
        "cidrIpv4 description fromPort ipProtocol referencedSecurityGroupId securityGroupId tags toPort",
        "",
        "one range or group a rule, and from one to the other is a new rule; no ports with protocol -1",
    ),
}

_HEAD: Final = """# Arguments of the provider

Every argument of pulumi_aws that the program uses, in any of its states, with the provider's page that says what it
does.
This page is generated: `.venv/bin/python -m tests.components.provider_pages > docs/arguments.md`.
A test fails when the program uses an argument that is not here. Then read the page behind the link, check what it
says of values, defaults and replacement, and add the argument to `tests/components/provider_pages.py`.

*New resource, page*: the arguments whose change, says the page, forces a new resource; "not said" where it marks none
of ours. *New resource, plugin*: the same from the schema in the plugin's source, in the version behind the link, which
need not be the one that pulumi_aws has inside; "–" where it was not read. `tests/sandbox/test_replacement.py` holds
what the sandbox replaces against both and against AWS's own schemas, and lists where they differ and why.

| type | arguments | new resource, page | new resource, plugin | noted |
| --- | --- | --- | --- | --- |
"""


def page() -> str:
    """docs/arguments.md."""
    return _HEAD + "".join(f"{_row(token, found)}\n" for token, found in sorted(PAGES.items()))


def _row(token: str, found: Page) -> str:
    module, _, name = token.removeprefix("aws:").partition(":")
    title = f"[{module.split('/')[0]}.{name}]({ADDRESS}{found.slug})"
    page_says = _listed(found.forces_new, "not said")
    schema = SCHEMAS.get(token)
    plugin_says = f"[{_listed(schema.forces_new, 'none')}]({schema.address})" if schema else "–"
    return f"| {title} | {_listed(found.arguments, '')} | {page_says} | {plugin_says} | {found.note} |"


def _listed(names: str, without: str) -> str:
    return names.replace(" ", ", ") or without


if __name__ == "__main__":
    print(page(), end="")
