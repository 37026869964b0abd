"""A Pulumi program with one resource of each type that the sandbox's provider models. test_provider_engine runs it."""

import json

import pulumi
import pulumi_aws as aws

config = pulumi.Config()
ZONE_ID = config.require("zone")
PASSWORD = config.require_secret("password")
REGION = "eu-west-1"
PEER = "af-south-1"
TAGS = {"Owner": "every-type"}
LATER = config.get_bool("later") or False  # what an update changes


def document(action: str, **rest: object) -> str:
    """A policy with one statement."""
    statement = {"Effect": "Allow", "Action": action, **rest}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def role(name: str, service: str) -> aws.iam.Role:
    """A role that a service takes."""
    trust = document("sts:AssumeRole", Principal={"Service": service})
    return aws.iam.Role(name, name=name, assume_role_policy=trust, tags=TAGS)


# -- network
vpc = aws.ec2.Vpc("network", cidr_block="10.0.0.0/16", enable_dns_hostnames=True, tags=TAGS)
gateway = aws.ec2.InternetGateway("internet", vpc_id=vpc.id, tags=TAGS)
table = aws.ec2.RouteTable("public", vpc_id=vpc.id, tags=TAGS)
route = aws.ec2.Route("public", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", gateway_id=gateway.id)
subnets = []
for number, zone in enumerate("ab"):
    subnet = aws.ec2.Subnet(
        f"public-{zone}",
        vpc_id=vpc.id,
        cidr_block=f"10.0.{number}.0/24",
        availability_zone=f"{REGION}{zone}",
        tags=TAGS,
    )
    aws.ec2.RouteTableAssociation(f"public-{zone}", route_table_id=table.id, subnet_id=subnet.id)
    subnets.append(subnet.id)
address = aws.ec2.Eip("nat", domain="vpc", tags=TAGS)
nat = aws.ec2.NatGateway(
    "nat",
    allocation_id=address.allocation_id,
    subnet_id=subnets[0],
    tags=TAGS,
    opts=pulumi.ResourceOptions(depends_on=[route]),
)
group = aws.ec2.SecurityGroup("services", name="services", description="All of it", vpc_id=vpc.id, tags=TAGS)
aws.vpc.SecurityGroupIngressRule(
    "web", security_group_id=group.id, ip_protocol="tcp", from_port=80, to_port=80, cidr_ipv4="0.0.0.0/0"
)
aws.vpc.SecurityGroupEgressRule("all", security_group_id=group.id, ip_protocol="-1", cidr_ipv4="0.0.0.0/0")
aws.ec2.VpcEndpoint(
    "s3",
    vpc_id=vpc.id,
    service_name=f"com.amazonaws.{REGION}.s3",
    vpc_endpoint_type="Gateway",
    route_table_ids=[table.id],
    tags=TAGS,
)

flows = aws.cloudwatch.LogGroup("flows", name="/every-type/flows", tags=TAGS)
aws.ec2.FlowLog(
    "network",
    vpc_id=vpc.id,
    traffic_type="ALL",
    log_destination=flows.arn,
    iam_role_arn=role("every-type-flows", "vpc-flow-logs.amazonaws.com").arn,
    tags=TAGS,
)

# -- keys, buckets, secrets
key = aws.kms.Key("data", description="Data", enable_key_rotation=True, deletion_window_in_days=30, tags=TAGS)
aws.kms.Alias("data", name="alias/every-type", target_key_id=key.key_id)


def versioned_bucket(name: str, region: str) -> tuple[aws.s3.Bucket, aws.s3.BucketVersioning]:
    """A bucket that keeps versions, in either region."""
    made = aws.s3.Bucket(name, bucket=f"every-type-{name}", region=region, force_destroy=True, tags=TAGS)
    status = aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled")
    return made, aws.s3.BucketVersioning(name, bucket=made.bucket, region=region, versioning_configuration=status)


bucket, versions = versioned_bucket("audio", REGION)
replica, replica_versions = versioned_bucket("audio-replica", PEER)
block = aws.s3.BucketPublicAccessBlock(
    "audio", bucket=bucket.bucket, block_public_acls=True, ignore_public_acls=True, restrict_public_buckets=True
)
aws.s3.BucketOwnershipControls(
    "audio",
    bucket=bucket.bucket,
    rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
)
encryption = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
    sse_algorithm="aws:kms", kms_master_key_id=key.arn
)
aws.s3.BucketServerSideEncryptionConfiguration(
    "audio",
    bucket=bucket.bucket,
    rules=[
        aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
            apply_server_side_encryption_by_default=encryption, bucket_key_enabled=True
        )
    ],
)
aws.s3.BucketPolicy(
    "audio",
    bucket=bucket.bucket,
    policy=bucket.arn.apply(
        lambda arn: document("s3:GetObject", Principal={"AWS": "123456789012"}, Resource=[f"{arn}/*"])
    ),
    opts=pulumi.ResourceOptions(depends_on=[block]),
)
aws.s3.BucketLifecycleConfiguration(
    "audio",
    bucket=bucket.bucket,
    rules=[
        aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="old",
            status="Enabled",
            filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
            noncurrent_version_expiration=(
                aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(noncurrent_days=30)
            ),
        )
    ],
    opts=pulumi.ResourceOptions(depends_on=[versions]),
)
reports, _ = versioned_bucket("reports", REGION)
admission = aws.s3.BucketPolicy(
    "reports",
    bucket=reports.bucket,
    policy=reports.arn.apply(
        lambda arn: document(
            "s3:PutObject",
            Principal={"Service": ["logging.s3.amazonaws.com", "logdelivery.elasticloadbalancing.amazonaws.com"]},
            Resource=f"{arn}/*",
        )
    ),
)
aws.s3.BucketLogging(
    "audio",
    bucket=bucket.bucket,
    target_bucket=reports.bucket,
    target_prefix="audio/",
    opts=pulumi.ResourceOptions(depends_on=[admission]),
)
aws.s3.Inventory(
    "audio",
    bucket=bucket.bucket,
    name="all",
    included_object_versions="All",
    schedule=aws.s3.InventoryScheduleArgs(frequency="Daily"),
    destination=aws.s3.InventoryDestinationArgs(
        bucket=aws.s3.InventoryDestinationBucketArgs(bucket_arn=reports.arn, format="CSV")
    ),
)
copier = role("every-type-copier", "s3.amazonaws.com")
aws.iam.RolePolicy("copy", name="copy", role=copier.name, policy=document("s3:*", Resource="*"))
aws.s3.BucketReplicationConfig(
    "audio",
    bucket=bucket.bucket,
    role=copier.arn,
    rules=[
        aws.s3.BucketReplicationConfigRuleArgs(
            id="everything",
            priority=1,
            status="Enabled",
            filter=aws.s3.BucketReplicationConfigRuleFilterArgs(prefix=""),
            delete_marker_replication=aws.s3.BucketReplicationConfigRuleDeleteMarkerReplicationArgs(status="Enabled"),
            destination=aws.s3.BucketReplicationConfigRuleDestinationArgs(bucket=replica.arn),
        )
    ],
    opts=pulumi.ResourceOptions(depends_on=[versions, replica_versions]),
)
aws.s3.BucketObjectv2(
    "page",
    bucket=bucket.bucket,
    key="index.html",
    content="<p>later</p>" if LATER else "<p>now</p>",
    content_type="text/html",
    opts=pulumi.ResourceOptions(depends_on=[versions]),
)
secret = aws.secretsmanager.Secret(
    "login",
    name="every-type/login",
    kms_key_id=key.arn,
    replicas=[aws.secretsmanager.SecretReplicaArgs(region=PEER)],
    recovery_window_in_days=7,
    tags=TAGS,
)
aws.secretsmanager.SecretVersion("login", secret_id=secret.id, secret_string=PASSWORD)

