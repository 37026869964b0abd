"""What the storage, database and service types of the provider are tried with: one function for each type."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.sandbox.provider_lab import HANDLER, PEER, Lab, Trial, Trials, archive, containers, document

TRIALS: Final = Trials()
LONDON: Final = "eu-west-2"  # RDS replicates backups from there to eu-west-1
OTHER_BUCKET: Final = {"bucket": "another-bucket"}


# -- storage ----------------------------------------------------------------------------------------------------------
@TRIALS.of("aws:s3/bucket:Bucket")
def _bucket(lab: Lab) -> Trial:
    given = {"bucket": lab.name("bucket"), "forceDestroy": True, "tags": {"Name": "one"}}
    return Trial(given, {"tags": {"Name": "two"}}, OTHER_BUCKET)


@TRIALS.of("aws:s3/bucketVersioning:BucketVersioning")
def _versioning(lab: Lab) -> Trial:
    given = {"bucket": lab.bucket(), "versioningConfiguration": {"status": "Enabled"}}
    return Trial(given, {"versioningConfiguration": {"status": "Suspended"}}, OTHER_BUCKET)


@TRIALS.of("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def _encryption(lab: Lab) -> Trial:
    with_key = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": lab.key}
    given = [{"applyServerSideEncryptionByDefault": with_key, "bucketKeyEnabled": True}]
    changed = [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": False}]
    return Trial({"bucket": lab.bucket(), "rules": given}, {"rules": changed}, OTHER_BUCKET)


@TRIALS.of("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def _public_access(lab: Lab) -> Trial:
    names = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    changed = {"blockPublicPolicy": False, "restrictPublicBuckets": False}
    return Trial({"bucket": lab.bucket(), **dict.fromkeys(names, True)}, changed, OTHER_BUCKET)


@TRIALS.of("aws:s3/bucketPolicy:BucketPolicy")
def _bucket_policy(lab: Lab) -> Trial:
    bucket = lab.bucket()
    who = {"AWS": "arn:aws:iam::123456789012:root"}
    policies = [
        document(f"s3:{verb}Object", Principal=who, Resource=f"arn:aws:s3:::{bucket}/*") for verb in ("Get", "Put")
    ]
    return Trial({"bucket": bucket, "policy": policies[0]}, {"policy": policies[1]}, OTHER_BUCKET)


@TRIALS.of("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def _ownership(lab: Lab) -> Trial:
    given = {"bucket": lab.bucket(), "rule": {"objectOwnership": "BucketOwnerEnforced"}}
    return Trial(given, {"rule": {"objectOwnership": "BucketOwnerPreferred"}}, OTHER_BUCKET)


@TRIALS.of("aws:s3/bucketReplicationConfig:BucketReplicationConfig")
def _replication(lab: Lab) -> Trial:
    bucket, replica = lab.bucket(versioned=True), lab.bucket(PEER, versioned=True)
    destination = {
        "bucket": f"arn:aws:s3:::{replica}",
        "storageClass": "STANDARD",
        "encryptionConfiguration": {"replicaKmsKeyId": lab.key},
        "replicationTime": {"status": "Enabled", "time": {"minutes": 15}},
        "metrics": {"status": "Enabled", "eventThreshold": {"minutes": 15}},
    }
    rule = {
        "id": "everything",
        "priority": 1,
        "status": "Enabled",
        "filter": {"prefix": ""},
        "deleteMarkerReplication": {"status": "Enabled"},
        "sourceSelectionCriteria": {"sseKmsEncryptedObjects": {"status": "Enabled"}},
        "destination": destination,
    }
    given = {"bucket": bucket, "role": lab.role("s3.amazonaws.com").state["arn"], "rules": [rule]}
    return Trial(given, {"rules": [{**rule, "status": "Disabled"}]}, OTHER_BUCKET)


@TRIALS.of("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def _lifecycle(lab: Lab) -> Trial:
    rule: dict[str, Any] = {
        "id": "keep-old-versions",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "noncurrentVersionExpiration": {"noncurrentDays": 30},
        "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
        "expiration": {"days": 90},
    }
    changed = {**rule, "noncurrentVersionExpiration": {"noncurrentDays": 60}}
    return Trial({"bucket": lab.bucket(), "rules": [rule]}, {"rules": [changed]}, OTHER_BUCKET)


@TRIALS.of("aws:s3/bucketObjectv2:BucketObjectv2")
def _object(lab: Lab) -> Trial:
    given = {
        "bucket": lab.bucket(versioned=True),
        "key": "crisis/index.html",
        "content": "<p>one</p>",
        "contentType": "text/html; charset=utf-8",
        "cacheControl": "max-age=60",
    }
    return Trial(given, {"content": "<p>two</p>", "cacheControl": "no-store"}, {"key": "other"})


# -- secrets -------------------------------------------------------------------------------------------------------
@TRIALS.of("aws:secretsmanager/secret:Secret")
def _secret(lab: Lab) -> Trial:
    given = {
        "name": lab.name("secret"),
        "description": "one",
        "kmsKeyId": lab.key,
        "replicas": [{"region": PEER}],
        "recoveryWindowInDays": 7,
        "tags": {"Name": "one"},
    }
    return Trial(given, {"description": "two", "replicas": [], "tags": {"Name": "two"}}, {"name": "another"})


@TRIALS.of("aws:secretsmanager/secretVersion:SecretVersion")
def _secret_version(lab: Lab) -> Trial:
    return Trial({"secretId": lab.secret(), "secretString": "one"}, {}, {"secretString": "two"})


# -- database ---------------------------------------------------------------------------------------------------------
@TRIALS.of("aws:rds/instance:Instance")
def _instance(lab: Lab) -> Trial:
    subnets = lab.make("aws:rds/subnetGroup:SubnetGroup", name=lab.name("subnets"), subnetIds=lab.subnets).id
    group = lab.make("aws:rds/parameterGroup:ParameterGroup", name=lab.name("parameters"), family="postgres17").id
    given = {
        "identifier": lab.name("rds"),
        "engine": "postgres",
        "engineVersion": "17.6",
        "instanceClass": "db.t4g.medium",
        "allocatedStorage": 20,
        "storageType": "gp3",
        "storageEncrypted": True,
        "kmsKeyId": lab.key,
        "multiAz": True,
        "dbSubnetGroupName": subnets,
        "vpcSecurityGroupIds": [lab.security_group()],
        "parameterGroupName": group,
        "publiclyAccessible": False,
        "port": 5432,
        "dbName": "platform",
        "username": "platform_admin",
        "password": "master-password",
        "backupWindow": "03:00-03:30",
        "backupRetentionPeriod": 7,
        "maintenanceWindow": "sun:04:30-sun:05:30",
        "deleteAutomatedBackups": True,
        "copyTagsToSnapshot": True,
        "skipFinalSnapshot": True,
        "deletionProtection": False,
        "autoMinorVersionUpgrade": False,
        "applyImmediately": True,
        "enabledCloudwatchLogsExports": ["postgresql", "upgrade"],
        "monitoringInterval": 60,
        "monitoringRoleArn": lab.role("monitoring.rds.amazonaws.com").state["arn"],
        "performanceInsightsEnabled": True,
        "performanceInsightsKmsKeyId": lab.key,
        "performanceInsightsRetentionPeriod": 7,
        "tags": {"Name": "one"},
    }
    changed = {
        "monitoringInterval": 30,
        "performanceInsightsRetentionPeriod": 731,
        "backupRetentionPeriod": 14,
        "vpcSecurityGroupIds": [lab.security_group()],
        "password": "another-password",
        "tags": {"Name": "two"},
    }
    return Trial(given, changed, {"kmsKeyId": "arn:aws:kms:other"})


@TRIALS.of("aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication")
def _backups_replication(lab: Lab) -> Trial:
    source = lab.make(
        "aws:rds/instance:Instance",
        region=LONDON,
        identifier=lab.name("rds"),
        engine="postgres",
        engineVersion="17.6",
        instanceClass="db.t4g.medium",
        allocatedStorage=20,
        username="platform_admin",
        password="master-password",
        backupRetentionPeriod=7,
        storageEncrypted=True,
        kmsKeyId=lab.make("aws:kms/key:Key", description="london", region=LONDON).state["arn"],
    )
    given = {"sourceDbInstanceArn": source.state["arn"], "kmsKeyId": lab.key, "retentionPeriod": 14}
    return Trial(given, {}, {"retentionPeriod": 30})


@TRIALS.of("aws:rds/subnetGroup:SubnetGroup")
def _subnet_group(lab: Lab) -> Trial:
    given = {"name": lab.name("subnets"), "description": "one", "subnetIds": lab.subnets, "tags": {"Name": "one"}}
    changed = {"description": "two", "subnetIds": [lab.subnet(40), *lab.subnets], "tags": {"Name": "two"}}
    return Trial(given, changed, {"name": "another"})


@TRIALS.of("aws:rds/parameterGroup:ParameterGroup")
def _parameter_group(lab: Lab) -> Trial:
    forced = {"name": "rds.force_ssl", "value": "1"}
    slow = {"name": "log_min_duration_statement", "value": "500"}
    given = {
        "name": lab.name("parameters"),
        "family": "postgres17",
        "description": "one",
        "parameters": [forced],
        "tags": {"Name": "one"},
    }
    return Trial(given, {"parameters": [forced, slow]}, {"family": "postgres16"})


# -- services ---------------------------------------------------------------------------------------------------------
@TRIALS.of("aws:cloudwatch/logGroup:LogGroup")
def _log_group(lab: Lab) -> Trial:
    given = {"name": f"/{lab.name('logs')}", "retentionInDays": 30, "kmsKeyId": lab.key, "tags": {"Name": "one"}}
    return Trial(given, {"retentionInDays": 60, "tags": {"Name": "two"}}, {"name": "/another"})


@TRIALS.of("aws:servicediscovery/httpNamespace:HttpNamespace")
def _namespace(lab: Lab) -> Trial:
    given = {"name": lab.name("namespace"), "description": "one", "tags": {"Name": "one"}}
    return Trial(given, {"tags": {"Name": "two"}}, {"description": "two"})


@TRIALS.of("aws:ecs/cluster:Cluster")
def _cluster(lab: Lab) -> Trial:
    def insights(value: str) -> list[dict[str, str]]:
        return [{"name": "containerInsights", "value": value}]

    given = {"name": lab.name("cluster"), "settings": insights("enabled"), "tags": {"Name": "one"}}
    return Trial(given, {"settings": insights("disabled"), "tags": {"Name": "two"}}, {"name": "another"})


@TRIALS.of("aws:ecs/taskDefinition:TaskDefinition")
def _task_definition(lab: Lab) -> Trial:
    role = lab.role("ecs-tasks.amazonaws.com").state["arn"]
    given = {
        "family": lab.name("task"),
        "containerDefinitions": containers(),
        "cpu": "256",
        "memory": "512",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "executionRoleArn": role,
        "taskRoleArn": role,
        "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"},
        "volumes": [{"name": "scratch"}],
        "skipDestroy": False,
        "tags": {"Name": "one"},
    }
    return Trial(given, {"tags": {"Name": "two"}}, {"containerDefinitions": containers("ghcr.io/lab/web:1.1.0")})


@TRIALS.of("aws:ecs/service:Service")
def _service(lab: Lab) -> Trial:
    connect = {
        "enabled": True,
        "namespace": lab.namespace,
        "services": [
            {"portName": "web", "discoveryName": "web", "clientAlias": [{"port": 8080, "dnsName": "web"}]},
        ],
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/lab"}},
    }
    lab.make(
        "aws:lb/listenerRule:ListenerRule",
        listenerArn=lab.listener,
        priority=50,
        conditions=[{"pathPattern": {"values": ["/web"]}}],
        actions=[{"type": "forward", "targetGroupArn": (targets := lab.target_group())}],
    )
    given = {
        "name": lab.name("service"),
        "cluster": lab.cluster,
        "taskDefinition": lab.task_definition(),
        "desiredCount": 0,
        "launchType": "FARGATE",
        "platformVersion": "LATEST",
        "networkConfiguration": {
            "subnets": lab.subnets,
            "securityGroups": [lab.security_group()],
            "assignPublicIp": False,
        },
        "loadBalancers": [{"targetGroupArn": targets, "containerName": "web", "containerPort": 8080}],
        "healthCheckGracePeriodSeconds": 60,
        "serviceConnectConfiguration": connect,
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        "deploymentMinimumHealthyPercent": 100,
        "deploymentMaximumPercent": 200,
        "enableEcsManagedTags": True,
        "propagateTags": "SERVICE",
        "waitForSteadyState": True,
        "tags": {"Name": "one"},
    }
    changed = {
        "taskDefinition": lab.task_definition(),
        "healthCheckGracePeriodSeconds": 30,
        "deploymentCircuitBreaker": {"enable": True, "rollback": False},
        "tags": {"Name": "two"},
    }
    return Trial(given, changed, {"cluster": "another"})


# -- functions --------------------------------------------------------------------------------------------------------
@TRIALS.of("aws:lambda/function:Function")
def _function(lab: Lab) -> Trial:
    given = {
        "name": lab.name("function"),
        "role": lab.role("lambda.amazonaws.com").state["arn"],
        "runtime": "python3.13",
        "handler": "handler.handler",
        "code": archive(HANDLER),
        "architectures": ["arm64"],
        "timeout": 60,
        "memorySize": 256,
        "description": "one",
        "environment": {"variables": {"ONE": "1"}},
        "vpcConfig": {"subnetIds": lab.subnets, "securityGroupIds": [lab.security_group()]},
        "kmsKeyArn": lab.key,
        "loggingConfig": {"logFormat": "JSON", "logGroup": "/lab/function"},
        "reservedConcurrentExecutions": 1,
        "tags": {"Name": "one"},
    }
    changed = {
        "code": archive(HANDLER + "# changed\n"),
        "timeout": 90,
        "environment": {"variables": {"TWO": "2"}},
        "vpcConfig": None,
        "reservedConcurrentExecutions": 2,
        "tags": {"Name": "two"},
    }
    return Trial(given, changed, {"name": "another"})


@TRIALS.of("aws:lambda/invocation:Invocation")
def _invocation(lab: Lab) -> Trial:
    given = {"functionName": lab.function().id, "input": json.dumps({"a": 1}), "triggers": {"database": "one"}}
    return Trial(given, {}, {"triggers": {"database": "two"}})


@TRIALS.of("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
def _event_invoke_config(lab: Lab) -> Trial:
    letters = lab.make("aws:sqs/queue:Queue", name=lab.name("letters"), sqsManagedSseEnabled=True)
    given = {
        "functionName": lab.function().id,
        "maximumEventAgeInSeconds": 60,
        "maximumRetryAttempts": 0,
        "destinationConfig": {"onFailure": {"destination": letters.state["arn"]}},
    }
    changed = {"maximumEventAgeInSeconds": 120, "maximumRetryAttempts": 1, "destinationConfig": None}
    return Trial(given, changed, {"functionName": "another"})


@TRIALS.of("aws:scheduler/schedule:Schedule")
def _schedule(lab: Lab) -> Trial:
    target = {
        "arn": lab.function().state["arn"],
        "roleArn": lab.role("scheduler.amazonaws.com").state["arn"],
        "input": json.dumps({"time": "<aws.scheduler.scheduled-time>"}),
        "deadLetterConfig": {"arn": lab.make("aws:sqs/queue:Queue", name=lab.name("letters")).state["arn"]},
        "retryPolicy": {"maximumRetryAttempts": 0, "maximumEventAgeInSeconds": 300},
    }
    given = {
        "name": lab.name("schedule"),
        "groupName": "default",
        "scheduleExpression": "rate(1 days)",
        "scheduleExpressionTimezone": "UTC",
        "state": "ENABLED",
        "flexibleTimeWindow": {"mode": "OFF"},
        "target": target,
        "description": "one",
    }
    return Trial(given, {"state": "DISABLED", "scheduleExpression": "rate(2 days)"}, {"groupName": "another"})
