"""What moto breaks or lacks and the platform needs: multi-Region keys, subnet groups, rules between groups, faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, Site, World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with traffic_world.running() as running:
        yield running
        running.assert_sound()


@pytest.fixture(scope="module")
def site(world: World) -> Site:
    built = Site(world, KENYA)
    built.build_network()
    return built


def test_a_replica_key_decrypts_and_has_everything_else_of_its_own(world: World) -> None:
    here, there = world.client("kms", SOUTH_AFRICA), world.client("kms", KENYA)
    key = str(here.create_key(MultiRegion=True, Description="primary")["KeyMetadata"]["KeyId"])
    here.create_alias(AliasName="alias/state", TargetKeyId=key)
    owner = {"AWS": "arn:aws:iam::123456789012:root"}
    statement = {"Effect": "Allow", "Principal": owner, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    tags = [{"TagKey": "project", "TagValue": "platform"}]
    there_arn = here.replicate_key(KeyId=key, ReplicaRegion=KENYA, Description="replica", Policy=policy, Tags=tags)[
        "ReplicaKeyMetadata"
    ]["Arn"]
    there.create_alias(AliasName="alias/state", TargetKeyId=key)

    secret = here.encrypt(KeyId="alias/state", Plaintext=b"words")["CiphertextBlob"]
    assert there.decrypt(CiphertextBlob=secret)["Plaintext"] == b"words"
    primary, replica = (client.describe_key(KeyId="alias/state")["KeyMetadata"] for client in (here, there))
    assert (primary["Description"], replica["Description"]) == ("primary", "replica")
    assert primary["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"
    assert replica["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA"
    assert replica["Arn"] == there_arn
    assert there.get_key_policy(KeyId=key, PolicyName="default")["Policy"] == policy
    assert there.list_resource_tags(KeyId=key)["Tags"] == tags
    with pytest.raises(ClientError, match="AlreadyExistsException"):
        here.replicate_key(KeyId=key, ReplicaRegion=KENYA)


def test_a_subnet_group_survives_a_change(world: World, site: Site) -> None:
    rds = world.client("rds", KENYA)
    rds.create_db_subnet_group(DBSubnetGroupName="Group", DBSubnetGroupDescription="one", SubnetIds=site.private)
    rds.modify_db_subnet_group(
        DBSubnetGroupName="Group", DBSubnetGroupDescription="two", SubnetIds=[*site.private, *site.public]
    )
    [found] = rds.describe_db_subnet_groups(DBSubnetGroupName="group")["DBSubnetGroups"]
    assert (found["DBSubnetGroupDescription"], len(found["Subnets"])) == ("two", 4)
    with pytest.raises(ClientError, match="DBSubnetGroupNotFoundFault"):
        rds.modify_db_subnet_group(DBSubnetGroupName="other", SubnetIds=site.private)


def test_a_rule_between_groups_keeps_its_description_and_can_change(world: World, site: Site) -> None:
    ec2 = world.client("ec2", KENYA)
    pair = {"GroupId": site.alb_group, "Description": "from the load balancer"}
    permission = {"IpProtocol": "tcp", "FromPort": 81, "ToPort": 82, "UserIdGroupPairs": [pair]}
    made = ec2.authorize_security_group_ingress(GroupId=site.database_group, IpPermissions=[permission])
    [rule] = made["SecurityGroupRules"]
    assert rule["Description"] == "from the load balancer"

    changed = {"IpProtocol": "tcp", "FromPort": 83, "ToPort": 84, "ReferencedGroupId": site.task_group}
    ec2.modify_security_group_rules(
        GroupId=site.database_group,
        SecurityGroupRules=[{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": changed}],
    )
    found = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
    [now] = found["SecurityGroupRules"]
    assert (now["FromPort"], now["ToPort"], now["ReferencedGroupInfo"]["GroupId"]) == (83, 84, site.task_group)


def test_opted_in_regions_are_told_from_those_that_are_always_on(world: World) -> None:
    account = world.client("account", "us-east-1")
    told = {
        region: account.get_region_opt_status(RegionName=region)["RegionOptStatus"] for region in (KENYA, SOUTH_AFRICA)
    }
    assert told == {KENYA: "ENABLED_BY_DEFAULT", SOUTH_AFRICA: "ENABLED"}


def test_a_region_is_opted_in(world: World) -> None:
    account = world.client("account", "us-east-1")

    def status(region: str) -> str:
        return str(account.get_region_opt_status(RegionName=region)["RegionOptStatus"])

    assert status("me-central-1") == "DISABLED"
    for region in ("me-central-1", SOUTH_AFRICA):
        account.enable_region(RegionName=region)
        assert status(region) == "ENABLED"
    with pytest.raises(ClientError, match="Invalid region name: mars-1"):
        account.enable_region(RegionName="mars-1")


ASKED: list[tuple[str, str, str, str, Callable[[Any], Any]]] = [
    ("rds", "rds", KENYA, "DescribeDBInstances", lambda c: c.describe_db_instances()),  # query
    ("elbv2", "elasticloadbalancing", KENYA, "DescribeLoadBalancers", lambda c: c.describe_load_balancers()),
    ("iam", "iam", "us-east-1", "ListRoles", lambda c: c.list_roles()),
    ("ec2", "ec2", KENYA, "DescribeVpcs", lambda c: c.describe_vpcs()),
    ("ecs", "ecs", KENYA, "ListClusters", lambda c: c.list_clusters()),  # JSON
    ("secretsmanager", "secretsmanager", KENYA, "ListSecrets", lambda c: c.list_secrets()),
    ("cloudwatch", "monitoring", KENYA, "ListMetrics", lambda c: c.list_metrics()),  # CBOR
    ("lambda", "lambda", KENYA, "ListFunctions", lambda c: c.list_functions()),  # REST with JSON
    ("s3", "s3", KENYA, "ListBuckets", lambda c: c.list_buckets()),  # REST with XML
    ("route53", "route53", "us-east-1", "ListHostedZones", lambda c: c.list_hosted_zones()),
]


@pytest.mark.parametrize(
    ("name", "service", "region", "operation", "ask"), ASKED, ids=[f"{case[0]}-{case[3]}" for case in ASKED]
)
def test_an_injected_error_speaks_the_protocol(
    world: World, name: str, service: str, region: str, operation: str, ask: Callable[[Any], Any]
) -> None:
    fault = {"kind": "api-error", "region": region, "service": service, "operation": operation}
    world.control("POST", "faults", {**fault, "code": "AccessDenied", "message": "not <you> & never"})
    try:
        with pytest.raises(ClientError) as error:
            ask(world.client(name, region))
        told = error.value.response["Error"]
        assert (told["Code"], told["Message"]) == ("AccessDenied", "not <you> & never")
    finally:
        world.control("DELETE", "faults", {})
    ask(world.client(name, region))


def test_a_queue_keeps_its_policy_and_whom_it_takes_dead_letters_of(world: World) -> None:
    sqs = world.client("sqs", KENYA)
    refusal = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [refusal]})
    allow = json.dumps({"redrivePermission": "denyAll"})
    url = sqs.create_queue(QueueName="kept", Attributes={"Policy": policy, "RedriveAllowPolicy": allow})["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60"})
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert json.loads(found["Policy"]) == json.loads(policy)
    assert (found["RedriveAllowPolicy"], found["VisibilityTimeout"]) == (allow, "60")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MessageRetentionPeriod", "1209601"),
        ("MessageRetentionPeriod", "59"),
        ("VisibilityTimeout", "43201"),
        ("ReceiveMessageWaitTimeSeconds", "21"),
    ],
)
def test_what_sqs_refuses_of_a_queue_is_refused(world: World, name: str, value: str) -> None:
    with pytest.raises(ClientError, match="InvalidAttributeValue"):
        world.client("sqs", KENYA).create_queue(QueueName="refused", Attributes={name: value})