# -- database
subnet_group = aws.rds.SubnetGroup("database", name="every-type", subnet_ids=subnets, tags=TAGS)
parameters = aws.rds.ParameterGroup(
    "database",
    name="every-type",
    family="postgres17",
    parameters=[aws.rds.ParameterGroupParameterArgs(name="rds.force_ssl", value="1")],
    tags=TAGS,
)
aws.rds.Instance(
    "database",
    identifier="every-type",
    engine="postgres",
    engine_version="17.6",
    instance_class="db.t4g.medium",
    allocated_storage=20,
    storage_type="gp3",
    storage_encrypted=True,
    kms_key_id=key.arn,
    db_subnet_group_name=subnet_group.name,
    vpc_security_group_ids=[group.id],
    parameter_group_name=parameters.name,
    db_name="platform",
    username="platform_admin",
    password=PASSWORD,
    backup_retention_period=14 if LATER else 7,
    skip_final_snapshot=True,
    apply_immediately=True,
    tags=TAGS,
)

# -- cache
cache_subnets = aws.elasticache.SubnetGroup("cache", name="every-type", subnet_ids=subnets, tags=TAGS)
cache_parameters = aws.elasticache.ParameterGroup(
    "cache",
    name="every-type",
    family="valkey8",
    parameters=[aws.elasticache.ParameterGroupParameterArgs(name="maxmemory-policy", value="allkeys-lru")],
    tags=TAGS,
)
aws.elasticache.ReplicationGroup(
    "cache",
    replication_group_id="every-type",
    description="Every type",
    engine="valkey",
    engine_version="8.1",
    node_type="cache.t4g.small",
    subnet_group_name=cache_subnets.name,
    security_group_ids=[group.id],
    parameter_group_name=cache_parameters.name,
    at_rest_encryption_enabled=True,
    kms_key_id=key.arn,
    transit_encryption_enabled=True,
    auth_token=PASSWORD,
    snapshot_retention_limit=7,
    apply_immediately=True,
    tags=TAGS,
)

