"""How the provider treats secrets, previews, failures, interruption and tags: by direct gRPC."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2, status_pb2

from sandbox.provider import wire
from tests.sandbox.provider_client import Client, Made, urn
from tests.sandbox.provider_lab import PEER, Lab, document, open_lab

LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
SECRET_VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
VPC = "aws:ec2/vpc:Vpc"
ROLE = "aws:iam/role:Role"
AT_ONCE = 64


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with open_lab() as opened:
        yield opened


def _log_group(lab: Lab, **inputs: Any) -> Made:
    return lab.make(LOG_GROUP, name=f"/{lab.name('logs')}", retentionInDays=30, **inputs)


def _failure(call: Any, *arguments: Any) -> Any:
    """What a call that must fail raises: details() is the text for the user."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    return caught.value


# -- secrets ----------------------------------------------------------------------------------------------------------
def test_what_came_in_as_a_secret_goes_out_as_one(lab: Lab) -> None:
    inputs = {"name": f"/{lab.name('logs')}", "retentionInDays": 30}
    answer = lab.client.stub.Create(_creation(LOG_GROUP, inputs, secret=("retentionInDays",)))
    assert wire.unmarshal(answer.properties).secret == {"retentionInDays"}


def test_sensitive_properties_are_secret_even_if_the_program_forgot(lab: Lab) -> None:
    inputs = {"secretId": lab.secret(), "secretString": "plain"}
    created = lab.client.stub.Create(_creation(SECRET_VERSION, inputs))
    assert wire.unmarshal(created.properties).secret == {"secretString"}
    assert _raw_secret(created.properties.fields["secretString"])
    read = lab.client.stub.Read(provider_pb2.ReadRequest(id=created.id, urn=urn(SECRET_VERSION), type=SECRET_VERSION))
    assert wire.unmarshal(read.properties).secret == {"secretString"}
    assert wire.unmarshal(read.inputs).secret == {"secretString"}


def test_an_update_keeps_secrets(lab: Lab) -> None:
    made = _log_group(lab)
    answer = lab.client.stub.Update(
        provider_pb2.UpdateRequest(
            id=made.id,
            urn=urn(LOG_GROUP),
            type=LOG_GROUP,
            olds=wire.marshal(made.state),
            news=wire.marshal({**made.inputs, "retentionInDays": 60}, {"retentionInDays"}),
        )
    )
    assert _raw_secret(answer.properties.fields["retentionInDays"])


def _raw_secret(value: Any) -> bool:
    return bool(value.struct_value.fields[rpc._special_sig_key].string_value == rpc._special_secret_sig)


def _creation(token: str, inputs: dict[str, Any], secret: tuple[str, ...] = ()) -> provider_pb2.CreateRequest:
    return provider_pb2.CreateRequest(urn=urn(token), type=token, properties=wire.marshal(inputs, secret))


# -- previews ---------------------------------------------------------------------------------------------------------
def test_a_preview_creates_nothing_and_knows_no_ids(lab: Lab) -> None:
    before = lab.aws("ec2").describe_vpcs()["Vpcs"]
    planned = lab.client.create(VPC, {"cidrBlock": "10.5.0.0/16"}, preview=True)
    assert planned.id == ""
    assert planned.state["cidrBlock"] == "10.5.0.0/16"
    assert planned.state["arn"] is wire.UNKNOWN
    assert planned.state["region"] == "eu-west-1"
    assert lab.aws("ec2").describe_vpcs()["Vpcs"] == before


def test_an_unknown_input_is_a_change_in_a_preview_and_refused_in_a_creation(lab: Lab) -> None:
    made = _log_group(lab)
    assert list(lab.client.diff(made, {**made.inputs, "retentionInDays": wire.UNKNOWN}).diffs) == ["retentionInDays"]
    error = _failure(lab.client.stub.Create, _creation(LOG_GROUP, {**made.inputs, "retentionInDays": wire.UNKNOWN}))
    assert "still unknown" in error.details()


# -- what is there already --------------------------------------------------------------------------------------------
def test_a_read_asks_aws_and_believes_no_state(lab: Lab) -> None:
    made = _log_group(lab)
    forged = Made(made.token, made.id, made.inputs, {**made.state, "retentionInDays": 1, "arn": "forged"})
    found = lab.client.read(forged)
    assert found is not None
    assert found[0].state["retentionInDays"] == 30
    assert found[0].state["arn"] == made.state["arn"]


def test_a_refresh_reports_what_was_changed_behind_its_back(lab: Lab) -> None:
    made = _log_group(lab)
    lab.aws("logs").put_retention_policy(logGroupName=made.id, retentionInDays=1)
    lab.aws("logs").tag_resource(resourceArn=made.state["arn"], tags={"By": "hand"})
    found = lab.client.read(made)
    assert found is not None
    assert found[0].inputs == {**made.inputs, "retentionInDays": 1, "tags": {"By": "hand"}}
    assert sorted(lab.client.diff(found[0], made.inputs).diffs) == ["retentionInDays", "tags"]


