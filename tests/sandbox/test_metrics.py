"""Each metric of the emulated cloud, driven by its real cause, with AWS's namespace, dimensions and conditions."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.sandbox import roles, traffic_platform, traffic_world
from tests.sandbox.alarm_lab import Lab
from tests.sandbox.traffic_platform import Platform
from tests.sandbox.traffic_world import DOMAIN, KENYA, SOUTH_AFRICA, wait

ELB, INSIGHTS, S3 = "AWS/ApplicationELB", "ECS/ContainerInsights", "AWS/S3"
SERVICE = {"ClusterName": "main", "ServiceName": "api-gateway"}


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """A region with a database and the service api-gateway behind a load balancer, healthy."""
    with traffic_platform.running_platform() as found:
        found.site.client("ecs").update_cluster(
            cluster="main", settings=[{"name": "containerInsights", "value": "enabled"}]
        )
        found.create("api-gateway", found.define())
        wait(lambda: found.target_states() == ["healthy"], 30, "a healthy target", lambda: found.events("api-gateway"))
        yield found


@pytest.fixture(scope="module")
def lab(platform: Platform) -> Lab:
    return Lab(platform.world, KENYA)


def balancer(platform: Platform) -> dict[str, str]:
    return {"LoadBalancer": platform.site.alb["LoadBalancerArn"].partition(":loadbalancer/")[2]}


def group(platform: Platform) -> dict[str, str]:
    return {**balancer(platform), "TargetGroup": platform.group.rpartition(":")[2]}


# -- services, load balancer, database ------------------------------------------------------------------------------
def test_a_running_service_is_counted_and_measured(platform: Platform, lab: Lab) -> None:
    lab.shows(INSIGHTS, "RunningTaskCount", 1.0, **SERVICE)
    lab.shows(INSIGHTS, "DesiredTaskCount", 1.0, **SERVICE)
    lab.shows("AWS/ECS", "CPUUtilization", 10.0, **SERVICE)
    lab.shows(ELB, "HealthyHostCount", 1.0, **group(platform))
    lab.shows(ELB, "UnHealthyHostCount", 0.0, **group(platform))
    assert balancer(platform)["LoadBalancer"].startswith("app/front/")
    assert group(platform)["TargetGroup"].startswith("targetgroup/api-gateway/")
    assert not lab.has(ELB, "HealthyHostCount", **balancer(platform)), "hosts are counted for a group only"
    assert not Lab(platform.world, SOUTH_AFRICA).listed("AWS/ECS")


def test_answers_are_counted_by_who_gives_them(platform: Platform, lab: Lab) -> None:
    assert not lab.has(ELB, "HTTPCode_ELB_5XX_Count", **balancer(platform)), "what never happened has no metric"
    platform.world.fetch(platform.site.alb["DNSName"], "/health")
    lab.shows(ELB, "HTTPCode_Target_2XX_Count", 1.0, "SampleCount", **group(platform))
    lab.shows(ELB, "RequestCount", 1.0, **balancer(platform))
    assert lab.latest(ELB, "TargetResponseTime", **group(platform)) is not None

    rule = platform.site.rule(50, traffic_world.fixed(503, "crisis"), path="/crisis")
    platform.world.fetch(platform.site.alb["DNSName"], "/crisis")

    for name in ("HTTPCode_ELB_5XX_Count", "HTTPCode_ELB_503_Count"):
        lab.shows(ELB, name, 1.0, **balancer(platform))
    platform.site.client("elbv2").delete_rule(RuleArn=rule)


def test_a_failing_and_a_hanging_service_answer_500_and_504_while_they_stay_healthy(
    platform: Platform, lab: Lab
) -> None:
    for kind, metric in (("service-error", "HTTPCode_Target_5XX_Count"), ("service-hang", "HTTPCode_ELB_504_Count")):
        platform.world.control("POST", "faults", {"kind": kind, "service": "api-gateway", "region": KENYA})
        platform.world.fetch(platform.site.alb["DNSName"], "/events")
        assert platform.world.fetch(platform.site.alb["DNSName"], "/health").status == 200
        platform.world.control("DELETE", "faults", {"kind": kind})

        lab.shows(ELB, metric, 1.0, **balancer(platform))


def test_a_database_is_measured_and_its_connections_are_real(platform: Platform, lab: Lab) -> None:
    main = {"DBInstanceIdentifier": "main"}
    lab.shows("AWS/RDS", "FreeStorageSpace", 20 * 1024.0**3 * 0.6, **main)
    wait(lambda: lab.latest("AWS/RDS", "DatabaseConnections", **main), what="the service's connection")
    before = lab.latest("AWS/RDS", "DatabaseConnections", **main)
    assert before is not None

    with traffic_world.master(platform.endpoint["Port"]):
        lab.shows("AWS/RDS", "DatabaseConnections", before + 1, **main)

    assert not lab.has("AWS/RDS", "ReplicaLag", **main), "only a replica has one"


def test_a_held_metric_alarms_only_where_the_world_publishes_it(platform: Platform, lab: Lab) -> None:
    main = {"DBInstanceIdentifier": "main"}
    listed = [{"Name": "DBInstanceIdentifier", "Value": "main"}]
    fault = {
        "kind": "metric",
        "region": KENYA,
        "namespace": "AWS/RDS",
        "name": "FreeStorageSpace",
        "dimensions": main,
        "value": 1.0e9,
    }
    lab.put(
        "storage-low",
        Namespace="AWS/RDS",
        MetricName="FreeStorageSpace",
        Dimensions=listed,
        Threshold=5.0e9,
        ComparisonOperator="LessThanThreshold",
        Statistic="Minimum",
    )
    lab.becomes("storage-low", "OK")
    wrong = {**fault, "dimensions": {"DBInstanceIdentifier": "other"}}
    with pytest.raises(RuntimeError, match="has no metric AWS/RDS FreeStorageSpace with the dimensions"):
        platform.world.control("POST", "faults", wrong)
    with pytest.raises(RuntimeError, match="a metric fault has the fields"):
        platform.world.control("POST", "faults", {"kind": "metric"})

    platform.world.control("POST", "faults", fault)
    lab.becomes("storage-low", "ALARM")
    platform.world.control("DELETE", "faults", {"kind": "metric"})
    lab.becomes("storage-low", "OK")


# -- health checks --------------------------------------------------------------------------------------------------
def test_health_checks_have_metrics_in_us_east_1_only(platform: Platform, lab: Lab) -> None:
    route53 = lab.world.client("route53", "us-east-1")
    config = {
        "Type": "HTTPS",
        "FullyQualifiedDomainName": DOMAIN,
        "ResourcePath": "/health",
        "RequestInterval": 10,
        "FailureThreshold": 1,
    }
    check = route53.create_health_check(CallerReference="metrics", HealthCheckConfig=config)["HealthCheck"]["Id"]
    parent = {"Type": "CALCULATED", "ChildHealthChecks": [check], "HealthThreshold": 1, "Inverted": True}
    inverted = route53.create_health_check(CallerReference="parent", HealthCheckConfig=parent)["HealthCheck"]["Id"]
    global_lab = Lab(lab.world, "us-east-1")

    global_lab.shows("AWS/Route53", "HealthCheckStatus", 1.0, HealthCheckId=check)
    global_lab.shows("AWS/Route53", "HealthCheckStatus", 0.0, HealthCheckId=inverted)
    global_lab.shows("AWS/Route53", "ChildHealthCheckHealthyCount", 1.0, HealthCheckId=inverted)
    route53.update_health_check(HealthCheckId=check, ResourcePath="/nothing-here")
    global_lab.shows("AWS/Route53", "HealthCheckStatus", 0.0, HealthCheckId=check)
    assert lab.listed("AWS/Route53") == []


def test_a_certificate_near_its_end_alarms_at_once_although_it_is_told_twice_a_day(
    platform: Platform, lab: Lab
) -> None:
    (arn,) = [entry["CertificateArn"] for entry in lab.client("acm").list_certificates()["CertificateSummaryList"]]
    lab.shows("AWS/CertificateManager", "DaysToExpiry", 364.0, CertificateArn=arn)
    metric = {"Namespace": "AWS/CertificateManager", "MetricName": "DaysToExpiry", "Statistic": "Minimum"}
    named = {"Dimensions": [{"Name": "CertificateArn", "Value": arn}], "Period": 86400, "TreatMissingData": "ignore"}
    lab.put("ending", **metric, **named, Threshold=30.0, ComparisonOperator="LessThanThreshold")
    lab.becomes("ending", "OK")
    held = {"namespace": "AWS/CertificateManager", "name": "DaysToExpiry", "dimensions": {"CertificateArn": arn}}

    platform.world.control("POST", "faults", {"kind": "metric", "region": KENYA, **held, "value": 20})

    lab.becomes("ending", "ALARM")
    platform.world.control("DELETE", "faults", {"kind": "metric"})


# -- queues ---------------------------------------------------------------------------------------------------------
def test_a_message_that_fails_too_often_shows_in_the_dead_letter_queue(lab: Lab) -> None:
    sqs = lab.client("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    url = sqs.create_queue(QueueName="work", Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "30"})[
        "QueueUrl"
    ]
    lab.shows("AWS/SQS", "ApproximateNumberOfMessagesVisible", 0.0, QueueName="dead")
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    lab.shows("AWS/SQS", "ApproximateNumberOfMessagesVisible", 1.0, QueueName="work")
    wait(lambda: (lab.latest("AWS/SQS", "ApproximateAgeOfOldestMessage", QueueName="work") or 0) > 120, what="its age")

    for _ in range(2):  # the second look moves it
        sqs.receive_message(QueueUrl=url)
        lab.minutes_pass(1)

    lab.shows("AWS/SQS", "ApproximateNumberOfMessagesVisible", 1.0, QueueName="dead")
    lab.shows("AWS/SQS", "ApproximateNumberOfMessagesVisible", 0.0, QueueName="work")


def test_a_queue_whose_key_is_disabled_takes_no_message(lab: Lab) -> None:
    key = lab.key().rpartition("/")[2]
    sqs = lab.client("sqs")
    url = sqs.create_queue(QueueName="sealed", Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="readable")

    lab.client("kms").disable_key(KeyId=key)

    with pytest.raises(sqs.exceptions.ClientError, match="disabled"):
        sqs.send_message(QueueUrl=url, MessageBody="lost")


# -- objects --------------------------------------------------------------------------------------------------------
def bucket(lab: Lab, name: str) -> None:
    s3 = lab.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": lab.region})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def test_replication_is_measured_in_the_region_that_aws_names(lab: Lab) -> None:
    away = Lab(lab.world, SOUTH_AFRICA)
    bucket(lab, "audio")
    bucket(away, "audio-copy")
    key, replica_key = lab.key(), away.key()
    minutes = {"Minutes": 15}
    destination = {
        "Bucket": "arn:aws:s3:::audio-copy",
        "EncryptionConfiguration": {"ReplicaKmsKeyID": replica_key},
        "Metrics": {"Status": "Enabled", "EventThreshold": minutes},
        "ReplicationTime": {"Status": "Enabled", "Time": minutes},
    }
    rule = {
        "ID": "everything",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": destination,
    }
    roles.make(lab.client("iam"), "replication", "s3.amazonaws.com")
    lab.client("s3").put_bucket_replication(
        Bucket="audio",
        ReplicationConfiguration={"Role": "arn:aws:iam::123456789012:role/replication", "Rules": [rule]},
    )
    dimensions = {"SourceBucket": "audio", "DestinationBucket": "audio-copy", "RuleId": "everything"}
    assert not away.has(S3, "ReplicationLatency", **dimensions), "not within the first 15 minutes"
    away.shows(S3, "ReplicationLatency", 0.0, **dimensions)
    away.shows(S3, "BytesPendingReplication", 0.0, **dimensions)

    def put(name: str) -> None:
        lab.client("s3").put_object(
            Bucket="audio", Key=name, Body=b"sound", ServerSideEncryption="aws:kms", SSEKMSKeyId=key
        )

    put("fine")
    lab.shows(S3, "OperationsFailedReplication", 0.0, **dimensions)
    away.client("kms").disable_key(KeyId=replica_key.rpartition("/")[2])
    put("stuck")

    lab.shows(S3, "OperationsFailedReplication", 1.0, **dimensions)
    assert not away.has(S3, "OperationsFailedReplication", **dimensions)
    assert not lab.has(S3, "ReplicationLatency", **dimensions)


# -- the end of a service -------------------------------------------------------------------------------------------
def test_a_service_without_tasks_has_no_metrics_and_its_callers_get_the_load_balancers_error(
    platform: Platform, lab: Lab
) -> None:
    metric = {"Namespace": INSIGHTS, "MetricName": "RunningTaskCount"}
    dimensions = [{"Name": name, "Value": value} for name, value in SERVICE.items()]
    settings = {"Dimensions": dimensions, "ComparisonOperator": "LessThanThreshold", "Threshold": 1.0}
    lab.put("missing", **metric, **settings)
    lab.put("breaching", **metric, **settings, TreatMissingData="breaching")
    lab.becomes("breaching", "OK")

    platform.world.control("POST", "faults", {"kind": "service-crash", "service": "api-gateway", "region": KENYA})
    ecs = platform.site.client("ecs")
    for task in ecs.list_tasks(cluster="main", serviceName="api-gateway")["taskArns"]:
        ecs.stop_task(cluster="main", task=task)

    lab.becomes("breaching", "ALARM")
    lab.becomes("missing", "INSUFFICIENT_DATA")
    platform.world.fetch(platform.site.alb["DNSName"], "/health")
    wait(lambda: lab.has(ELB, "HTTPCode_ELB_5XX_Count", **balancer(platform)), what="the load balancer's 503")
    platform.world.control("DELETE", "faults", {})
    lab.becomes("breaching", "OK")