elsewhere = aws.rds.Instance(
    "elsewhere",
    region="eu-west-2",
    identifier="every-type-elsewhere",
    engine="postgres",
    engine_version="17.6",
    instance_class="db.t4g.medium",
    allocated_storage=20,
    username="platform_admin",
    password=PASSWORD,
    backup_retention_period=1,
    skip_final_snapshot=True,
    tags=TAGS,
)
aws.rds.InstanceAutomatedBackupsReplication("elsewhere", source_db_instance_arn=elsewhere.arn, retention_period=7)

# -- traffic
certificate = aws.acm.Certificate("public", domain_name="every-type.example.org", validation_method="DNS", tags=TAGS)
option = certificate.domain_validation_options[0]
proof = aws.route53.Record(
    "proof",
    zone_id=ZONE_ID,
    name=option.resource_record_name.apply(str),
    type=option.resource_record_type.apply(str),
    ttl=60,
    records=[option.resource_record_value.apply(str)],
)
issued = aws.acm.CertificateValidation("public", certificate_arn=certificate.arn, validation_record_fqdns=[proof.fqdn])
balancer = aws.lb.LoadBalancer(
    "public",
    name="every-type",
    subnets=subnets,
    security_groups=[group.id],
    access_logs=aws.lb.LoadBalancerAccessLogsArgs(bucket=reports.bucket, prefix="web", enabled=True),
    tags=TAGS,
    opts=pulumi.ResourceOptions(depends_on=[route, admission]),
)
targets = aws.lb.TargetGroup(
    "web",
    name="every-type",
    vpc_id=vpc.id,
    target_type="ip",
    protocol="HTTP",
    port=8080,
    health_check=aws.lb.TargetGroupHealthCheckArgs(path="/health", matcher="200", interval=10, timeout=5),
    tags=TAGS,
)
not_found = aws.lb.ListenerDefaultActionFixedResponseArgs(
    content_type="text/plain", message_body="Not found", status_code="404"
)
listener = aws.lb.Listener(
    "https",
    load_balancer_arn=balancer.arn,
    port=443,
    protocol="HTTPS",
    certificate_arn=issued.certificate_arn,
    default_actions=[aws.lb.ListenerDefaultActionArgs(type="fixed-response", fixed_response=not_found)],
    tags=TAGS,
)
rule = aws.lb.ListenerRule(
    "web",
    listener_arn=listener.arn,
    priority=200 if LATER else 100,
    conditions=[
        aws.lb.ListenerRuleConditionArgs(path_pattern=aws.lb.ListenerRuleConditionPathPatternArgs(values=["/web"]))
    ],
    actions=[aws.lb.ListenerRuleActionArgs(type="forward", target_group_arn=targets.arn)],
    tags=TAGS,
)
check = aws.route53.HealthCheck(
    "public",
    type="HTTPS_STR_MATCH",
    fqdn=balancer.dns_name,
    port=443,
    resource_path="/health",
    search_string="ok",
    request_interval=10,
    failure_threshold=3,
    tags=TAGS,
)
aws.route53.Record(
    "public",
    zone_id=ZONE_ID,
    name="every-type.example.org",
    type="A",
    set_identifier="primary",
    health_check_id=check.id,
    failover_routing_policies=[aws.route53.RecordFailoverRoutingPolicyArgs(type="PRIMARY")],
    aliases=[
        aws.route53.RecordAliasArgs(name=balancer.dns_name, zone_id=balancer.zone_id, evaluate_target_health=False)
    ],
)

# -- messages
letters = aws.sqs.Queue("letters", name="every-type-letters", kms_master_key_id=key.arn, tags=TAGS)
aws.sqs.Queue(
    "sync",
    name="every-type-sync",
    visibility_timeout_seconds=300,
    redrive_policy=letters.arn.apply(lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})),
    tags=TAGS,
)

