"""From recorded requests to a CloudFormation template, and what cfn-lint says of a wrong one."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.template import build
from scripts.template.kinds import KINDS
from scripts.template.schema import Unmatched, schema
from tests import template_lint

REGION = "af-south-1"
DATABASE: dict[str, Any] = {
    "DBInstanceIdentifier": "main",
    "Engine": "postgres",
    "EngineVersion": "17.6",
    "DBInstanceClass": "db.t4g.medium",
    "AllocatedStorage": 20,
    "StorageType": "gp3",
    "StorageEncrypted": True,
    "MasterUsername": "platform",
    "MasterUserPassword": "(masked)",
    "BackupRetentionPeriod": 7,
    "EnableCloudwatchLogsExports": ["postgresql"],
}


def entry(
    service: str, operation: str, answer: dict[str, Any] | None = None, region: str = REGION, **given: Any
) -> dict[str, Any]:
    return {
        "t": 1.0,
        "region": region,
        "service": service,
        "operation": operation,
        "parameters": given,
        "answer": answer or {},
    }


def resources(*entries: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = build.template(entries, "south-africa", REGION)["Resources"]
    return found


def one(*entries: dict[str, Any]) -> dict[str, Any]:
    [found] = resources(*entries).values()
    properties: dict[str, Any] = found["Properties"]
    return properties


def test_a_resource_is_as_the_last_request_left_it() -> None:
    exports = {"EnableLogTypes": ["upgrade"], "DisableLogTypes": ["postgresql"]}
    found = one(
        entry("rds", "CreateDBInstance", **DATABASE),
        entry("rds", "ModifyDBInstance", DBInstanceIdentifier="main", BackupRetentionPeriod=14, MultiAZ=True),
        entry("rds", "ModifyDBInstance", DBInstanceIdentifier="main", CloudwatchLogsExportConfiguration=exports),
    )
    assert (found["BackupRetentionPeriod"], found["MultiAZ"], found["AllocatedStorage"]) == (14, True, "20")
    assert found["EnableCloudwatchLogsExports"] == ["upgrade"]
    assert found["MasterUserPassword"] == "{{resolve:secretsmanager:masked}}"


def test_what_was_deleted_is_not_there() -> None:
    assert resources(entry("rds", "CreateDBInstance", **DATABASE), entry("rds", "DeleteDBInstance", **DATABASE)) == {}


def test_an_identifier_that_aws_chose_is_followed() -> None:
    arn = "arn:aws:elasticloadbalancing:af-south-1:123456789012:loadbalancer/app/front/1"
    attributes = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    found = one(
        entry("elbv2", "CreateLoadBalancer", {"LoadBalancers": [{"LoadBalancerArn": arn}]}, Name="front"),
        entry("elbv2", "ModifyLoadBalancerAttributes", LoadBalancerArn=arn, Attributes=attributes),
    )
    assert found == {"Name": "front", "LoadBalancerAttributes": attributes}


def test_attributes_that_travel_as_text_have_their_types_again() -> None:
    url: dict[str, Any] = {"QueueUrl": "https://sqs.example.org/q"}
    redrive = '{"deadLetterTargetArn": "arn:aws:sqs:af-south-1:123456789012:dead", "maxReceiveCount": 3}'
    found = one(
        entry("sqs", "CreateQueue", url, QueueName="q", Attributes={"MessageRetentionPeriod": "1209600"}),
        entry("sqs", "SetQueueAttributes", **url, Attributes={"RedrivePolicy": redrive}),
    )
    assert (found["MessageRetentionPeriod"], found["RedrivePolicy"]["maxReceiveCount"]) == (1209600, 3)


def test_what_a_stack_made_elsewhere_is_known_by_its_tag() -> None:
    tags = [{"Key": "Stack", "Value": "south-africa"}]
    trust, policy = '{"Statement": []}', '{"Statement": []}'
    found = resources(
        entry("iam", "CreateRole", region="us-east-1", RoleName="own", AssumeRolePolicyDocument=trust, Tags=tags),
        entry("iam", "PutRolePolicy", region="us-east-1", RoleName="own", PolicyName="p", PolicyDocument=policy),
        entry("iam", "CreateRole", region="us-east-1", RoleName="peer", AssumeRolePolicyDocument=trust, Tags=[
            {"Key": "Stack", "Value": "kenya"}]),
    )  # fmt: skip
    assert sorted(resource["Type"] for resource in found.values()) == ["AWS::IAM::Role", "AWS::IAM::RolePolicy"]


def test_one_name_in_two_regions_is_two_resources() -> None:
    tags = [{"Key": "Stack", "Value": "south-africa"}]
    found = resources(
        *(
            entry(
                "sns",
                "CreateTopic",
                {"TopicArn": f"arn:aws:sns:{region}:123456789012:on-call"},
                region=region,
                Name="on-call",
                Tags=tags,
            )
            for region in (REGION, "us-east-1")
        )
    )
    assert sorted(found) == ["TopicOnCall", "TopicOnCallInUsEast1"]


def test_an_unknown_operation_is_an_error() -> None:
    with pytest.raises(build.UnknownRequest, match="rds:CreateBlueGreenDeployment"):
        resources(entry("rds", "CreateBlueGreenDeployment"))


def test_a_member_without_a_property_is_an_error() -> None:
    with pytest.raises(Unmatched, match=r"AWS::KMS::Alias\.Colour"):
        resources(entry("kms", "CreateAlias", AliasName="alias/x", TargetKeyId="k", Colour="red"))


@pytest.mark.parametrize("region", ["eu-west-1", "af-south-1"])
def test_every_kind_exists_in_the_stacks_regions(region: str) -> None:
    assert all(schema(kind.type, region) for kind in KINDS)


def test_the_exceptions_are_few_and_explained() -> None:
    assert len(template_lint.EXCEPTIONS) <= 5
    assert all(template_lint.EXCEPTIONS.values())


def test_a_sound_database_is_clean_and_one_that_keeps_backups_for_40_days_is_not() -> None:
    sound = build.template([entry("rds", "CreateDBInstance", **DATABASE)], "south-africa", REGION)
    assert template_lint.findings(sound, REGION) == []
    wrong = build.template(
        [
            entry("rds", "CreateDBInstance", **DATABASE),
            entry("rds", "ModifyDBInstance", DBInstanceIdentifier="main", BackupRetentionPeriod=40),
        ],
        "south-africa",
        REGION,
    )
    [found] = template_lint.findings(wrong, REGION)
    assert "BackupRetentionPeriod: 40 is greater than the maximum of 35" in found
