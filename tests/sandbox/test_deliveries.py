"""AWS's services write where they are admitted, and are refused or fail where they are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from components import access_logs, policies
from components.flow_logs import flow_log_policy, flow_log_trust
from sandbox.cloud import bucket_policy
from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, Site, World

ACCOUNT = "123456789012"
AUDIO = "recordings"
LOGS = "access-logs"
PREFIX = access_logs.LOAD_BALANCER_PREFIX


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with traffic_world.running() as running:
        bucket(running, AUDIO, KENYA)
        bucket(running, LOGS, KENYA, policy_of(LOGS))
        yield running
        running.assert_sound()


@pytest.fixture(scope="module")
def balancer(world: World) -> Callable[..., None]:
    """Turns access logs on."""
    site = Site(world, KENYA)
    site.build_network()
    elb = site.client("elbv2")
    made = elb.create_load_balancer(Name="logged", Subnets=site.public, SecurityGroups=[site.alb_group])
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]

    def log_to(name: str, prefix: str = PREFIX) -> None:
        values = {"enabled": "true", "bucket": name, "prefix": prefix}
        pairs = [{"Key": f"access_logs.s3.{key}", "Value": value} for key, value in values.items()]
        elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=pairs)

    return log_to


def policy_of(name: str, **instead: Any) -> str:
    """The program's own policy of the log bucket; `instead` changes the load balancers' statement."""
    first, *others = access_logs.writers(f"arn:aws:s3:::{name}", ACCOUNT, f"arn:aws:s3:::{AUDIO}")
    return policies.document({**first, **instead}, *others, policies.tls_only(f"arn:aws:s3:::{name}"))


def bucket(world: World, name: str, region: str, policy: str = "") -> None:
    s3 = world.client("s3", region)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    if policy:
        s3.put_bucket_policy(Bucket=name, Policy=policy)


def refused(code: str, call: Any, *args: Any, **given: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(*args, **given)
    assert refusal.value.response["Error"]["Code"] == code
    return str(refusal.value)


# -- load balancers ---------------------------------------------------------------------------------------------------
def test_a_load_balancer_proves_that_it_may_write(world: World, balancer: Callable[..., None]) -> None:
    balancer(LOGS)
    listed = world.client("s3", KENYA).list_objects_v2(Bucket=LOGS)["Contents"]
    assert [entry["Key"] for entry in listed] == [f"{PREFIX}/AWSLogs/{ACCOUNT}/ELBAccessLogTestFile"]


NOT_ADMITTED: dict[str, dict[str, Any]] = {
    "another service": {"Principal": {"Service": "delivery.logs.amazonaws.com"}},
    "another prefix": {"Resource": "arn:aws:s3:::another-prefix/elsewhere/*"},
    "another account": {"Resource": f"arn:aws:s3:::another-account/{PREFIX}/AWSLogs/000000000000/*"},
    "another action": {"Action": "s3:GetObject"},
    "denied": {"Effect": "Deny"},
}


@pytest.mark.parametrize("case", NOT_ADMITTED)
def test_a_bucket_that_does_not_admit_it_is_refused(world: World, balancer: Callable[..., None], case: str) -> None:
    name = case.replace(" ", "-")
    bucket(world, name, KENYA, policy_of(name, **NOT_ADMITTED[case]))
    assert f"Access Denied for bucket: {name}" in refused("InvalidConfigurationRequest", balancer, name)


def test_a_bucket_under_a_customer_key_or_without_a_policy_is_refused(
    world: World, balancer: Callable[..., None]
) -> None:
    bucket(world, "closed", KENYA)
    refused("InvalidConfigurationRequest", balancer, "closed")
    bucket(world, "under-key", KENYA, policy_of("under-key"))
    key = world.client("kms", KENYA).create_key()["KeyMetadata"]["Arn"]
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    world.client("s3", KENYA).put_bucket_encryption(
        Bucket="under-key", ServerSideEncryptionConfiguration={"Rules": [default]}
    )
    assert "Access Denied" in refused("InvalidConfigurationRequest", balancer, "under-key")


def test_a_bucket_elsewhere_or_nowhere_is_refused(world: World, balancer: Callable[..., None]) -> None:
    bucket(world, "far-logs", SOUTH_AFRICA, policy_of("far-logs"))
    for name in ("far-logs", "no-such-bucket"):
        assert "same region" in refused("InvalidConfigurationRequest", balancer, name)
    assert "AWSLogs" in refused("InvalidConfigurationRequest", balancer, LOGS, "AWSLogs/x")


# -- buckets ----------------------------------------------------------------------------------------------------------
def log_into(world: World, target: str, prefix: str = access_logs.AUDIO_PREFIX) -> None:
    status = {"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": prefix}}
    world.client("s3", KENYA).put_bucket_logging(Bucket=AUDIO, BucketLoggingStatus=status)


def test_a_buckets_access_log_needs_an_admitting_bucket_in_its_region(world: World) -> None:
    log_into(world, LOGS)
    found = world.client("s3", KENYA).get_bucket_logging(Bucket=AUDIO)["LoggingEnabled"]
    assert found == {"TargetBucket": LOGS, "TargetPrefix": "audio/"}
    refused("InvalidTargetBucketForLogging", log_into, world, LOGS, "elsewhere/")
    refused("InvalidTargetBucketForLogging", log_into, world, "no-such-bucket")
    bucket(world, "far-target", SOUTH_AFRICA, policy_of("far-target"))
    refused("CrossLocationLoggingProhibited", log_into, world, "far-target")


def test_an_inventory_needs_a_destination_and_goes_without_its_bucket(world: World) -> None:
    s3 = world.client("s3", KENYA)

    def configure(destination: str) -> None:
        place = {"S3BucketDestination": {"Bucket": destination, "Format": "CSV", "Prefix": "inventory"}}
        s3.put_bucket_inventory_configuration(
            Bucket=AUDIO,
            Id="all",
            InventoryConfiguration={
                "Id": "all",
                "IsEnabled": True,
                "IncludedObjectVersions": "All",
                "Schedule": {"Frequency": "Daily"},
                "OptionalFields": ["Size"],
                "Destination": place,
            },
        )

    refused("InvalidS3DestinationBucket", configure, LOGS)
    refused("InvalidS3DestinationBucket", configure, "arn:aws:s3:::no-such-bucket")
    configure(f"arn:aws:s3:::{LOGS}")
    found = s3.get_bucket_inventory_configuration(Bucket=AUDIO, Id="all")["InventoryConfiguration"]
    assert found["OptionalFields"] == ["Size"]
    s3.delete_bucket_inventory_configuration(Bucket=AUDIO, Id="all")
    refused("NoSuchConfiguration", s3.get_bucket_inventory_configuration, Bucket=AUDIO, Id="all")
    s3.head_bucket(Bucket=AUDIO)


ALLOWED = {
    "load balancer": ("logdelivery.elasticloadbalancing.amazonaws.com", f"{PREFIX}/AWSLogs/{ACCOUNT}/x", {}),
    "access log": ("logging.s3.amazonaws.com", "audio/2026", {}),
    "inventory": ("s3.amazonaws.com", "inventory/x", {"s3:x-amz-acl": "bucket-owner-full-control"}),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_each_service_writes_under_its_own_prefix_for_this_account_alone(case: str) -> None:
    service, key, more = ALLOWED[case]

    def admitted(key: str, account: str = ACCOUNT, source: str = f"arn:aws:s3:::{AUDIO}") -> bool:
        facts = {"aws:sourceaccount": account, "aws:sourcearn": source, **more}
        return bucket_policy.admits(policy_of(LOGS), service, "s3:PutObject", f"arn:aws:s3:::{LOGS}/{key}", facts)

    assert admitted(key)
    assert not admitted("elsewhere/x")
    if case != "load balancer":  # whose path names the account
        assert not admitted(key, account="000000000000")
        assert not admitted(key, source="arn:aws:s3:::another")


# -- networks ---------------------------------------------------------------------------------------------------------
class Flow:
    """A VPC whose flow log is made with a role."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.logs, self.iam = world.client("logs", KENYA), world.client("iam", "us-east-1")
        self.ec2 = world.client("ec2", KENYA)
        self.group = f"arn:aws:logs:{KENYA}:{ACCOUNT}:log-group:/{name}"
        self.logs.create_log_group(logGroupName=f"/{name}")

    def role(self, trust: str, permissions: str) -> str:
        arn = str(self.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=trust)["Role"]["Arn"])
        self.iam.put_role_policy(RoleName=self.name, PolicyName="write", PolicyDocument=permissions)
        return arn

    def create(self, role: str) -> str:
        vpc = self.ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
        made = self.ec2.create_flow_logs(
            ResourceType="VPC",
            ResourceIds=[vpc],
            TrafficType="ALL",
            LogDestinationType="cloud-watch-logs",
            LogDestination=self.group,
            DeliverLogsPermissionArn=role,
        )
        found = self.ec2.describe_flow_logs(FlowLogIds=made["FlowLogIds"])["FlowLogs"][0]
        return str(found["DeliverLogsStatus"])


