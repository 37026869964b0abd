"""Facts are read from the stack's own region only, and AWS's answers mean what the guards take them for."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import boto3
import pulumi
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from components import naming
from components.facts import Facts, Reader, parse_sign_of_life
from components.regional_client import regional_client
from components.settings.stack import Settings
from tests.components.examples import ACCOUNT, COPY, INSTANCE, KENYA, KEY_ARN, SOUTH_AFRICA, settings

SERVING = settings(SOUTH_AFRICA, {("standby",): False})
STANDING_BY = settings(SOUTH_AFRICA)
ALIAS = "alias/mental-health-platform-sa-data"
PARAMETER = "/mental-health-platform/sa/primary-last-sign-of-life"
SIGN = "2026-03-02T09:00:00+00:00"
CREATED = datetime(2026, 3, 2, 8, 45, tzinfo=UTC)
TAKEN_OVER_AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
MARKER = {"Bucket": "mental-health-platform-sa-page", "Key": "taken-over"}
COPIED = datetime(2026, 3, 2, 8, 58, tzinfo=UTC)


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


INSTANCE_TAGS = {
    "Platform": naming.PLATFORM,
    "Stack": SOUTH_AFRICA,
    "platform:role": naming.SERVING_ROLE,
    "platform:generation": "first",
    "platform:restored-from": COPY.identifier,
}

INSTANCE_ANSWER: dict[str, Any] = {
    "DBInstanceIdentifier": INSTANCE.identifier,
    "DBInstanceStatus": "available",
    "EngineVersion": "17.6",
    "AllocatedStorage": 100,
    "DeletionProtection": True,
    "TagList": tag_list(INSTANCE_TAGS),
}

COPY_ANSWER: dict[str, Any] = {
    "DBSnapshotIdentifier": COPY.identifier,
    "DBInstanceIdentifier": COPY.source_database,
    "SourceDBSnapshotIdentifier": COPY.copied_from,
    "Status": "available",
    "Encrypted": True,
    "KmsKeyId": KEY_ARN,
    "SnapshotCreateTime": COPIED,
    "OriginalSnapshotCreateTime": CREATED,
    "EngineVersion": "17.6",
    "AllocatedStorage": 100,
    "TagList": tag_list({"platform:made-by": naming.SNAPSHOT_CYCLE}),
}


class Aws:
    """Stubbed clients that answer what was expected of them, in order, and note where they were made for."""

    def __init__(self) -> None:
        self.regions: set[str] = set()
        self._clients: dict[str, Any] = {}
        self._stubs: dict[str, Stubber] = {}

    def __call__(self, service: str, region: str) -> Any:
        self.regions.add(region)
        return self._clients[service]

    def on(self, service: str) -> Stubber:
        if service not in self._stubs:
            client = boto3.client(service, region_name="af-south-1", aws_access_key_id="x", aws_secret_access_key="x")  # type: ignore[call-overload]
            self._clients[service] = client
            self._stubs[service] = Stubber(client)
            self._stubs[service].activate()
        return self._stubs[service]

    def identity(self) -> "Aws":
        self.on("sts").add_response(
            "get_caller_identity", {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/operator", "UserId": "id"}
        )
        return self

    def instances(self, *pages: list[dict[str, Any]]) -> "Aws":
        for number, page in enumerate(pages, start=1):
            more = {"Marker": f"page{number}"} if number < len(pages) else {}
            self.on("rds").add_response("describe_db_instances", {"DBInstances": page, **more})
        return self

    def copies(self, *pages: list[dict[str, Any]]) -> "Aws":
        for number, page in enumerate(pages, start=1):
            more = {"Marker": f"page{number}"} if number < len(pages) else {}
            expected = {"SnapshotType": "manual", **({"Marker": ANY} if number > 1 else {})}
            self.on("rds").add_response("describe_db_snapshots", {"DBSnapshots": page, **more}, expected)
        return self

    def offers(self, *options: dict[str, Any]) -> "Aws":
        expected = {"Engine": "postgres", "DBInstanceClass": "db.m6g.large", "Vpc": True, "MaxRecords": 100}
        answer = {"OrderableDBInstanceOptions": list(options)}
        self.on("rds").add_response("describe_orderable_db_instance_options", answer, expected)
        return self

    def marker(self, said: str = "taken-over: no") -> "Aws":
        body = StreamingBody(BytesIO(said.encode()), len(said))
        self.on("s3").add_response("get_object", {"Body": body, "LastModified": TAKEN_OVER_AT}, MARKER)
        return self

    def key(self) -> "Aws":
        answer = {"KeyMetadata": {"KeyId": "own", "Arn": KEY_ARN}}
        self.on("kms").add_response("describe_key", answer, {"KeyId": ALIAS})
        return self

    def sign_of_life(self, value: str) -> "Aws":
        self.on("ssm").add_response("get_parameter", {"Parameter": {"Value": value}}, {"Name": PARAMETER})
        return self

    def read(self, configured: Settings = SERVING, watching: bool = False) -> Facts:
        found = Reader(configured, self).read(watching)
        for stub in self._stubs.values():
            stub.assert_no_pending_responses()
        return found


def lookup(*copies: dict[str, Any]) -> Aws:
    """What a promotion asks that has to make its database."""
    return Aws().identity().instances([]).copies(list(copies)).key().sign_of_life(SIGN).offers().marker()


def promotion(answer: dict[str, Any]) -> Facts:
    return lookup(answer).read()


def test_a_copy_is_read_with_the_time_of_its_data() -> None:
    found = promotion(COPY_ANSWER)
    assert found.copies == (COPY,)
    assert found.account == ACCOUNT
    assert found.data_key_arn == KEY_ARN
    assert found.sign_of_life == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_an_original_without_a_separate_time_is_its_own_original() -> None:
    original = {
        key: value
        for key, value in COPY_ANSWER.items()
        if key not in ("OriginalSnapshotCreateTime", "SourceDBSnapshotIdentifier")
    }
    (found,) = promotion(original).copies
    assert found.original_created_at == COPIED
    assert found.copied_from is None


def test_marks_are_read_from_tags() -> None:
    tags = tag_list({"platform:unusable": "2026-03-02 corruption"})
    (found,) = promotion({**COPY_ANSWER, "TagList": tags, "Status": "creating"}).copies
    assert found == replace(COPY, unusable=True, made_by=None, status="creating")


def test_a_copy_in_the_making_may_lack_nearly_everything() -> None:
    answer = {key: COPY_ANSWER[key] for key in ("DBSnapshotIdentifier", "DBInstanceIdentifier", "EngineVersion")}
    (found,) = promotion({**answer, "Status": "creating", "AllocatedStorage": 0}).copies
    assert (found.original_created_at, found.encrypted, found.key_arn) == (None, False, None)


def test_every_page_is_read_and_other_stacks_databases_are_left_out() -> None:
    foreign = {**INSTANCE_ANSWER, "DBInstanceIdentifier": "foreign", "TagList": []}
    peers = {
        **INSTANCE_ANSWER,
        "DBInstanceIdentifier": "peers",
        "TagList": tag_list({"Platform": naming.PLATFORM, "Stack": KENYA}),
    }
    found = Aws().identity().instances([foreign, peers], [INSTANCE_ANSWER]).read()
    assert found.instances == (INSTANCE,)
    second = {**COPY_ANSWER, "DBSnapshotIdentifier": "second"}
    aws = Aws().identity().instances([]).copies([COPY_ANSWER], [second]).key().sign_of_life(SIGN).offers().marker()
    paged = aws.read()
    assert [copy.identifier for copy in paged.copies] == [COPY.identifier, "second"]


def test_a_replica_is_known_as_one() -> None:
    replica = {**INSTANCE_ANSWER, "ReadReplicaSourceDBInstanceIdentifier": "arn:aws:rds:eu-west-1:1:db:kenya"}
    (found,) = Aws().identity().instances([replica]).read(STANDING_BY).instances
    assert found.replica_of == "arn:aws:rds:eu-west-1:1:db:kenya"


def test_a_copy_without_the_time_of_its_original_has_none() -> None:
    recopied = {key: value for key, value in COPY_ANSWER.items() if key != "OriginalSnapshotCreateTime"}
    (found,) = promotion(recopied).copies
    assert found.original_created_at is None


def test_once_the_database_exists_copies_are_not_looked_up() -> None:
    found = Aws().identity().instances([INSTANCE_ANSWER]).read()
    assert (found.copies, found.data_key_arn, found.sign_of_life) == ((), None, None)


def test_whoever_only_watches_sees_the_data_beside_a_replica_and_not_what_rds_sells() -> None:
    """Its name is that of the declared database, so nothing would have to be restored."""
    replica = {**INSTANCE_ANSWER, "ReadReplicaSourceDBInstanceIdentifier": "arn:aws:rds:eu-west-1:1:db:kenya"}
    aws = Aws().identity().instances([replica]).copies([COPY_ANSWER]).key().sign_of_life(SIGN).marker()
    lag = {"Datapoints": [{"Timestamp": CREATED, "Maximum": 3.0}]}
    aws.on("cloudwatch").add_response("get_metric_statistics", lag)
    found = aws.read(watching=True)
    assert found.copies == (COPY,)
    assert (found.replica_lag, found.data_key_arn, found.offers) == (timedelta(seconds=3), KEY_ARN, ())


def test_while_standing_by_copies_are_not_looked_up() -> None:
    assert Aws().identity().instances([]).read(STANDING_BY).copies == ()


def test_only_the_own_region_is_asked() -> None:
    aws = lookup()
    aws.read()
    assert aws.regions == {"af-south-1"}


def test_a_region_without_key_and_parameter_is_a_fact_and_no_failure() -> None:
    aws = Aws().identity().instances([]).copies([])
    aws.on("kms").add_client_error("describe_key", "NotFoundException")
    aws.on("ssm").add_client_error("get_parameter", "ParameterNotFound")
    aws.offers().on("s3").add_client_error("get_object", "NoSuchBucket")
    found = aws.read()
    assert (found.data_key_arn, found.sign_of_life, found.taken_over_at) == (None, None, None)


def test_a_stack_that_pulls_nothing_has_no_sign_of_life() -> None:
    configured = settings(KENYA)
    aws = Aws().identity().instances([]).copies([])
    aws.on("kms").add_response("describe_key", {"KeyMetadata": {"KeyId": "k", "Arn": KEY_ARN}})
    aws.offers().on("s3").add_client_error("get_object", "NoSuchKey")
    found = Reader(configured, aws).read()
    assert found.sign_of_life is None
    assert aws.regions == {"eu-west-1"}


def unreachable(_service: str, _region: str) -> Any:
    raise EndpointConnectionError(endpoint_url="https://sts.af-south-1.amazonaws.com")


def denied(service: str, region: str) -> Any:
    aws = Aws().identity()
    aws.on("rds").add_client_error("describe_db_instances", "AccessDenied", "not you")
    return aws(service, region)


@pytest.mark.parametrize(
    ("client", "what"), [(unreachable, "Reading the account in af-south-1"), (denied, "Reading the databases")]
)
def test_a_deployment_that_cannot_see_does_not_guess(client: Callable[[str, str], Any], what: str) -> None:
    with pytest.raises(pulumi.RunError, match=what) as failure:
        Reader(SERVING, client).read()
    assert "nothing was changed" in str(failure.value)


def test_sign_of_life_is_a_time_with_a_zone_and_unknown_otherwise() -> None:
    assert parse_sign_of_life("2026-03-02T12:00:00+03:00") == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    for value in ("yesterday", "2026-03-02T12:00:00", ""):
        assert parse_sign_of_life(value) is None


def test_clients_call_their_own_regions_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    # The global endpoint of STS is in us-east-1 and knows no opt-in region.
    assert regional_client("sts", "af-south-1").meta.endpoint_url == "https://sts.af-south-1.amazonaws.com"
    assert regional_client("rds", "af-south-1").meta.region_name == "af-south-1"
