"""The program's own alarms, each driven to ALARM by its cause, and the message that its audience got.

Real causes wherever the emulated cloud has them; a held metric for levels that nothing here has (processor, memory,
storage, connections, days of a certificate, how slow an answer is, how many answers were late).
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.sandbox import alarm_stage
from tests.sandbox.alarm_lab import Lab
from tests.sandbox.alarm_stage import SERVICES, SPECS, Stage
from tests.sandbox.traffic_world import DOMAIN, KENYA, SOUTH_AFRICA, wait

pytestmark = pytest.mark.timeout(600)
Cause = Callable[[Stage], "contextlib.AbstractContextManager[None]"]
SECONDS = 90.0


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with alarm_stage.running_stage() as found:
        yield found


@pytest.fixture(scope="module")
def copies() -> Copies:
    return Copies()


@pytest.fixture(scope="module")
def labs(stage: Stage, copies: Copies) -> Iterator[dict[str, Lab]]:
    """The alarms' regions by noun, once all of kenya and south-africa are put and nothing is wrong."""
    with copies.coming(stage):
        found = stage.put_alarms(stage.south_africa, SOUTH_AFRICA) | stage.put_alarms(stage.kenya, KENYA)
        for noun in found:
            _calm(stage, found, noun)
        yield found


class Copies:
    """What the snapshot cycle publishes at the end of each run."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    @contextlib.contextmanager
    def coming(self, stage: Stage) -> Iterator[None]:
        """The cycle runs, until it is stopped."""

        def publish() -> None:
            while not self._stopped.wait(0.5):
                stage.publish(NewestCopyAge=10.0, CopyCycleRuns=1.0)

        thread = threading.Thread(target=publish, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.stop()
            thread.join(20)

    def stop(self) -> None:
        self._stopped.set()


# -- causes ---------------------------------------------------------------------------------------------------------
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
    stage.publish(FullCopies=1.0)
    yield


@contextlib.contextmanager
def the_primary_is_cut(stage: Stage) -> Iterator[None]:
    """Nothing measures the replication of a lost region, and the public name leads nowhere."""
    stage.world.control("POST", "cut", {"region": KENYA})
    yield
    stage.world.control("POST", "restore", {"region": KENYA})


NO_COPIES = "no more copies"
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
    "a full copy": (a_full_copy, ("full-copy",)),
    NO_COPIES: (lambda _: contextlib.nullcontext(), ("newest-copy-old", "copy-cycle-stopped", "can-we-promote")),
    "crashing services": (
        services_crash,
        (
            *(f"{service}-running" for service in SERVICES),
            *(f"{spec.name}-targets" for spec in SPECS if spec.path is not None),
            "health-check-answers",
            "health-check-serves",
            "health-check-witness-alb",
            "health-check-witness-page",
        ),
    ),
    "a lost primary": (the_primary_is_cut, ("replication-late",)),
}


def test_every_alarm_of_the_program_has_a_cause(stage: Stage) -> None:
    """kenya serving and south-africa standing by: an alarm that nobody drives is named here."""
    recorded = {
        alarm_stage.noun(alarm.inputs.get("name") or alarm.inputs["alarmName"])
        for stack in (stage.kenya, stage.south_africa)
        for kind in (alarm_stage.ALARM, alarm_stage.COMPOSITE)
        for alarm in stack.of(kind)
    }
    assert recorded == {noun for _, nouns in CAUSES.values() for noun in nouns}


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_alarms_and_its_audience_is_told(
    stage: Stage, labs: dict[str, Lab], copies: Copies, name: str
) -> None:
    cause, nouns = CAUSES[name]
    before = {noun: len(_calm(stage, labs, noun)) for noun in nouns}
    if name == NO_COPIES:
        copies.stop()
    with cause(stage):
        for noun in nouns:
            _check(labs[noun], _new_mail(stage, labs, noun, before[noun]))


def _check(lab: Lab, mail: dict[str, Any]) -> None:
    """The message reached the topic of the alarm's own region and audience, and names what it is about."""
    message = mail["message"]
    alarm = lab.described(message["AlarmName"])
    assert mail["topic"] in alarm["AlarmActions"]
    assert mail["topic"].split(":")[3] == lab.region
    assert mail["subject"].startswith(f'ALARM: "{message["AlarmName"]}" in ')
    assert message["OldStateValue"] in ("OK", "INSUFFICIENT_DATA")
    if "AlarmRule" in message:
        assert message["TriggeringChildren"]
        return
    assert "docs/alarms.md#" in message["AlarmDescription"]
    told = message["Trigger"].get("Dimensions", [])
    assert {entry["name"]: entry["value"] for entry in told} == {
        entry["Name"]: entry["Value"] for entry in alarm.get("Dimensions", [])
    }


def _mails(labs: dict[str, Lab], noun: str) -> list[dict[str, Any]]:
    """The messages so far that an alarm of that noun began."""
    mails = labs[noun].mails(state="ALARM")
    return [mail for mail in mails if alarm_stage.noun(mail["message"]["AlarmName"]) == noun]


def _alarms(labs: dict[str, Lab], noun: str) -> list[dict[str, Any]]:
    """The alarms of that noun in its region, of one stack or both."""
    found = labs[noun].cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    every = [*found["MetricAlarms"], *found["CompositeAlarms"]]
    return [alarm for alarm in every if alarm_stage.noun(alarm["AlarmName"]) == noun]


def _calm(stage: Stage, labs: dict[str, Lab], noun: str) -> list[dict[str, Any]]:
    """Wait until no alarm of that noun stands; the messages that there were before."""

    def calm() -> bool:
        return all(alarm["StateValue"] != "ALARM" for alarm in _alarms(labs, noun))

    wait(calm, SECONDS, f"{noun} to be over", lambda: (_alarms(labs, noun), stage.problems()))
    return _mails(labs, noun)


def _new_mail(stage: Stage, labs: dict[str, Lab], noun: str, known: int) -> dict[str, Any]:
    def told() -> Any:
        return _alarms(labs, noun), stage.problems()

    return wait(lambda: _mails(labs, noun)[known:], SECONDS, f"a mail about {noun}", told)[0]
