"""What drives each of the program's alarms to ALARM: real causes wherever the emulated cloud has them.

A metric is held at a value for levels that nothing here has: processor, memory, storage, connections, days of a
certificate, how slow an answer is, how many answers were late, a replica without a source.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.sandbox import alarm_functions
from tests.sandbox.alarm_functions import THRESHOLD
from tests.sandbox.alarm_stage import REPLICA, SERVICES, SPECS, Stage
from tests.sandbox.traffic_world import DOMAIN, KENYA, SOUTH_AFRICA, wait

Cause = Callable[[Stage], "contextlib.AbstractContextManager[None]"]
SECONDS = 150.0  # the longest that an alarm takes here: three hours without a call


@contextlib.contextmanager
def fault(stage: Stage, **data: Any) -> Iterator[None]:
    stage.world.control("POST", "faults", data)
    try:
        yield
    finally:
        stage.world.control("DELETE", "faults", data)


def held(value: float, region: str, namespace: str, name: str, **dimensions: str) -> Cause:
    """A level that the world publishes, held at a value; dimensions by the mocks' names."""

    @contextlib.contextmanager
    def cause(stage: Stage) -> Iterator[None]:
        real = {key: stage.real[known] for key, known in dimensions.items()}
        lab = stage.lab(region)
        wait(lambda: lab.has(namespace, name, **real), SECONDS, f"{namespace} {name} {real}")
        data = {"region": region, "namespace": namespace, "name": name, "dimensions": real, "value": value}
        with fault(stage, kind="metric", **data):
            yield

    return cause


def service_level(service: str, metric: str) -> Cause:
    cluster = "mental-health-platform-kenya-cluster"
    return held(99.0, KENYA, "AWS/ECS", metric, ClusterName=cluster, ServiceName=service)


def database_level(metric: str, value: float) -> Cause:
    return held(value, KENYA, "AWS/RDS", metric, DBInstanceIdentifier="mental-health-platform-kenya-rds")


def cache_level(number: int, metric: str, value: float) -> Cause:
    node = f"mental-health-platform-kenya-redis-{number:03}"
    return held(value, KENYA, "AWS/ElastiCache", metric, CacheClusterId=node)


@contextlib.contextmanager
def requests(stage: Stage) -> Iterator[None]:
    """People ask all the time."""
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.02):
            with contextlib.suppress(OSError):
                stage.world.fetch(stage.platform.site.alb["DNSName"], "/events", host=DOMAIN)

    people = threading.Thread(target=ask, daemon=True)
    people.start()
    try:
        yield
    finally:
        over.set()
        people.join(20)


@contextlib.contextmanager
def answers_fail(stage: Stage) -> Iterator[None]:
    with fault(stage, kind="service-error", service="api-gateway", region=KENYA), requests(stage):
        yield


@contextlib.contextmanager
def answers_hang(stage: Stage) -> Iterator[None]:
    many = held(50.0, KENYA, "AWS/ApplicationELB", "HTTPCode_ELB_504_Count", LoadBalancer="suffix-of-load-balancer")
    with fault(stage, kind="service-hang", service="api-gateway", region=KENYA), requests(stage), many(stage):
        yield


@contextlib.contextmanager
def answers_are_slow(stage: Stage) -> Iterator[None]:
    slow = held(9.0, KENYA, "AWS/ApplicationELB", "TargetResponseTime", LoadBalancer="suffix-of-load-balancer")
    with requests(stage), slow(stage):
        yield


@contextlib.contextmanager
def services_crash(stage: Stage) -> Iterator[None]:
    """All tasks die and cannot come back; so does the public name."""
    ecs = stage.platform.site.client("ecs")
    with contextlib.ExitStack() as crashes:
        for service in SERVICES:
            crashes.enter_context(fault(stage, kind="service-crash", service=service, region=KENYA))
            for task in ecs.list_tasks(cluster="main", serviceName=service)["taskArns"]:
                ecs.stop_task(cluster="main", task=task)
        yield


