"""What a rehearsal can break: each fault shows as AWS would show it, ends when it is mended, and is strict."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.traffic_platform import Platform, running_platform
from tests.sandbox.traffic_world import DOMAIN, KENYA, wait

LATE = 0.4  # real seconds


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform() as started:
        yield started


@contextmanager
def broken(platform: Platform, **fault: Any) -> Iterator[None]:
    platform.world.control("POST", "faults", {"region": KENYA, **fault})
    try:
        yield
    finally:
        platform.world.control("DELETE", "faults", {"kind": fault["kind"]})


def refusal(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "latency", "seconds": 0}, "above 0"),
        ({"kind": "latency"}, "seconds"),
        ({"kind": "throttling", "service": "ecs", "per_second": 0}, "above 0"),
        ({"kind": "throttling", "service": "ecs"}, "per_second"),
        ({"kind": "zone-without-capacity", "zone": "eu-west-1z"}, "eu-west-1a"),
        ({"kind": "unanswered", "principal": "OPERATOR"}, "known"),
        ({"kind": "certificate-expired", "domain": "other.example.org"}, "no issued certificate"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(platform: Platform, fault: dict[str, Any], said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        platform.world.control("POST", "faults", {"region": KENYA, **fault})
    assert platform.world.control("GET", "faults") == []


def test_latency_holds_each_call_of_its_service(platform: Platform) -> None:
    def seconds(service: str, call: str) -> float:
        began = time.monotonic()
        getattr(platform.site.client(service), call)()
        return time.monotonic() - began

    seconds("ecs", "list_clusters")
    with broken(platform, kind="latency", service="ecs", seconds=LATE):
        assert seconds("ecs", "list_clusters") >= LATE
        assert seconds("ec2", "describe_vpcs") < LATE
    assert seconds("ecs", "list_clusters") < LATE


def test_an_unanswered_call_is_carried_out_and_waits_until_the_fault_is_gone(platform: Platform) -> None:
    sqs, control = platform.site.client("sqs"), platform.world.control

    def queues() -> set[str]:
        return {url.rpartition("/")[2] for url in sqs.list_queues().get("QueueUrls", [])}

    with ThreadPoolExecutor() as others:
        with broken(platform, kind="unanswered", principal="OPERATOR", known=["sqs:SetQueueAttributes"]):
            assert "unheard" not in queues()  # what reads is not held
            asked = others.submit(sqs.create_queue, QueueName="unheard")
            wait(lambda: control("GET", "held"), 5, "the call that is held")
            assert control("GET", "held") == {"call": "sqs:CreateQueue", "region": KENYA}
            assert "unheard" in queues()
            sqs.create_queue(QueueName="heard")  # one is held at a time
            assert not asked.done()
        assert asked.result(timeout=5)["QueueUrl"].endswith("/unheard")
        assert control("GET", "held") == {}
        with broken(platform, kind="unanswered", principal="OPERATOR", known=["sqs:CreateQueue"]):
            sqs.create_queue(QueueName="known")
            assert control("GET", "held") == {}


def test_throttling_admits_so_many_calls_of_an_operation_a_second(platform: Platform) -> None:
    ecs = platform.site.client("ecs")
    with broken(platform, kind="throttling", service="ecs", per_second=0.4):
        ecs.list_clusters()
        assert refusal(ecs.list_clusters) == ("ThrottlingException", "Rate exceeded")
        ecs.list_task_definitions()  # counted by itself
        time.sleep(2.6)
        ecs.list_clusters()
    ecs.list_clusters()
    ecs.list_clusters()


def test_a_zone_without_capacity_takes_no_task_and_others_do(platform: Platform) -> None:
    zone = platform.site.client("ec2").describe_subnets(SubnetIds=platform.site.private[:1])["Subnets"][0]
    with broken(platform, kind="zone-without-capacity", zone=zone["AvailabilityZone"]):
        platform.create("spread", platform.define(), count=2)
        wait(lambda: platform.service("spread")["runningCount"] == 2, what="both tasks")
        assert "Capacity is unavailable at this time" in platform.events("spread")
        ecs = platform.site.client("ecs")
        tasks = ecs.describe_tasks(
            cluster="main", tasks=ecs.list_tasks(cluster="main", serviceName="spread")["taskArns"]
        )["tasks"]
        assert zone["AvailabilityZone"] not in {task["availabilityZone"] for task in tasks}
    platform.remove("spread")


def test_an_expired_certificate_is_presented_and_told(platform: Platform) -> None:
    acm = platform.site.client("acm")
    arn = acm.list_certificates()["CertificateSummaryList"][0]["CertificateArn"]
    address = str(platform.site.alb["DNSName"])
    platform.world.fetch(address, "/health")
    with broken(platform, kind="certificate-expired", domain=DOMAIN):
        told = acm.describe_certificate(CertificateArn=arn)["Certificate"]
        assert told["Status"] == "EXPIRED"
        assert told["NotAfter"].timestamp() < platform.world.clock.epoch()
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            platform.world.fetch(address, "/health")
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED"
    platform.world.fetch(address, "/health")


def test_a_secret_of_a_disabled_key_is_neither_read_nor_written(platform: Platform) -> None:
    kms, secrets = platform.site.client("kms"), platform.site.client("secretsmanager")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    secrets.create_secret(Name="locked", SecretString="a", KmsKeyId=key)
    kms.disable_key(KeyId=key)
    assert refusal(secrets.put_secret_value, SecretId="locked", SecretString="b")[0] == "EncryptionFailure"
    assert refusal(secrets.get_secret_value, SecretId="locked")[0] == "DecryptionFailure"
    kms.enable_key(KeyId=key)
    assert secrets.get_secret_value(SecretId="locked")["SecretString"] == "a"
