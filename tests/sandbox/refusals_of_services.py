"""What AWS refuses of databases, services, load balancers, functions, schedules, queues and alarms."""

from __future__ import annotations

from typing import Any, Final

from tests.sandbox.refusal_row import API, GUIDE, MODEL, Refusal

_CONTAINER: Final = {"name": "web", "image": "ghcr.io/x/y:1", "essential": True}

_FARGATE: Final = {
    "family": "refused",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256",
    "memory": "512",
    "containerDefinitions": [_CONTAINER],
}

_NETWORK: Final = {"awsvpcConfiguration": {"subnets": ["$subnet"], "securityGroups": ["$group"]}}

_SERVICE: Final = {
    "cluster": "$cluster",
    "serviceName": "refused",
    "taskDefinition": "$task_definition",
    "desiredCount": 1,
    "launchType": "FARGATE",
    "networkConfiguration": _NETWORK,
}

_FUNCTION: Final = {
    "FunctionName": "refused",
    "Role": "$function_role",
    "Runtime": "python3.13",
    "Handler": "handler.handler",
    "Code": {"ZipFile": "$archive"},
}

_GROUP: Final = {"Name": "refused", "Protocol": "HTTP", "Port": 80, "VpcId": "$vpc", "TargetType": "ip"}

_DATABASE: Final = {
    "DBInstanceIdentifier": "refused",
    "Engine": "postgres",
    "DBInstanceClass": "db.t4g.medium",
    "AllocatedStorage": 20,
    "MasterUsername": "postgres",
    "MasterUserPassword": "long-enough-1",
}

_SCHEDULE: Final[dict[str, Any]] = {
    "Name": "refused",
    "ScheduleExpression": "rate(5 minutes)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {"Arn": "$function", "RoleArn": "$function_role"},
}


def _rule(priority: int = 77, values: int = 1, **action: Any) -> dict[str, Any]:
    paths = [f"/refused-{number}" for number in range(values)]
    return {
        "ListenerArn": "$listener",
        "Priority": priority,
        "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": paths}}],
        "Actions": [action or {"Type": "forward", "TargetGroupArn": "$target_group"}],
    }


def _fixed(body: str = "no", status: str = "503") -> dict[str, Any]:
    config = {"StatusCode": status, "ContentType": "text/plain", "MessageBody": body}
    return _rule(Type="fixed-response", FixedResponseConfig=config)


def _rds(**changed: Any) -> dict[str, Any]:
    return {**_DATABASE, **changed}