@contextlib.contextmanager
def replication_breaks(stage: Stage) -> Iterator[None]:
    """The replica's key is disabled when an object comes."""
    key, kms = stage.real["replica-key"].rpartition("/")[2], stage.lab(SOUTH_AFRICA).client("kms")
    kms.disable_key(KeyId=key)
    stage.lab(KENYA).client("s3").put_object(
        Bucket="mental-health-platform-kenya-audio-storage",
        Key="recording",
        Body=b"sound",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=stage.real["key"],
    )
    yield
    kms.enable_key(KeyId=key)


@contextlib.contextmanager
def messages_wait(stage: Stage) -> Iterator[None]:
    sqs = stage.lab(KENYA).client("sqs")
    url = sqs.get_queue_url(QueueName="mental-health-platform-kenya-sync")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="nobody reads me")
    yield
    sqs.purge_queue(QueueUrl=url)


@contextlib.contextmanager
def a_message_fails_too_often(stage: Stage) -> Iterator[None]:
    sqs = stage.lab(KENYA).client("sqs")
    url, dead = (
        sqs.get_queue_url(QueueName=f"mental-health-platform-kenya-{name}")["QueueUrl"]
        for name in ("sync", "sync-dead-letters")
    )
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "1"})
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    for _ in range(2):
        sqs.receive_message(QueueUrl=url)
        time.sleep(0.1)
    yield
    sqs.purge_queue(QueueUrl=dead)


def function_fails(region: str, name: str) -> Cause:
    return _repeated(lambda stage: _invoke(stage, region, name, {"fail": True}))


def function_is_throttled(region: str, name: str) -> Cause:
    @contextlib.contextmanager
    def cause(stage: Stage) -> Iterator[None]:
        client = stage.lab(region).client("lambda")
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)

        def call(stage: Stage) -> None:
            with contextlib.suppress(client.exceptions.TooManyRequestsException):
                _invoke(stage, region, name, {})

        with _repeated(call)(stage):
            yield
        client.delete_function_concurrency(FunctionName=name)

    return cause


def _repeated(action: Callable[[Stage], None]) -> Cause:
    @contextlib.contextmanager
    def cause(stage: Stage) -> Iterator[None]:
        over = threading.Event()

        def repeat() -> None:
            while not over.wait(0.5):
                action(stage)

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(20)

    return cause


def _invoke(stage: Stage, region: str, name: str, event: dict[str, Any]) -> None:
    stage.lab(region).client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))


@contextlib.contextmanager
def a_full_copy(stage: Stage) -> Iterator[None]:
    """The cycle found another database than before."""
    stage.publish({"FullCopies": 1.0})
    yield


def gets_old(age: str) -> Cause:
    """The cycle runs on and finds nothing newer: a minute more than what may be."""

    @contextlib.contextmanager
    def cause(stage: Stage) -> Iterator[None]:
        stage.cycle.ages[age] = THRESHOLD + 1
        yield
        stage.cycle.ages[age] = THRESHOLD

    return cause


@contextlib.contextmanager
def the_cycle_stops(stage: Stage) -> Iterator[None]:
    """For good."""
    stage.cycle.stop()
    yield


def a_call_fails(region: str, name: str) -> Cause:
    """A tick's: nobody waits for its answer, so it is put aside."""

    @contextlib.contextmanager
    def cause(stage: Stage) -> Iterator[None]:
        lab = stage.lab(region)
        lab.client("lambda").invoke(FunctionName=name, Payload=json.dumps({"fail": True}), InvocationType="Event")
        yield
        sqs = lab.client("sqs")
        sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=f"{name}-dead-letters")["QueueUrl"])

    return cause


@contextlib.contextmanager
def the_schedule_is_off(stage: Stage) -> Iterator[None]:
    """That of the roles' function."""
    lab = stage.lab(KENYA)
    lab.client("scheduler").update_schedule(**alarm_functions.schedule(lab, stage.kenya, "DISABLED"))
    yield
    lab.client("scheduler").update_schedule(**alarm_functions.schedule(lab, stage.kenya))


@contextlib.contextmanager
def the_rule_is_switched(stage: Stage) -> Iterator[None]:
    """The standby's load balancer answers as it does once it serves."""
    stage.witnesses.say_at_the_balancer(standby=False)
    yield
    stage.witnesses.say_at_the_balancer(standby=True)


@contextlib.contextmanager
def the_marker_is_written(stage: Stage) -> Iterator[None]:
    """The standby's page says what it says once it serves."""
    stage.witnesses.say_at_the_page(standby=False)
    yield
    stage.witnesses.say_at_the_page(standby=True)


