"""How database, cache, service, function and message types differ behind the provider's back: a function each."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.sandbox.drift import Case, Drifts, Stage
from tests.sandbox.provider_client import REGION
from tests.sandbox.provider_lab import HANDLER, ZONE, archive, containers
from tests.sandbox.provider_trials_records import scaled_service

DRIFTS: Final = Drifts()


# -- database ---------------------------------------------------------------------------------------------------------
@DRIFTS.of("aws:rds/instance:Instance")
def _instance(stage: Stage) -> list[Case]:
    spare = stage.spare
    origin = {
        "restoreTime": "2026-01-01T00:00:00Z",
        "sourceDbInstanceAutomatedBackupsArn": "arn:aws:rds:other",
        "sourceDbInstanceIdentifier": "other",
        "sourceDbiResourceId": "db-OTHER",
        "useLatestRestorableTime": True,
    }
    return [
        Case(
            base={"caCertIdentifier": "rds-ca-rsa2048-g1"},
            alone={
                "instanceClass": "db.t4g.large",
                "storageType": "gp2",
                "multiAz": False,
                "parameterGroupName": stage.again["parameterGroupName"],
                "backupWindow": "02:00-02:30",
                "maintenanceWindow": "mon:04:30-mon:05:30",
                "caCertIdentifier": "rds-ca-ecc384-g1",
                "enabledCloudwatchLogsExports": ["postgresql"],
                "monitoringRoleArn": stage.again["monitoringRoleArn"],
                "finalSnapshotIdentifier": "other",
            },
            together=({"kmsKeyId": spare.key, "dbName": "other", "username": "other_admin"},),
            recorded={
                # The sandbox's databases are neither renamed nor upgraded, nor does a change of theirs wait.
                "identifier": "other",
                "engineVersion": "17.5",
                "applyImmediately": False,
                "engine": "mysql",
                "storageEncrypted": False,
                "availabilityZone": f"{REGION}z",  # a database in two zones has none of its own
                "dbSubnetGroupName": "other",  # AWS moves a database into another network only
                "performanceInsightsKmsKeyId": spare.key,  # stays what it was when insights were turned on
                "performanceInsightsEnabled": False,  # the call that turns them off takes neither key nor period
                "replicateSourceDb": "other",
                "port": 5433,
                "snapshotIdentifier": "other",
                "restoreToPointInTime": origin,
            },
            last={"allocatedStorage": 30, "maxAllocatedStorage": 100},
        )
    ]


@DRIFTS.of("aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication")
def _backups_replication(stage: Stage) -> list[Case]:
    source = stage.again["sourceDbInstanceArn"]
    return [
        Case(together=({"sourceDbInstanceArn": source, "kmsKeyId": stage.spare.key, "retentionPeriod": 30},)),
    ]


@DRIFTS.of("aws:rds/subnetGroup:SubnetGroup", "aws:elasticache/subnetGroup:SubnetGroup")
def _subnet_group(_: Stage) -> list[Case]:
    return [Case()]


@DRIFTS.of("aws:rds/parameterGroup:ParameterGroup")
def _parameter_group(_: Stage) -> list[Case]:
    return [
        Case(
            alone={
                "family": "postgres16",
                "parameters.name": "log_connections",
                "parameters.value": "0",
                "parameters.applyMethod": "pending-reboot",
            }
        )
    ]


# -- cache ------------------------------------------------------------------------------------------------------------
@DRIFTS.of("aws:elasticache/parameterGroup:ParameterGroup")
def _cache_parameters(_: Stage) -> list[Case]:
    return [
        Case(
            alone={
                "parameters": [{"name": "timeout", "value": "300"}],
                "parameters.value": "allkeys-lfu",
            },
            recorded={"family": "valkey7"},  # the sandbox's caches are of one family
        )
    ]


@DRIFTS.of("aws:elasticache/replicationGroup:ReplicationGroup")
def _replication_group(stage: Stage) -> list[Case]:
    return [
        Case(
            alone={
                "multiAzEnabled": False,
                "parameterGroupName": stage.again["parameterGroupName"],
                "transitEncryptionMode": "preferred",
                "authTokenUpdateStrategy": "SET",
            },
            together=(
                {"automaticFailoverEnabled": False, "multiAzEnabled": False},
                {"subnetGroupName": stage.again["subnetGroupName"], "kmsKeyId": stage.spare.key},
            ),
            recorded={
                "engine": "redis",  # AWS turns no Valkey back into Redis
                "atRestEncryptionEnabled": False,
                "transitEncryptionEnabled": False,
                "port": 6380,
                "snapshotName": "other",
                "snapshotArns": ["arn:aws:s3:::other/a.rdb"],
                "applyImmediately": False,  # there is no maintenance window here that anything could wait for
            },
            last={"engineVersion": "8.1"},
        )
    ]


# -- services ---------------------------------------------------------------------------------------------------------
@DRIFTS.of("aws:cloudwatch/logGroup:LogGroup")
def _log_group(stage: Stage) -> list[Case]:
    return [Case(alone={"kmsKeyId": stage.spare.key})]


@DRIFTS.of("aws:ecs/cluster:Cluster")
def _cluster(_: Stage) -> list[Case]:
    return [Case(alone={"settings.value": "disabled"}, recorded={"settings.name": "other"})]


@DRIFTS.of("aws:ecs/taskDefinition:TaskDefinition")
def _task_definition(stage: Stage) -> list[Case]:
    return [
        Case(
            alone={
                "containerDefinitions": containers("ghcr.io/lab/web:1.1.0"),
                "family": stage.lab.name("task"),
                "memory": "1024",
                "executionRoleArn": stage.spare.role("ecs-tasks.amazonaws.com"),
                "taskRoleArn": stage.spare.role("ecs-tasks.amazonaws.com"),
                "runtimePlatform.cpuArchitecture": "ARM64",
                "volumes.name": "other",
            },
            together=(
                {"cpu": "512", "memory": "1024"},
                {"networkMode": "bridge", "requiresCompatibilities": ["EC2"]},
                {"runtimePlatform.operatingSystemFamily": "WINDOWS_SERVER_2022_CORE", "cpu": "1024", "memory": "2048"},
            ),
        )
    ]


@DRIFTS.of("aws:ecs/service:Service")
def _service(stage: Stage) -> list[Case]:
    lab, connect = stage.lab, "serviceConnectConfiguration"
    namespace = lab.make("aws:servicediscovery/httpNamespace:HttpNamespace", name=lab.name("namespace")).state["arn"]
    targets = lab.target_group()
    lab.make(
        "aws:lb/listenerRule:ListenerRule",
        listenerArn=lab.listener,
        priority=51,
        conditions=[{"pathPattern": {"values": ["/other"]}}],
        actions=[{"type": "forward", "targetGroupArn": targets}],
    )
    return [
        Case(
            alone={
                "cluster": lab.make("aws:ecs/cluster:Cluster", name=lab.name("cluster")).state["arn"],
                "platformVersion": "1.4.0",
                "networkConfiguration.subnets": lab.subnets[:1],
                "networkConfiguration.securityGroups": [stage.spare.group],
                "loadBalancers.targetGroupArn": targets,
                connect: {"enabled": False},
                f"{connect}.namespace": namespace,
                f"{connect}.services.discoveryName": "other",
                f"{connect}.services.clientAlias.port": 8081,
                f"{connect}.services.clientAlias.dnsName": "other",
                f"{connect}.logConfiguration.logDriver": "splunk",
                f"{connect}.logConfiguration.options": {"awslogs-group": "/other"},
                "deploymentCircuitBreaker.rollback": False,
                "deploymentMinimumHealthyPercent": 50,
                "deploymentMaximumPercent": 150,
                "propagateTags": "TASK_DEFINITION",
            },
            together=(
                {"deploymentCircuitBreaker.enable": False, "deploymentCircuitBreaker.rollback": False},
                {"desiredCount": 1, "waitForSteadyState": False},
            ),
            recorded={
                "launchType": "EC2",
                # What the task definition calls its container and its port.
                "loadBalancers.containerName": "other",
                "loadBalancers.containerPort": 9090,
                f"{connect}.services.portName": "other",
            },
        )
    ]


@DRIFTS.of("aws:appautoscaling/target:Target")
def _target(stage: Stage) -> list[Case]:
    return [
        Case(
            alone={"resourceId": scaled_service(stage.lab)},
            recorded={"serviceNamespace": "dynamodb", "scalableDimension": "dynamodb:table:ReadCapacityUnits"},
        )
    ]


@DRIFTS.of("aws:appautoscaling/policy:Policy")
def _policy(stage: Stage) -> list[Case]:
    tracking = "targetTrackingScalingPolicyConfiguration"
    metric = f"{tracking}.predefinedMetricSpecification"
    requests = {
        f"{metric}.predefinedMetricType": "ALBRequestCountPerTarget",
        f"{metric}.resourceLabel": "app/lab/1/targetgroup/lab/1",
    }
    return [
        Case(
            alone={
                "resourceId": stage.again["resourceId"],
                f"{metric}.predefinedMetricType": "ECSServiceAverageMemoryUtilization",
                f"{tracking}.targetValue": 61,
            },
            recorded={
                "serviceNamespace": "dynamodb",
                "scalableDimension": "dynamodb:table:ReadCapacityUnits",
                "policyType": "StepScaling",
            },
        ),
        Case(base=requests, alone={f"{metric}.resourceLabel": "app/lab/2/targetgroup/lab/2"}),
    ]


# -- functions --------------------------------------------------------------------------------------------------------
@DRIFTS.of("aws:lambda/function:Function")
def _function(stage: Stage) -> list[Case]:
    return [
        Case(
            alone={
                "code": archive(HANDLER + "# by hand\n"),
                "role": stage.spare.role("lambda.amazonaws.com"),
                "runtime": "python3.12",
                "handler": "handler.other",
                "environment.variables": {"ONE": "2"},
                "vpcConfig.subnetIds": stage.lab.subnets[:1],
                "vpcConfig.securityGroupIds": [stage.spare.group],
                "architectures": ["x86_64"],
                "kmsKeyArn": stage.spare.key,
                "loggingConfig.logFormat": "Text",
                "loggingConfig.logGroup": "/lab/other",
            }
        )
    ]


@DRIFTS.of("aws:lambda/invocation:Invocation")
def _invocation(stage: Stage) -> list[Case]:
    recorded = {
        "functionName": "other",
        "input": json.dumps({"a": 2}),
        "triggers": {"database": "two"},
        "qualifier": "1",
        "lifecycleScope": "CRUD",
    }
    return [Case(recorded=recorded)]


@DRIFTS.of("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
def _event_invoke_config(stage: Stage) -> list[Case]:
    queue = stage.spare.queue
    changes = {
        "functionName": stage.lab.function().id,
        "destinationConfig.onFailure.destination": queue,
        "destinationConfig.onSuccess": {"destination": queue},
    }
    return [Case(alone=changes)]


@DRIFTS.of("aws:scheduler/schedule:Schedule")
def _schedule(stage: Stage) -> list[Case]:
    stage.lab.aws("scheduler").create_schedule_group(Name="other")
    return [
        Case(
            alone={
                "groupName": "other",
                "scheduleExpressionTimezone": "Africa/Nairobi",
                "kmsKeyArn": stage.spare.key,
                "target.arn": stage.spare.function,
                "target.roleArn": stage.spare.role("scheduler.amazonaws.com"),
                "target.input": "{}",
                "target.deadLetterConfig.arn": stage.spare.queue,
            },
            # The sandbox's schedules have no window.
            recorded={"flexibleTimeWindow": {"mode": "FLEXIBLE", "maximumWindowInMinutes": 5}},
        )
    ]


# -- messages ---------------------------------------------------------------------------------------------------------
@DRIFTS.of("aws:sqs/queue:Queue")
def _queue(stage: Stage) -> list[Case]:
    redrive = {**json.loads(stage.given["redrivePolicy"]), "maxReceiveCount": 6}
    return [
        Case(
            alone={
                "messageRetentionSeconds": 86400,
                "receiveWaitTimeSeconds": 10,
                "kmsMasterKeyId": stage.spare.key,
                "redrivePolicy": json.dumps(redrive),
            }
        ),
        Case(base={"kmsMasterKeyId": None, "sqsManagedSseEnabled": True}, alone={"sqsManagedSseEnabled": False}),
    ]


@DRIFTS.of("aws:sns/topic:Topic")
def _topic(stage: Stage) -> list[Case]:
    return [Case(alone={"kmsMasterKeyId": stage.spare.key})]


@DRIFTS.of("aws:sns/topicSubscription:TopicSubscription")
def _subscription(stage: Stage) -> list[Case]:
    queue = {"protocol": "sqs", "endpoint": stage.spare.queue}
    return [Case(alone={"topic": stage.spare.topic, "endpoint": f"other@{ZONE}"}, together=(queue,))]


@DRIFTS.of("aws:cloudwatch/metricAlarm:MetricAlarm")
def _metric_alarm(stage: Stage) -> list[Case]:
    desired, running, judged = stage.given["metricQueries"]
    one = {name: value for name, value in stage.trial.changed.items() if name != "tags"}
    told = "metricQueries.metric"
    shown: list[dict[str, Any]] = [{**judged, "returnData": False}, {**desired, "returnData": True}, running]
    actions = ("alarmActions", "insufficientDataActions", "okActions")
    return [
        Case(
            base={"metricQueries": [judged, desired, running]},
            alone={
                "metricQueries.id": "verdict",
                "metricQueries.expression": "running - desired",
                "metricQueries.label": "other",
                "metricQueries": shown,
                f"{told}.namespace": "AWS/ECS",
                f"{told}.metricName": "PendingTaskCount",
                f"{told}.period": 120,
                f"{told}.stat": "Maximum",
                f"{told}.dimensions": {"ClusterName": "other", "ServiceName": "service"},
                "comparisonOperator": "LessThanThreshold",
                "treatMissingData": "ignore",
                **{name: [stage.spare.topic] for name in actions},
            },
        ),
        Case(
            base=one,
            alone={
                "namespace": "AWS/Lambda",
                "metricName": "RequestCount",
                "dimensions": {"LoadBalancer": "app/lab/2"},
                "extendedStatistic": "p99",
                "period": 60,
            },
            together=({"extendedStatistic": None, "statistic": "Sum"},),
        ),
    ]


@DRIFTS.of("aws:cloudwatch/compositeAlarm:CompositeAlarm")
def _composite_alarm(stage: Stage) -> list[Case]:
    rule = stage.given["alarmRule"].replace(" OR ", " AND ")
    others = {name: [stage.spare.topic] for name in ("alarmActions", "okActions")}
    return [Case(alone={"alarmRule": rule, **others})]