def test_flow_logs_are_delivered_with_the_programs_role(world: World) -> None:
    flow = Flow(world, "delivered")
    assert (
        flow.create(flow.role(flow_log_trust(ACCOUNT, KENYA), flow_log_policy(flow.group, ACCOUNT, KENYA))) == "SUCCESS"
    )


def test_flow_logs_fail_where_the_role_may_not_write_or_the_group_is_missing(world: World) -> None:
    flow = Flow(world, "elsewhere")
    role = flow.role(flow_log_trust(ACCOUNT, KENYA), flow_log_policy(f"{flow.group}-other", ACCOUNT, KENYA))
    assert flow.create(role) == "FAILED"
    gone = Flow(world, "gone")
    role = gone.role(flow_log_trust(ACCOUNT, KENYA), flow_log_policy(gone.group, ACCOUNT, KENYA))
    gone.logs.delete_log_group(logGroupName="/gone")
    assert gone.create(role) == "FAILED"


@pytest.mark.parametrize("region", [SOUTH_AFRICA, ""], ids=["another region's", "another service's"])
def test_a_role_that_flow_logs_may_not_take_is_refused(world: World, region: str) -> None:
    flow = Flow(world, f"untrusted-{region or 'service'}")
    trust = flow_log_trust(ACCOUNT, region) if region else policies.trust("ec2.amazonaws.com")
    role = flow.role(trust, flow_log_policy(flow.group, ACCOUNT, KENYA))
    assert "Unable to assume given IAM role" in refused("InvalidParameter", flow.create, role)