@contextlib.contextmanager
def the_primary_is_cut(stage: Stage) -> Iterator[None]:
    """Nothing measures the replication of a lost region, its replica falls back, and the name leads nowhere."""
    stage.world.control("POST", "cut", {"region": KENYA})
    yield
    stage.world.control("POST", "restore", {"region": KENYA})


CYCLE, ROLES = "mental-health-platform-sa-snapshot-cycle", "mental-health-platform-kenya-database-roles"
# (cause, nouns of the alarms that it must drive to ALARM), in this order: the later ones end something.
CAUSES: dict[str, tuple[Cause, tuple[str, ...]]] = {
    **{
        f"{what} of {service}": (service_level(service, metric), (f"{service}-{what}",))
        for service in SERVICES
        for what, metric in (("cpu", "CPUUtilization"), ("memory", "MemoryUtilization"))
    },
    **{
        f"{what} of cache node {number}": (cache_level(number, metric, value), (f"cache-{number}-{what}",))
        for number in (1, 2)
        for what, metric, value in (
            ("cpu", "EngineCPUUtilization", 99.0),
            ("memory", "DatabaseMemoryUsagePercentage", 99.0),
            ("evictions", "Evictions", 2000.0),
        )
    },
    "full storage": (database_level("FreeStorageSpace", 1e9), ("database-storage",)),
    "busy database": (database_level("CPUUtilization", 99.0), ("database-cpu",)),
    "many connections": (database_level("DatabaseConnections", 900.0), ("database-connections",)),
    "old certificate": (
        held(
            20.0,
            KENYA,
            "AWS/CertificateManager",
            "DaysToExpiry",
            CertificateArn="arn:aws:load-balancer-certificate",
        ),
        ("certificate-ending",),
    ),
    "failing answers": (answers_fail, ("answers-failing",)),
    "hanging answers": (answers_hang, ("targets-unreachable",)),
    "slow answers": (answers_are_slow, ("answers-slow",)),
    "broken replication": (replication_breaks, ("replication-failed",)),
    "waiting messages": (messages_wait, ("sync-waiting",)),
    "a poison message": (a_message_fails_too_often, ("sync-dead-letters",)),
    "failing roles": (function_fails(KENYA, ROLES), ("database-roles-errors",)),
    "throttled roles": (function_is_throttled(KENYA, ROLES), ("database-roles-throttled",)),
    "failing cycle": (function_fails(SOUTH_AFRICA, CYCLE), ("snapshot-cycle-errors",)),
    "throttled cycle": (function_is_throttled(SOUTH_AFRICA, CYCLE), ("snapshot-cycle-throttled",)),
    "a failed call of the roles": (a_call_fails(KENYA, ROLES), ("database-roles-dead-letters",)),
    "a failed call of the cycle": (a_call_fails(SOUTH_AFRICA, CYCLE), ("snapshot-cycle-dead-letters",)),
    "no call of the roles": (the_schedule_is_off, ("database-roles-not-called",)),
    "a full copy": (a_full_copy, ("full-copy",)),
    "an old copy": (gets_old("NewestCopyAge"), ("newest-copy-old",)),
    "an old backup": (gets_old("NewestBackupAge"), ("newest-backup-old",)),
    "a replica that follows nobody": (
        held(-1.0, SOUTH_AFRICA, "AWS/RDS", "ReplicaLag", DBInstanceIdentifier=REPLICA),
        ("replica-lag",),
    ),
    "a switched rule": (the_rule_is_switched, ("health-check-witness-alb", "health-check-serves")),
    "a written marker": (the_marker_is_written, ("health-check-witness-page", "health-check-serves")),
    "no more copies": (
        the_cycle_stops,
        ("newest-copy-old", "newest-backup-old", "copy-cycle-stopped", "can-we-promote"),
    ),
    "crashing services": (
        services_crash,
        (
            *(f"{service}-running" for service in SERVICES),
            *(f"{spec.name}-targets" for spec in SPECS if spec.path is not None),
            "health-check-answers",
            "health-check-serves",
        ),
    ),
    "a lost primary": (the_primary_is_cut, ("replication-late", "replica-lag")),
}