topic = aws.sns.Topic("alarms", name="every-type-alarms", kms_master_key_id=key.arn, tags=TAGS)
aws.sns.TopicSubscription("alarms", topic=topic.arn, protocol="email", endpoint="every-type@example.org")

alarm = aws.cloudwatch.MetricAlarm(
    "letters",
    name="every-type-letters",
    namespace="AWS/SQS",
    metric_name="ApproximateNumberOfMessagesVisible",
    dimensions={"QueueName": letters.name},
    statistic="Maximum",
    period=300,
    comparison_operator="GreaterThanThreshold",
    threshold=0,
    evaluation_periods=1,
    alarm_actions=[topic.arn],
    tags=TAGS,
)
aws.cloudwatch.CompositeAlarm(
    "any", alarm_name="every-type-any", alarm_rule=alarm.name.apply(lambda name: f'ALARM("{name}")'), tags=TAGS
)
aws.cloudwatch.Dashboard("all", dashboard_name="every-type", dashboard_body=json.dumps({"widgets": []}))

# -- services and functions
logs = aws.cloudwatch.LogGroup("web", name="/every-type/web", retention_in_days=30, tags=TAGS)
cluster = aws.ecs.Cluster("services", name="every-type", tags=TAGS)
namespace = aws.servicediscovery.HttpNamespace("services", name="every-type", tags=TAGS)
container = {
    "name": "web",
    "image": "ghcr.io/every-type/web:1.0.0",
    "portMappings": [{"name": "web", "containerPort": 8080}],
    "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
}
task = aws.ecs.TaskDefinition(
    "web",
    family="every-type",
    container_definitions=json.dumps([container]),
    cpu="256",
    memory="512",
    network_mode="awsvpc",
    requires_compatibilities=["FARGATE"],
    execution_role_arn=role("every-type-execution", "ecs-tasks.amazonaws.com").arn,
    tags=TAGS,
)
service = aws.ecs.Service(
    "web",
    name="web",
    cluster=cluster.arn,
    task_definition=task.arn,
    desired_count=0,
    launch_type="FARGATE",
    network_configuration=aws.ecs.ServiceNetworkConfigurationArgs(subnets=subnets, security_groups=[group.id]),
    load_balancers=[
        aws.ecs.ServiceLoadBalancerArgs(target_group_arn=targets.arn, container_name="web", container_port=8080)
    ],
    service_connect_configuration=aws.ecs.ServiceServiceConnectConfigurationArgs(enabled=True, namespace=namespace.arn),
    tags=TAGS,
    opts=pulumi.ResourceOptions(depends_on=[rule]),
)
scalable = aws.appautoscaling.Target(
    "web",
    service_namespace="ecs",
    scalable_dimension="ecs:service:DesiredCount",
    resource_id=pulumi.Output.concat("service/", cluster.name, "/", service.name),
    min_capacity=0,
    max_capacity=2,
    tags=TAGS,
)
metric = aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecificationArgs(
    predefined_metric_type="ECSServiceAverageCPUUtilization"
)
aws.appautoscaling.Policy(
    "web",
    name="cpu",
    policy_type="TargetTrackingScaling",
    service_namespace=scalable.service_namespace,
    scalable_dimension=scalable.scalable_dimension,
    resource_id=scalable.resource_id,
    target_tracking_scaling_policy_configuration=aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs(
        predefined_metric_specification=metric, target_value=60
    ),
)
SOURCE = "def handler(event, context):\n    return {'said': event}\n"
function = aws.lambda_.Function(
    "echo",
    name="every-type-echo",
    role=role("every-type-function", "lambda.amazonaws.com").arn,
    runtime="python3.13",
    handler="handler.handler",
    code=pulumi.AssetArchive({"handler.py": pulumi.StringAsset(SOURCE)}),
    environment=aws.lambda_.FunctionEnvironmentArgs(variables={"LOGS": logs.name}),
    tags=TAGS,
)
call = aws.lambda_.Invocation(
    "echo", function_name=function.name, input=json.dumps({"count": 2 if LATER else 1}), triggers={"vpc": vpc.id}
)
aws.lambda_.FunctionEventInvokeConfig("echo", function_name=function.name, maximum_retry_attempts=1 if LATER else 0)
aws.scheduler.Schedule(
    "echo",
    name="every-type-echo",
    schedule_expression="rate(1 days)",
    state="DISABLED" if LATER else "ENABLED",
    flexible_time_window=aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
    target=aws.scheduler.ScheduleTargetArgs(
        arn=function.arn, role_arn=role("every-type-schedule", "scheduler.amazonaws.com").arn, input="{}"
    ),
)
pulumi.export("said", call.result)
