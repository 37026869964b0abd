"""Every request is counted at the socket, whatever its protocol: region, service, operation, principal, answer."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.cloud import accounting, operations
from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, World

BUCKET, FOREIGN_BUCKET = "accounting-south-africa", "accounting-kenya"
UNREACHABLE = (BotoCoreError, urllib.error.URLError, ConnectionError)
Ask = Callable[[Any], Any]
# service, region that the client is made for, region that is signed for, operation, the call. One or more a protocol.
CALLS: list[tuple[str, str, str, str, Ask]] = [
    ("sts", SOUTH_AFRICA, SOUTH_AFRICA, "GetCallerIdentity", lambda c: c.get_caller_identity()),  # query
    ("rds", KENYA, KENYA, "DescribeDBInstances", lambda c: c.describe_db_instances()),
    ("elbv2", KENYA, KENYA, "DescribeLoadBalancers", lambda c: c.describe_load_balancers()),
    ("iam", "us-east-1", "us-east-1", "ListRoles", lambda c: c.list_roles()),
    ("ec2", SOUTH_AFRICA, SOUTH_AFRICA, "DescribeVpcs", lambda c: c.describe_vpcs()),  # ec2
    ("ecs", SOUTH_AFRICA, SOUTH_AFRICA, "ListClusters", lambda c: c.list_clusters()),  # json
    ("kms", KENYA, KENYA, "ListKeys", lambda c: c.list_keys()),
    ("secretsmanager", KENYA, KENYA, "ListSecrets", lambda c: c.list_secrets()),
    ("cloudwatch", KENYA, KENYA, "ListMetrics", lambda c: c.list_metrics()),  # cbor, or query in older SDKs
    ("lambda", SOUTH_AFRICA, SOUTH_AFRICA, "ListFunctions", lambda c: c.list_functions()),  # rest-json
    ("scheduler", SOUTH_AFRICA, SOUTH_AFRICA, "ListSchedules", lambda c: c.list_schedules()),
    ("route53", "us-east-1", "us-east-1", "ListHostedZones", lambda c: c.list_hosted_zones()),  # rest-xml
    ("s3", SOUTH_AFRICA, SOUTH_AFRICA, "PutObject", lambda c: c.put_object(Bucket=BUCKET, Key="a/b", Body=b"1")),
    ("s3", SOUTH_AFRICA, SOUTH_AFRICA, "GetObject", lambda c: c.get_object(Bucket=BUCKET, Key="a/b")["Body"].read()),
    ("s3", SOUTH_AFRICA, SOUTH_AFRICA, "ListObjectsV2", lambda c: c.list_objects_v2(Bucket=BUCKET)),
    ("s3", SOUTH_AFRICA, SOUTH_AFRICA, "GetBucketVersioning", lambda c: c.get_bucket_versioning(Bucket=BUCKET)),
    ("s3", SOUTH_AFRICA, SOUTH_AFRICA, "DeleteObject", lambda c: c.delete_object(Bucket=BUCKET, Key="a/b")),
]
SIGNED_AS = {"elbv2": "elasticloadbalancing", "cloudwatch": "monitoring"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with traffic_world.running() as started:
        for bucket, region in ((BUCKET, SOUTH_AFRICA), (FOREIGN_BUCKET, KENYA)):
            started.client("s3", region).create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region}
            )
        yield started
        started.assert_sound()


@contextlib.contextmanager
def lost(world: World, region: str) -> Iterator[None]:
    world.control("POST", "cut", {"region": region})
    try:
        yield
    finally:
        world.control("POST", "restore", {"region": region})


def calls(world: World, since: float) -> list[dict[str, Any]]:
    return list(world.control("GET", f"calls?since={since}"))


@pytest.mark.parametrize(
    ("service", "region", "signed", "operation", "ask"), CALLS, ids=[f"{call[0]}-{call[3]}" for call in CALLS]
)
def test_each_protocol_is_attributed(
    world: World, service: str, region: str, signed: str, operation: str, ask: Ask
) -> None:
    before = time.time()
    ask(world.client(service, region))
    (call,) = calls(world, before)
    assert before <= call.pop("t") <= time.time()
    assert "Boto3" in call.pop("user_agent")
    assert call == {
        "region": signed,
        "service": SIGNED_AS.get(service, service),
        "operation": operation,
        "principal": "OPERATOR",
        "status": 204 if operation == "DeleteObject" else 200,
        "cut": False,
    }


def test_a_refusal_is_counted_with_its_status(world: World) -> None:
    before = time.time()
    with pytest.raises(ClientError, match="DBInstanceNotFound"):
        world.client("rds", KENYA).describe_db_instances(DBInstanceIdentifier="nobody")
    (call,) = calls(world, before)
    assert (call["operation"], call["status"], call["cut"]) == ("DescribeDBInstances", 404, False)


def test_the_access_key_is_the_principal(world: World) -> None:
    client = boto3.client(
        "ecs",
        region_name=KENYA,
        endpoint_url=world.url,
        aws_access_key_id="FUNCTION-snapshot-cycle",
        aws_secret_access_key="fake",
        config=Config(user_agent_extra="from-a-function"),
    )
    before = time.time()
    client.list_clusters()
    (call,) = calls(world, before)
    assert call["principal"] == "FUNCTION-snapshot-cycle"
    assert "from-a-function" in call["user_agent"]


def test_a_presigned_url_counts_for_who_signed_it(world: World) -> None:
    client = world.client("s3", SOUTH_AFRICA)
    client.put_object(Bucket=BUCKET, Key="shared", Body=b"text")
    url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "shared"})
    before = time.time()
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"text"
    (call,) = calls(world, before)
    wanted = (SOUTH_AFRICA, "s3", "GetObject", "OPERATOR")
    assert (call["region"], call["service"], call["operation"], call["principal"]) == wanted


def test_an_unsigned_request_counts_for_the_region_of_its_bucket(world: World) -> None:
    before = time.time()
    for bucket in (FOREIGN_BUCKET, "nobodys-bucket"):
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"{world.url}/{bucket}/key").close()
    found = [(call["region"], call["operation"], call["principal"]) for call in calls(world, before)]
    assert found == [(KENYA, "GetObject", "anonymous"), ("unknown", "GetObject", "anonymous")]


def test_the_file_has_what_the_control_call_tells(world: World) -> None:
    before = time.time()
    world.client("kms", KENYA).list_keys()
    world.client("kms", SOUTH_AFRICA).list_aliases()
    lines = [json.loads(line) for line in (world.directory / "calls.jsonl").read_text().splitlines()]
    assert [line for line in lines if line["t"] > before] == calls(world, before)
    assert [call["operation"] for call in calls(world, before)] == ["ListKeys", "ListAliases"]


@pytest.mark.parametrize(
    ("service", "signed", "operation", "ask"),
    [(service, signed, operation, ask) for service, _, signed, operation, ask in CALLS if signed == KENYA]
    + [("s3", KENYA, "ListObjectsV2", lambda c: c.list_objects_v2(Bucket=FOREIGN_BUCKET))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_lost_region_does_not_answer_and_is_counted(
    world: World, service: str, signed: str, operation: str, ask: Ask
) -> None:
    client = world.client(service, KENYA)
    with lost(world, KENYA):
        before = time.time()
        with pytest.raises(UNREACHABLE):
            ask(client)
        found = calls(world, before)
    assert found
    for call in found:
        assert (call["region"], call["operation"], call["cut"], call["status"]) == (signed, operation, True, None)
    ask(client)


def test_the_other_region_and_the_global_services_stay(world: World) -> None:
    with lost(world, KENYA):
        before = time.time()
        world.client("ecs", SOUTH_AFRICA).list_clusters()
        world.client("iam", "us-east-1").list_roles()
        assert [(call["region"], call["cut"]) for call in calls(world, before)] == [
            (SOUTH_AFRICA, False),
            ("us-east-1", False),
        ]


def test_a_bucket_counts_where_it_is_whatever_region_was_signed_for(world: World) -> None:
    abroad = world.client("s3", SOUTH_AFRICA)
    world.client("s3", KENYA).put_object(Bucket=FOREIGN_BUCKET, Key="key", Body=b"1")
    before = time.time()
    assert abroad.get_object(Bucket=FOREIGN_BUCKET, Key="key")["Body"].read() == b"1"
    assert {call["region"] for call in calls(world, before)} == {KENYA}
    with lost(world, KENYA), pytest.raises(UNREACHABLE):
        abroad.get_object(Bucket=FOREIGN_BUCKET, Key="key")


def test_a_global_service_is_at_home_in_us_east_1_whatever_region_was_signed_for(world: World) -> None:
    with lost(world, KENYA):
        before = time.time()
        world.client("iam", KENYA).list_roles()
        world.client("route53", KENYA).list_hosted_zones()
        assert {call["region"] for call in calls(world, before)} == {"us-east-1"}


def test_a_signature_for_several_regions_is_told_as_such() -> None:
    scope = "AWS4-ECDSA-P256-SHA256 Credential=KEY/20261123/s3/aws4_request, SignedHeaders=host"
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/bucket/key",
        "HTTP_AUTHORIZATION": scope,
        "HTTP_X_AMZ_REGION_SET": "eu-west-1,af-south-1",
    }
    origin = accounting.attribute(environ, lambda _: None)
    assert (origin.region, origin.service, origin.operation) == ("eu-west-1,af-south-1", "s3", "GetObject")


def test_an_operation_that_no_model_knows_is_unknown_rather_than_guessed() -> None:
    assert operations.resolve("lambda", "GET", "/no/such/path", "", {}, b"") == "Unknown"
    assert operations.resolve("lambda", "GET", "/2015-03-31/functions/x", "", {}, b"") == "GetFunction"
    assert operations.resolve("route53", "POST", "/2013-04-01/hostedzone/Z/rrset/", "", {}, b"") == (
        "ChangeResourceRecordSets"
    )
