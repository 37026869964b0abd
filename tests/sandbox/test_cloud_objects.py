"""S3 as the sandbox has it: live replication, bucket policies; secrets and their replicas."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloud import bucket_policy
from sandbox.cloud.bucket_policy import Decision
from tests.sandbox import roles, traffic_world
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, World, wait

SOURCE, TARGET = "recordings", "recordings-replica"
ROLE = "arn:aws:iam::123456789012:role/replication"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A cloud in which a modelled minute lasts a second: a replication half a second."""
    with traffic_world.running(speed=60) as running:
        roles.make(running.client("iam", "us-east-1"), "replication", "s3.amazonaws.com")
        yield running
        running.assert_sound()


def bucket(world: World, name: str, region: str) -> None:
    """A versioned bucket."""
    s3 = world.client("s3", region)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def rule(target: str, key: str = "", *, markers: str = "Enabled", opt_in: bool = True) -> dict[str, Any]:
    """A replication rule with everything that the program's has."""
    destination = {
        "Bucket": f"arn:aws:s3:::{target}",
        "StorageClass": "STANDARD",
        "EncryptionConfiguration": {"ReplicaKmsKeyID": key},
        "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
        "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}},
    }
    criteria = {"SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}}} if opt_in else {}
    return {
        "ID": "everything",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": markers},
        "Destination": destination,
        **criteria,
    }


@pytest.fixture(scope="module")
def keys(world: World) -> dict[str, str]:
    """A KMS key in each region, by region."""
    return {
        region: str(world.client("kms", region).create_key()["KeyMetadata"]["Arn"]) for region in (KENYA, SOUTH_AFRICA)
    }


@pytest.fixture
def pair(world: World, keys: dict[str, str], request: pytest.FixtureRequest) -> tuple[str, str]:
    """A bucket in Kenya's region that replicates into South Africa's; one object is older than that."""
    ending = request.node.name.replace("_", "-")[:40].strip("-")
    source, target = f"a-{ending}", f"b-{ending}"
    bucket(world, source, KENYA)
    bucket(world, target, SOUTH_AFRICA)
    world.client("s3", KENYA).put_object(Bucket=source, Key="older", Body=b"from before")
    configuration = {"Role": ROLE, "Rules": [rule(target, keys[SOUTH_AFRICA])]}
    world.client("s3", KENYA).put_bucket_replication(Bucket=source, ReplicationConfiguration=configuration)
    return source, target


def versions(world: World, name: str, region: str) -> list[tuple[str, str, bool]]:
    """(key, version, is it a delete marker), newest first."""
    found = world.client("s3", region).list_object_versions(Bucket=name)
    listed = [(v["LastModified"], v["Key"], v["VersionId"], False) for v in found.get("Versions", [])]
    listed += [(v["LastModified"], v["Key"], v["VersionId"], True) for v in found.get("DeleteMarkers", [])]
    return [entry[1:] for entry in sorted(listed, reverse=True)]


def status(world: World, name: str, key: str, region: str = KENYA) -> str | None:
    found: dict[str, Any] = world.client("s3", region).head_object(Bucket=name, Key=key)
    return found.get("ReplicationStatus")


def refusal(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


# -- replication ----------------------------------------------------------------------------------------------------
def test_the_configuration_comes_back_as_it_was_put(world: World, pair: tuple[str, str], keys: dict[str, str]) -> None:
    found = world.client("s3", KENYA).get_bucket_replication(Bucket=pair[0])["ReplicationConfiguration"]
    assert found == {"Role": ROLE, "Rules": [rule(pair[1], keys[SOUTH_AFRICA])]}


def test_a_new_version_is_copied_with_its_id(world: World, pair: tuple[str, str]) -> None:
    source, target = pair
    here, there = world.client("s3", KENYA), world.client("s3", SOUTH_AFRICA)
    made = here.put_object(Bucket=source, Key="new", Body=b"words", Metadata={"who": "me"}, ContentType="audio/ogg")
    assert status(world, source, "new") == "PENDING"

    wait(lambda: status(world, source, "new") == "COMPLETED", what="the copy")
    copy = there.get_object(Bucket=target, Key="new")
    assert copy["Body"].read() == b"words"
    assert (copy["VersionId"], copy["ReplicationStatus"]) == (made["VersionId"], "REPLICA")
    assert (copy["Metadata"], copy["ContentType"], copy["ETag"]) == ({"who": "me"}, "audio/ogg", made["ETag"])
    assert versions(world, target, SOUTH_AFRICA) == [("new", made["VersionId"], False)]  # and nothing from before


def test_the_order_of_versions_stays_and_deletions_of_versions_do_not_follow(
    world: World, pair: tuple[str, str]
) -> None:
    source, target = pair
    here = world.client("s3", KENYA)
    made = [here.put_object(Bucket=source, Key="k", Body=b"%d" % n)["VersionId"] for n in range(5)]
    made.append(here.delete_object(Bucket=source, Key="k")["VersionId"])

    wait(lambda: len(versions(world, target, SOUTH_AFRICA)) == 6, what="all six")
    with pytest.raises(ClientError) as error:
        world.client("s3", SOUTH_AFRICA).get_object(Bucket=target, Key="k")
    assert refusal(error) == "NoSuchKey"
    here.delete_object(Bucket=source, Key="k", VersionId=made[-1])
    here.delete_object(Bucket=source, Key="k", VersionId=made[0])
    time.sleep(1)
    kept = [version for _, version, _ in versions(world, target, SOUTH_AFRICA)]
    assert sorted(kept) == sorted(made)
    newest = world.client("s3", SOUTH_AFRICA).get_object(Bucket=target, Key="k", VersionId=made[4])
    assert newest["Body"].read() == b"4"


def test_delete_markers_follow_only_if_enabled(world: World, pair: tuple[str, str], keys: dict[str, str]) -> None:
    source, target = pair
    here = world.client("s3", KENYA)
    rules = [rule(target, keys[SOUTH_AFRICA], markers="Disabled")]
    here.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": ROLE, "Rules": rules})
    here.put_object(Bucket=source, Key="k", Body=b"1")
    here.delete_object(Bucket=source, Key="k")
    time.sleep(1.5)
    assert [marker for _, _, marker in versions(world, target, SOUTH_AFRICA)] == [False]


def test_objects_under_a_kms_key_need_the_opt_in(world: World, pair: tuple[str, str], keys: dict[str, str]) -> None:
    source, target = pair
    here, there = world.client("s3", KENYA), world.client("s3", SOUTH_AFRICA)
    encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": keys[KENYA]}
    here.put_object(Bucket=source, Key="with", Body=b"1", **encrypted)
    wait(lambda: status(world, source, "with") == "COMPLETED", what="the copy")
    copy = there.head_object(Bucket=target, Key="with")
    assert copy["SSEKMSKeyId"] == keys[SOUTH_AFRICA]

    rules = [rule(target, keys[SOUTH_AFRICA], opt_in=False)]
    here.put_bucket_replication(Bucket=source, ReplicationConfiguration={"Role": ROLE, "Rules": rules})
    here.put_object(Bucket=source, Key="without", Body=b"1", **encrypted)
    here.put_object(Bucket=source, Key="plain", Body=b"1")
    wait(lambda: status(world, source, "plain") == "COMPLETED", what="the copy")
    assert status(world, source, "without") is None
    assert {key for key, _, _ in versions(world, target, SOUTH_AFRICA)} == {"with", "plain"}


def test_a_disabled_key_fails_the_copy(world: World, pair: tuple[str, str], keys: dict[str, str]) -> None:
    kms = world.client("kms", SOUTH_AFRICA)
    key = keys[SOUTH_AFRICA].rpartition("/")[2]
    kms.disable_key(KeyId=key)
    try:
        world.client("s3", KENYA).put_object(
            Bucket=pair[0], Key="k", Body=b"1", ServerSideEncryption="aws:kms", SSEKMSKeyId=keys[KENYA]
        )
        wait(lambda: status(world, pair[0], "k") == "FAILED", what="the failure")
    finally:
        kms.enable_key(KeyId=key)


def test_what_was_not_copied_at_the_loss_waits_for_the_return(world: World, pair: tuple[str, str]) -> None:
    source, target = pair
    world.client("s3", KENYA).put_object(Bucket=source, Key="late", Body=b"1")
    world.control("POST", "cut", {"region": KENYA})
    try:
        time.sleep(1.5)
        assert versions(world, target, SOUTH_AFRICA) == []
    finally:
        world.control("POST", "restore", {"region": KENYA})
    wait(lambda: len(versions(world, target, SOUTH_AFRICA)) == 1, what="the copy")


def test_a_destination_must_exist_with_versions_and_a_key(world: World, keys: dict[str, str]) -> None:
    here = world.client("s3", KENYA)
    bucket(world, "lonely", KENYA)
    there = world.client("s3", SOUTH_AFRICA)
    there.create_bucket(Bucket="plain", CreateBucketConfiguration={"LocationConstraint": SOUTH_AFRICA})

    def put(wanted: dict[str, Any]) -> str:
        with pytest.raises(ClientError) as error:
            here.put_bucket_replication(Bucket="lonely", ReplicationConfiguration={"Role": ROLE, "Rules": [wanted]})
        return refusal(error)

    keyless = rule("plain")
    del keyless["Destination"]["EncryptionConfiguration"]
    assert put(rule("nowhere", keys[SOUTH_AFRICA])) == "InvalidRequest"
    assert put(rule("plain", keys[SOUTH_AFRICA])) == "InvalidRequest"
    there.put_bucket_versioning(Bucket="plain", VersioningConfiguration={"Status": "Enabled"})
    assert put(keyless) == "InvalidRequest"


# -- policies -------------------------------------------------------------------------------------------------------
def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(effect: str, action: str, principal: Any = "*", **condition: dict[str, str]) -> dict[str, Any]:
    more = {"Condition": condition} if condition else {}
    resources = ["arn:aws:s3:::box", "arn:aws:s3:::box/*"]
    return {"Effect": effect, "Principal": principal, "Action": action, "Resource": resources, **more}


TLS = {"Bool": {"aws:SecureTransport": "false"}}


def test_a_policy_against_plain_http_lets_the_sandbox_in_and_another_does_not(world: World) -> None:
    s3 = world.client("s3", KENYA)
    bucket(world, "box", KENYA)
    s3.put_bucket_policy(Bucket="box", Policy=policy(statement("Deny", "s3:*", **TLS)))
    s3.put_object(Bucket="box", Key="k", Body=b"1")
    assert s3.get_object(Bucket="box", Key="k")["Body"].read() == b"1"
    assert s3.head_object(Bucket="box", Key="k")["ContentLength"] == 1

    s3.put_bucket_policy(Bucket="box", Policy=policy(statement("Deny", "s3:GetObject")))
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="box", Key="k")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    with pytest.raises(ClientError):
        s3.head_object(Bucket="box", Key="k")
    s3.put_object(Bucket="box", Key="k", Body=b"2")


@pytest.mark.parametrize(
    ("statements", "anonymous", "expected"),
    [
        ([statement("Allow", "s3:GetObject")], True, Decision.PERMITTED),
        ([statement("Allow", "s3:Get*"), statement("Deny", "s3:*", **TLS)], True, Decision.PERMITTED),
        ([statement("Allow", "s3:PutObject")], True, Decision.NEUTRAL),
        ([statement("Allow", "s3:*"), statement("Deny", "s3:GetObject")], True, Decision.DENIED),
        ([statement("Allow", "s3:*", {"AWS": "123456789012"})], True, Decision.NEUTRAL),
        ([statement("Allow", "s3:*", {"AWS": "123456789012"})], False, Decision.PERMITTED),
        ([statement("Allow", "s3:*", {"Service": "logs.amazonaws.com"})], False, Decision.NEUTRAL),
        (
            [statement("Deny", "s3:*", StringNotEquals={"aws:PrincipalAccount": "123456789012"})],
            True,
            Decision.DENIED,
        ),
        (
            [statement("Deny", "s3:*", StringNotEquals={"aws:PrincipalAccount": "123456789012"})],
            False,
            Decision.NEUTRAL,
        ),
    ],
)
def test_a_policy_decides_as_iam_does(statements: list[dict[str, Any]], anonymous: bool, expected: Decision) -> None:
    found = bucket_policy.decide(policy(*statements), "s3:GetObject", "arn:aws:s3:::box/k", anonymous=anonymous)
    assert found is expected


@pytest.mark.parametrize(
    "condition", [{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"Bool": {"aws:Unknown": "true"}}]
)
def test_an_unmodelled_condition_is_an_error(condition: dict[str, dict[str, str]]) -> None:
    with pytest.raises(NotImplementedError):
        bucket_policy.check(policy(statement("Deny", "s3:*", **condition)))


# -- secrets --------------------------------------------------------------------------------------------------------
def test_a_description_can_be_taken_away(world: World) -> None:
    secrets = world.client("secretsmanager", SOUTH_AFRICA)
    secrets.create_secret(Name="described", Description="by somebody", SecretString="one")
    secrets.update_secret(SecretId="described", KmsKeyId="alias/aws/secretsmanager")
    assert secrets.describe_secret(SecretId="described")["Description"] == "by somebody"
    secrets.update_secret(SecretId="described", Description="")
    assert not secrets.describe_secret(SecretId="described").get("Description")


def test_a_secret_is_read_from_its_replica_while_its_region_is_lost(world: World) -> None:
    here, there = (world.client("secretsmanager", region) for region in (SOUTH_AFRICA, KENYA))
    made = here.create_secret(Name="shared/key", SecretString="one", AddReplicaRegions=[{"Region": KENYA}])
    replica = made["ARN"].replace(SOUTH_AFRICA, KENYA)
    [shown] = here.describe_secret(SecretId="shared/key")["ReplicationStatus"]
    assert (shown["Region"], shown["Status"], shown["KmsKeyId"]) == (KENYA, "InSync", "alias/aws/secretsmanager")

    here.put_secret_value(SecretId="shared/key", SecretString="two")
    assert there.get_secret_value(SecretId=replica)["SecretString"] == "two"
    here.update_secret(SecretId="shared/key", SecretString="three")
    assert there.get_secret_value(SecretId="shared/key")["SecretString"] == "three"
    described = there.describe_secret(SecretId=replica)
    assert (described["ARN"], described["PrimaryRegion"]) == (replica, SOUTH_AFRICA)

    world.control("POST", "cut", {"region": SOUTH_AFRICA})
    try:
        found = there.get_secret_value(SecretId=replica)
        assert (found["ARN"], found["SecretString"]) == (replica, "three")
    finally:
        world.control("POST", "restore", {"region": SOUTH_AFRICA})


def test_a_replica_is_read_only_and_goes_before_its_primary(world: World) -> None:
    here, there = (world.client("secretsmanager", region) for region in (SOUTH_AFRICA, KENYA))
    here.create_secret(Name="shared/second", SecretString="one", AddReplicaRegions=[{"Region": KENYA}])

    second: dict[str, Any] = {"SecretId": "shared/second"}
    calls: list[tuple[Any, dict[str, Any]]] = [
        (there.put_secret_value, {"SecretString": "mine"}),
        (there.update_secret, {"SecretString": "mine"}),
        (there.delete_secret, {"ForceDeleteWithoutRecovery": True}),
        (here.delete_secret, {"ForceDeleteWithoutRecovery": True}),
        (here.delete_secret, {"RecoveryWindowInDays": 7}),
    ]
    for operation, arguments in calls:
        with pytest.raises(ClientError) as error:
            operation(**second, **arguments)
        assert refusal(error) in ("InvalidRequestException", "InvalidParameterException")

    here.remove_regions_from_replication(SecretId="shared/second", RemoveReplicaRegions=[KENYA])
    with pytest.raises(ClientError) as error:
        there.get_secret_value(SecretId="shared/second")
    assert refusal(error) == "ResourceNotFoundException"
    here.delete_secret(SecretId="shared/second", RecoveryWindowInDays=7)
    assert here.describe_secret(SecretId="shared/second")["DeletedDate"]


def test_a_replica_may_have_a_key_of_its_own(world: World, keys: dict[str, str]) -> None:
    wanted = [{"Region": KENYA, "KmsKeyId": keys[KENYA]}]
    here = world.client("secretsmanager", SOUTH_AFRICA)
    here.create_secret(Name="shared/third", SecretString="one", AddReplicaRegions=wanted)
    [shown] = here.describe_secret(SecretId="shared/third")["ReplicationStatus"]
    assert shown["KmsKeyId"] == keys[KENYA]