def test_a_resource_in_another_region_is_made_and_read_there(lab: Lab) -> None:
    made = _log_group(lab, region=PEER)
    (there,) = lab.aws("logs", PEER).describe_log_groups(logGroupNamePrefix=made.id)["logGroups"]
    assert there["retentionInDays"] == 30
    assert lab.client.read(made) is not None
    lab.client.delete(made)
    assert lab.client.read(made) is None


def test_default_tags_are_set_but_are_not_the_programs(lab: Lab) -> None:
    made = _log_group(lab, tags={"Name": "one"})
    assert made.state["tagsAll"] == {"Name": "one", "Platform": "lab"}
    assert made.state["tags"] == {"Name": "one"}
    other = Client(lab.sandbox.provider_port, defaultTags={"tags": {"Platform": "another"}})
    try:
        assert list(other.diff(made).diffs) == ["tags"], "other default tags are a change"
    finally:
        other.close()


# -- failures ---------------------------------------------------------------------------------------------------------
def test_a_failed_creation_carries_awss_words(lab: Lab) -> None:
    made = _log_group(lab)
    details = _failure(lab.client.stub.Create, _creation(LOG_GROUP, made.inputs)).details()
    assert details.startswith("thing: CreateLogGroup: ResourceAlreadyExistsException: ")


def test_a_failed_update_carries_awss_words(lab: Lab) -> None:
    trust = document("sts:AssumeRole", Principal={"Service": "ecs-tasks.amazonaws.com"})
    made = lab.make(ROLE, name=lab.name("role"), assumeRolePolicy=trust)
    broken = document("sts:AssumeRole", Resource="*")
    details = _failure(lab.client.update, made, {**made.inputs, "assumeRolePolicy": broken}).details()
    assert details.startswith("thing: UpdateAssumeRolePolicy: MalformedPolicyDocument: ")


def test_a_failed_deletion_carries_awss_words(lab: Lab) -> None:
    made = lab.make("aws:s3/bucket:Bucket", bucket=lab.name("bucket"))
    lab.make("aws:s3/bucketObjectv2:BucketObjectv2", bucket=made.id, key="k", content="c")
    details = _failure(lab.client.delete, made).details()
    assert details.startswith("thing: DeleteBucket: BucketNotEmpty: ")
    assert lab.client.read(made) is not None


def test_an_unknown_type_is_an_error_that_says_where_to_add_it(lab: Lab) -> None:
    token = "aws:dynamodb/table:Table"
    details = _failure(lab.client.stub.Check, provider_pb2.CheckRequest(urn=urn(token), type=token)).details()
    assert "does not model aws:dynamodb/table:Table: add it to sandbox/provider/tables" in details


def test_a_lookup_is_an_error(lab: Lab) -> None:
    request = provider_pb2.InvokeRequest(tok="aws:index/getRegion:getRegion")
    assert "answers no lookups" in _failure(lab.client.stub.Invoke, request).details()


def test_a_resource_that_exists_but_is_not_finished_is_remembered(lab: Lab) -> None:
    """A service that cannot become steady: the engine must learn its id, or the next deployment makes it twice."""
    token = "aws:acm/certificate:Certificate"
    lab.sandbox.control(
        "POST",
        "faults",
        kind="api-error",
        region="eu-west-1",
        service="acm",
        operation="DescribeCertificate",
        contains="",
        code="AccessDeniedException",
        message="not you",
    )
    try:
        inputs = {"domainName": "half.example.org", "validationMethod": "DNS"}
        error = _failure(lab.client.stub.Create, _creation(token, inputs))
    finally:
        lab.sandbox.control("DELETE", "faults")
    assert "AccessDeniedException: not you" in error.details()
    half = _half_made(error)
    assert half.id.startswith("arn:aws:acm:eu-west-1:")
    assert wire.unmarshal(half.properties).values["domainName"] == "half.example.org"


def _half_made(error: Any) -> Any:
    (packed,) = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    status = status_pb2.Status.FromString(packed)
    failed = provider_pb2.ErrorResourceInitFailed()
    detail: any_pb2.Any = status.details[0]
    assert detail.Unpack(failed)
    return failed


# -- interruption -----------------------------------------------------------------------------------------------------
def test_many_wait_at_once_and_cancel_ends_their_waits(lab: Lab) -> None:
    """A certificate whose record nobody makes is never issued. The engine starts up to 64 creations at once."""
    certificate = lab.make("aws:acm/certificate:Certificate", domainName="never.example.org", validationMethod="DNS")
    request = _creation("aws:acm/certificateValidation:CertificateValidation", {"certificateArn": certificate.id})
    client = Client(lab.sandbox.provider_port)

    def wait() -> Any:
        return _failure(lambda: client.stub.Create(request, timeout=30))

    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting = [pool.submit(wait) for _ in range(AT_ONCE)]
            time.sleep(1)
            # Another connection is served meanwhile, and goes on afterwards.
            lab.client.stub.Create(_creation(LOG_GROUP, {"name": f"/{lab.name('logs')}"}), timeout=10)
            assert not any(one.done() for one in waiting)
            client.stub.Cancel(empty_pb2.Empty(), timeout=10)
            assert all("interrupted" in one.result(timeout=40).details() for one in waiting)
        assert lab.client.read(certificate) is not None
    finally:
        client.close()