ROWS: Final = (
    # -- RDS
    Refusal("backups kept for 40 days", "rds", "CreateDBInstance", _rds(BackupRetentionPeriod=40),
            "InvalidParameterValue", API + "CreateDBInstance, BackupRetentionPeriod: 0 to 35"),
    Refusal("an unknown class", "rds", "CreateDBInstance", _rds(DBInstanceClass="db.t4g.gigantic"),
            "InvalidParameterValue", "cfn-lint's table of what RDS offers in a region"),
    Refusal("an unknown version", "rds", "CreateDBInstance", _rds(EngineVersion="17.99"),
            "InvalidParameterCombination", "cfn-lint's table of what RDS offers"),
    Refusal("1 GiB of storage", "rds", "CreateDBInstance", _rds(AllocatedStorage=1, StorageType="gp3"),
            "InvalidParameterValue", GUIDE + "Amazon RDS DB instance storage: 20 GiB at least"),
    Refusal("a short password", "rds", "CreateDBInstance", _rds(MasterUserPassword="short"),
            "InvalidParameterValue", API + "CreateDBInstance, MasterUserPassword: 8 to 128 characters"),
    Refusal("a reserved master user", "rds", "CreateDBInstance", _rds(MasterUsername="rdsadmin"),
            "InvalidParameterValue", API + "CreateDBInstance, MasterUsername: no reserved word"),
    Refusal("no class", "rds", "CreateDBInstance", {"DBInstanceIdentifier": "refused", "Engine": "postgres"},
            "MissingParameter", MODEL + "rds CreateDBInstanceMessage, required"),
    Refusal("an encrypted copy without a key", "rds", "CopyDBSnapshot",
            {"SourceDBSnapshotIdentifier": "$foreign_snapshot", "TargetDBSnapshotIdentifier": "refused",
             "SourceRegion": "af-south-1"},
            "InvalidParameterValue", API + "CopyDBSnapshot, KmsKeyId: required for an encrypted copy across regions"),
    # -- ECS
    Refusal("a pair of CPU and memory that Fargate does not have", "ecs", "RegisterTaskDefinition",
            {**_FARGATE, "memory": "8192"},
            "ClientException", GUIDE + "Task definition parameters for Fargate, task size"),
    Refusal("Fargate without the network mode awsvpc", "ecs", "RegisterTaskDefinition",
            {**_FARGATE, "networkMode": "bridge"},
            "ClientException", GUIDE + "Task definition differences for Fargate, network mode"),
    Refusal("Fargate without a task size", "ecs", "RegisterTaskDefinition",
            {key: value for key, value in _FARGATE.items() if key not in ("cpu", "memory")},
            "ClientException", API + "RegisterTaskDefinition, cpu: required for Fargate"),
    Refusal("an unknown network mode", "ecs", "RegisterTaskDefinition", {**_FARGATE, "networkMode": "mesh"},
            "InvalidParameterException", MODEL + "ecs NetworkMode"),
    Refusal("logs without an execution role", "ecs", "RegisterTaskDefinition",
            {**_FARGATE, "containerDefinitions": [{**_CONTAINER, "logConfiguration": {"logDriver": "awslogs"}}]},
            "ClientException", GUIDE + "Task execution IAM role: needed for awslogs on Fargate"),
    Refusal("secrets without an execution role", "ecs", "RegisterTaskDefinition",
            {**_FARGATE, "containerDefinitions": [
                {**_CONTAINER, "secrets": [{"name": "PASSWORD", "valueFrom": "$secret"}]}]},
            "ClientException", GUIDE + "Task execution IAM role: needed for secrets"),
    Refusal("no essential container", "ecs", "RegisterTaskDefinition",
            {**_FARGATE, "containerDefinitions": [{**_CONTAINER, "essential": False}]},
            "ClientException", API + "ContainerDefinition, essential: all tasks must have one"),
    Refusal("a host port of its own under awsvpc", "ecs", "RegisterTaskDefinition",
            {**_FARGATE, "containerDefinitions": [
                {**_CONTAINER, "portMappings": [{"containerPort": 8080, "hostPort": 80}]}]},
            "ClientException", API + "PortMapping, hostPort: under awsvpc blank or the container's port"),
    Refusal("more memory for a container than for its task", "ecs", "RegisterTaskDefinition",
            {**_FARGATE, "containerDefinitions": [{**_CONTAINER, "memory": 1024}]},
            "ClientException", API + "ContainerDefinition, memory: lower than the task's"),
    Refusal("a family with a dot", "ecs", "RegisterTaskDefinition", {**_FARGATE, "family": "refused.family"},
            "ClientException", API + "RegisterTaskDefinition, family: letters, digits, _ and -"),
    Refusal("a service without a network", "ecs", "CreateService",
            {key: value for key, value in _SERVICE.items() if key != "networkConfiguration"},
            "InvalidParameterException", API + "CreateService, networkConfiguration: required for awsvpc"),
    Refusal("a service in an unknown cluster", "ecs", "CreateService", {**_SERVICE, "cluster": "never-made"},
            "ClusterNotFoundException", API + "CreateService, errors"),
    Refusal("an unknown launch type", "ecs", "CreateService", {**_SERVICE, "launchType": "FOGGATE"},
            "InvalidParameterException", MODEL + "ecs LaunchType"),
    Refusal("a grace period without a load balancer", "ecs", "CreateService",
            {**_SERVICE, "healthCheckGracePeriodSeconds": 60},
            "InvalidParameterException", API + "CreateService, healthCheckGracePeriodSeconds"),
    Refusal("a deployment that can never move", "ecs", "CreateService",
            {**_SERVICE, "deploymentConfiguration": {"minimumHealthyPercent": 100, "maximumPercent": 100}},
            "InvalidParameterException", API + "DeploymentConfiguration: both 100 block deployments"),
    Refusal("six security groups", "ecs", "CreateService",
            {**_SERVICE, "networkConfiguration": {"awsvpcConfiguration": {
                "subnets": ["$subnet"], "securityGroups": [f"sg-{n}" for n in range(6)]}}},
            "InvalidParameterException", API + "AwsVpcConfiguration, securityGroups: at most five"),
    Refusal("a negative count", "ecs", "CreateService", {**_SERVICE, "desiredCount": -1},
            "InvalidParameterException", API + "CreateService, desiredCount"),
    # -- load balancers
    Refusal("a fixed response of 2,000 bytes", "elbv2", "CreateRule", _fixed("x" * 2000),
            "ValidationError", MODEL + "elbv2 FixedResponseActionMessage, at most 1,024"),
    Refusal("a fixed response with status 302", "elbv2", "CreateRule", _fixed(status="302"),
            "ValidationError", MODEL + "elbv2 FixedResponseActionStatusCode"),
    Refusal("priority 0", "elbv2", "CreateRule", _rule(priority=0),
            "ValidationError", MODEL + "elbv2 RulePriority, 1 to 50,000"),
    Refusal("a priority that is taken", "elbv2", "CreateRule", _rule(priority=10),
            "PriorityInUse", API + "CreateRule, errors"),
    Refusal("six values in a rule", "elbv2", "CreateRule", _rule(values=6),
            "ValidationError", GUIDE + "Quotas for Application Load Balancers: five condition values a rule"),
    Refusal("a rule to a group that does not exist", "elbv2", "CreateRule",
            _rule(Type="forward", TargetGroupArn="$target_group-never-made"),
            "TargetGroupNotFound", API + "CreateRule, errors"),
    Refusal("a target group's name of 33 characters", "elbv2", "CreateTargetGroup", {**_GROUP, "Name": "x" * 33},
            "ValidationError", API + "CreateTargetGroup, Name: at most 32"),
    Refusal("an unknown protocol", "elbv2", "CreateTargetGroup", {**_GROUP, "Protocol": "GOPHER"},
            "ValidationError", MODEL + "elbv2 ProtocolEnum"),
    Refusal("a check that may last longer than its interval", "elbv2", "CreateTargetGroup",
            {**_GROUP, "HealthCheckIntervalSeconds": 10, "HealthCheckTimeoutSeconds": 10},
            "ValidationError", GUIDE + "Health checks: the interval must be longer than the timeout"),
    Refusal("a check path without its slash", "elbv2", "CreateTargetGroup", {**_GROUP, "HealthCheckPath": "health"},
            "ValidationError", MODEL + "elbv2 Path; user guide, health checks"),
    Refusal("one healthy answer is enough", "elbv2", "CreateTargetGroup", {**_GROUP, "HealthyThresholdCount": 1},
            "ValidationError", MODEL + "elbv2 HealthCheckThresholdCount, 2 to 10"),
    Refusal("two hours of deregistration", "elbv2", "ModifyTargetGroupAttributes",
            {"TargetGroupArn": "$target_group",
             "Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "7200"}]},
            "ValidationError", API + "TargetGroupAttribute: 0 to 3,600 seconds"),
    Refusal("an unknown attribute", "elbv2", "ModifyLoadBalancerAttributes",
            {"LoadBalancerArn": "$balancer", "Attributes": [{"Key": "idle.timeout", "Value": "60"}]},
            "InvalidConfigurationRequest", API + "ModifyLoadBalancerAttributes, errors"),
    Refusal("an idle timeout of two hours", "elbv2", "ModifyLoadBalancerAttributes",
            {"LoadBalancerArn": "$balancer", "Attributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "7200"}]},
            "ValidationError", API + "LoadBalancerAttribute: 1 to 4,000 seconds"),
    Refusal("a load balancer in one zone", "elbv2", "CreateLoadBalancer", {"Name": "refused", "Subnets": ["$subnet"]},
            "ValidationError", API + "CreateLoadBalancer, Subnets: two zones"),
    Refusal("a load balancer's name of 33 characters", "elbv2", "CreateLoadBalancer",
            {"Name": "x" * 33, "Subnets": ["$subnet", "$other_subnet"]},
            "ValidationError", API + "CreateLoadBalancer, Name: at most 32"),
    Refusal("HTTPS without a certificate", "elbv2", "CreateListener",
            {"LoadBalancerArn": "$balancer", "Protocol": "HTTPS", "Port": 443,
             "DefaultActions": [{"Type": "forward", "TargetGroupArn": "$target_group"}]},
            "ValidationError", API + "CreateListener, Certificates: required for HTTPS"),
    Refusal("a second listener on a port", "elbv2", "CreateListener",
            {"LoadBalancerArn": "$balancer", "Protocol": "HTTP", "Port": 80,
             "DefaultActions": [{"Type": "forward", "TargetGroupArn": "$target_group"}]},
            "DuplicateListener", API + "CreateListener, errors"),
    Refusal("a target group in use deleted", "elbv2", "DeleteTargetGroup", {"TargetGroupArn": "$target_group"},
            "ResourceInUse", API + "DeleteTargetGroup, errors"),
    # -- Lambda
    Refusal("40 GB of memory", "lambda", "CreateFunction", {**_FUNCTION, "MemorySize": 40000},
            "ValidationException", MODEL + "lambda MemorySize"),
    Refusal("a timeout of two hours", "lambda", "CreateFunction", {**_FUNCTION, "Timeout": 7200},
            "ValidationException", MODEL + "lambda Timeout"),
    Refusal("an unknown runtime", "lambda", "CreateFunction", {**_FUNCTION, "Runtime": "python4.0"},
            "InvalidParameterValueException", MODEL + "lambda Runtime"),
    Refusal("a function's name with a space", "lambda", "CreateFunction", {**_FUNCTION, "FunctionName": "a b"},
            "ValidationException", MODEL + "lambda FunctionName"),
    Refusal("a role that Lambda cannot assume", "lambda", "CreateFunction", {**_FUNCTION, "Role": "$task_role"},
            "InvalidParameterValueException", API + "CreateFunction, Role: Lambda must be able to assume it"),
    Refusal("an archive without a handler", "lambda", "CreateFunction",
            {key: value for key, value in _FUNCTION.items() if key != "Handler"},
            "InvalidParameterValueException", API + "CreateFunction, Handler: required for an archive"),
    Refusal("a reserved variable", "lambda", "CreateFunction",
            {**_FUNCTION, "Environment": {"Variables": {"AWS_REGION": "eu-west-1"}}},
            "InvalidParameterValueException", GUIDE + "Lambda environment variables: reserved ones"),
    Refusal("five kilobytes of variables", "lambda", "CreateFunction",
            {**_FUNCTION, "Environment": {"Variables": {"LONG": "x" * 5000}}},
            "InvalidParameterValueException", GUIDE + "Lambda quotas: 4 KB of environment variables"),
    Refusal("an event that waits for 30 seconds", "lambda", "PutFunctionEventInvokeConfig",
            {"FunctionName": "$function_name", "MaximumEventAgeInSeconds": 30},
            "ValidationException", MODEL + "lambda MaximumEventAgeInSeconds, 60 to 21,600"),
    Refusal("three attempts of an event", "lambda", "PutFunctionEventInvokeConfig",
            {"FunctionName": "$function_name", "MaximumRetryAttempts": 3},
            "ValidationException", MODEL + "lambda MaximumRetryAttempts, 0 to 2"),
    # -- SSM, Scheduler, Logs
    Refusal("an unknown kind of parameter", "ssm", "PutParameter", {"Name": "/refused", "Value": "x", "Type": "Text"},
            "ValidationException", MODEL + "ssm ParameterType"),
    Refusal("a parameter of 5,000 characters", "ssm", "PutParameter",
            {"Name": "/refused", "Value": "x" * 5000, "Type": "String"},
            "ValidationException", GUIDE + "Managing parameter tiers: 4 KB in the standard tier"),
    Refusal("a parameter that exists", "ssm", "PutParameter", {"Name": "/taken", "Value": "x", "Type": "String"},
            "ParameterAlreadyExists", API + "PutParameter, errors"),
    Refusal("a parameter of AWS's own", "ssm", "PutParameter", {"Name": "/aws/x", "Value": "x", "Type": "String"},
            "AccessDeniedException", GUIDE + "Parameter names: not aws or ssm"),
    Refusal("a schedule that is none", "scheduler", "CreateSchedule", {**_SCHEDULE, "ScheduleExpression": "each day"},
            "ValidationException", GUIDE + "Schedule types: rate, cron, at"),
    Refusal("a time zone that is none", "scheduler", "CreateSchedule",
            {**_SCHEDULE, "ScheduleExpressionTimezone": "Africa/Atlantis"},
            "ValidationException", API + "CreateSchedule, ScheduleExpressionTimezone: IANA names"),
    Refusal("a flexible window without minutes", "scheduler", "CreateSchedule",
            {**_SCHEDULE, "FlexibleTimeWindow": {"Mode": "FLEXIBLE"}},
            "ValidationException", API + "FlexibleTimeWindow, MaximumWindowInMinutes"),
    Refusal("a tick that waits for ten seconds", "scheduler", "CreateSchedule",
            {**_SCHEDULE, "Target": {**_SCHEDULE["Target"], "RetryPolicy": {"MaximumEventAgeInSeconds": 10}}},
            "ValidationException", MODEL + "scheduler MaximumEventAgeInSeconds, 60 to 86,400"),
    Refusal("a role that Scheduler cannot assume", "scheduler", "CreateSchedule",
            {**_SCHEDULE, "Target": {"Arn": "$function", "RoleArn": "$task_role"}},
            "ValidationException", GUIDE + "Scheduler's execution role: it must trust scheduler.amazonaws.com"),
    Refusal("logs kept for 45 days", "logs", "PutRetentionPolicy", {"logGroupName": "/taken", "retentionInDays": 45},
            "InvalidParameterException", API + "PutRetentionPolicy: possible values"),
    Refusal("a log group's name with a space", "logs", "CreateLogGroup", {"logGroupName": "a b"},
            "InvalidParameterException", MODEL + "logs LogGroupName"),
    Refusal("a second log group of a name", "logs", "CreateLogGroup", {"logGroupName": "/taken"},
            "ResourceAlreadyExistsException", API + "CreateLogGroup, errors"),
    # -- queues, topics, alarms
    Refusal("messages kept for 20 days", "sqs", "CreateQueue",
            {"QueueName": "refused", "Attributes": {"MessageRetentionPeriod": "1728000"}},
            "InvalidAttributeValue", API + "CreateQueue, MessageRetentionPeriod: 14 days at most"),
    Refusal("a day of invisibility", "sqs", "CreateQueue",
            {"QueueName": "refused", "Attributes": {"VisibilityTimeout": "86400"}},
            "InvalidAttributeValue", API + "CreateQueue, VisibilityTimeout: 12 hours at most"),
    Refusal("an unknown attribute of a queue", "sqs", "CreateQueue",
            {"QueueName": "refused", "Attributes": {"Retention": "60"}},
            "InvalidAttributeName", MODEL + "sqs QueueAttributeName"),
    Refusal("a queue's name of 81 characters", "sqs", "CreateQueue", {"QueueName": "x" * 81},
            "InvalidParameterValue", API + "CreateQueue, QueueName: at most 80"),
    Refusal("a topic's name with a space", "sns", "CreateTopic", {"Name": "a b"},
            "InvalidParameter", API + "CreateTopic, Name"),
    Refusal("a subscription by pigeon", "sns", "Subscribe",
            {"TopicArn": "$topic", "Protocol": "pigeon", "Endpoint": "x"},
            "InvalidParameter", API + "Subscribe, Protocol"),
    Refusal("a subscription of a topic that does not exist", "sns", "Subscribe",
            {"TopicArn": "$topic-never-made", "Protocol": "email", "Endpoint": "a@example.org"},
            "NotFound", API + "Subscribe, errors"),
    Refusal("an alarm without periods", "cloudwatch", "PutMetricAlarm",
            {"AlarmName": "refused", "EvaluationPeriods": 0, "ComparisonOperator": "LessThanThreshold"},
            "ValidationError", MODEL + "cloudwatch EvaluationPeriods, at least 1"),
    Refusal("an alarm that compares in its own way", "cloudwatch", "PutMetricAlarm",
            {"AlarmName": "refused", "EvaluationPeriods": 1, "ComparisonOperator": "Around"},
            "ValidationError", MODEL + "cloudwatch ComparisonOperator"),
)  # fmt: skip
