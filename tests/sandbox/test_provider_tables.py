"""The provider's table by itself: what the program uses is in it, what it says agrees with independent witnesses."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pulumi_aws
import pytest
from pulumi import _types

from sandbox.provider import planning
from sandbox.provider.model import model
from sandbox.provider.table import Field
from sandbox.provider.tables import TABLE
from sandbox.provider.wire import UNKNOWN

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = [CHECKOUT / "__main__.py", *sorted((CHECKOUT / "components").rglob("*.py"))]

# CloudFormation's name of a type, where it is not the Pulumi name in the service's namespace.
SERVICES: Final = {
    "acm": "CertificateManager",
    "appautoscaling": "ApplicationAutoScaling",
    "cloudwatch": "Logs",
    "ec2": "EC2",
    "ecs": "ECS",
    "elasticache": "ElastiCache",
    "iam": "IAM",
    "kms": "KMS",
    "lambda": "Lambda",
    "lb": "ElasticLoadBalancingV2",
    "rds": "RDS",
    "route53": "Route53",
    "s3": "S3",
    "scheduler": "Scheduler",
    "secretsmanager": "SecretsManager",
    "servicediscovery": "ServiceDiscovery",
    "sns": "SNS",
    "sqs": "SQS",
    "vpc": "EC2",
}
RENAMED: Final = {
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": "AWS::CloudWatch::CompositeAlarm",
    "aws:cloudwatch/dashboard:Dashboard": "AWS::CloudWatch::Dashboard",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "AWS::CloudWatch::Alarm",
    "aws:appautoscaling/policy:Policy": "AWS::ApplicationAutoScaling::ScalingPolicy",
    "aws:appautoscaling/target:Target": "AWS::ApplicationAutoScaling::ScalableTarget",
    "aws:ec2/eip:Eip": "AWS::EC2::EIP",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "AWS::EC2::SubnetRouteTableAssociation",
    "aws:ec2/vpc:Vpc": "AWS::EC2::VPC",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "AWS::EC2::VPCEndpoint",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": "AWS::Lambda::EventInvokeConfig",
    "aws:rds/instance:Instance": "AWS::RDS::DBInstance",
    "aws:rds/parameterGroup:ParameterGroup": "AWS::RDS::DBParameterGroup",
    "aws:rds/subnetGroup:SubnetGroup": "AWS::RDS::DBSubnetGroup",
    "aws:route53/record:Record": "AWS::Route53::RecordSet",
    "aws:sns/topicSubscription:TopicSubscription": "AWS::SNS::Subscription",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "AWS::EC2::SecurityGroupEgress",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "AWS::EC2::SecurityGroupIngress",
}
# Properties of another resource in CloudFormation, or no resource at all.
WITHOUT_SCHEMA: Final = {
    "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication",
    "aws:acm/certificateValidation:CertificateValidation",
    "aws:lambda/invocation:Invocation",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketLogging:BucketLogging",
    "aws:s3/bucketObjectv2:BucketObjectv2",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:s3/inventory:Inventory",
    "aws:secretsmanager/secretVersion:SecretVersion",
}
# Where the plugin (Terraform AWS provider, schema of the resource) knows another way than CloudFormation.
DISAGREEMENTS: Final = {
    "aws:acm/certificate:Certificate": {"validationMethod"},
    "aws:ec2/eip:Eip": {"domain"},
    "aws:ecs/service:Service": {"launchType", "name"},  # CloudFormation replaces by itself
    "aws:elasticache/parameterGroup:ParameterGroup": {"description", "name"},  # no call changes them
    "aws:kms/key:Key": {"keyUsage", "multiRegion"},  # CloudFormation refuses a change
    "aws:rds/instance:Instance": {"availabilityZone", "dbSubnetGroupName", "engine", "identifier"},
    "aws:route53/record:Record": {"name", "setIdentifier", "type"},
    "aws:scheduler/schedule:Schedule": {"groupName"},
    "aws:servicediscovery/httpNamespace:HttpNamespace": {"description"},
    # A rule is a resource of its own to the plugin; CloudFormation only knows permissions, which are replaced.
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": {"fromPort", "ipProtocol", "toPort"},
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {"fromPort", "ipProtocol", "toPort"},
}


# -- against the SDK --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("token", sorted(TABLE))
def test_the_sdk_knows_every_name(token: str) -> None:
    sdk, entry = model(token), TABLE[token]
    assert {field.name for field in entry.inputs} <= sdk.inputs
    assert {field.name for field in entry.outputs} - sdk.outputs == set()
    assert sdk.required | set(entry.required) <= {field.name for field in entry.inputs}
    nested = _types.input_type_types(sdk.arguments)
    for field in entry.inputs:
        _check_block(field, nested[field.name])


def _check_block(field: Field, kind: Any) -> None:
    classes = list(_classes(kind))
    assert bool(field.block) <= bool(classes), f"{field.name} is no object"
    for cls in classes if field.block else []:
        parts = _types.input_type_types(cls)
        for part in field.block:
            assert part.name in parts, f"{field.name} has no {part.name}"
            _check_block(part, parts[part.name])


def _classes(kind: Any) -> Iterator[type]:
    """The SDK's argument classes inside a type such as Sequence[Input[XArgs]]."""
    if isinstance(kind, type) and _types.is_input_type(kind):
        yield kind
    for inner in getattr(kind, "__args__", ()):
        yield from _classes(inner)


# -- against itself ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("token", sorted(TABLE))
def test_every_change_of_an_input_has_a_consequence(token: str) -> None:
    """An input is create-only, or belongs to an update, or is an instruction to the provider that AWS never sees."""
    entry = TABLE[token]
    updated = {name for step in entry.updates for name in step.fields}
    ineffective = {field.name for field in entry.inputs if not field.replace and field.name not in updated}
    instructions = {field.name for field in entry.inputs if field.read is None}
    refused_otherwise = {"port"} if token == "aws:rds/instance:Instance" else set()
    assert ineffective <= instructions | refused_otherwise
    assert updated <= {field.name for field in entry.inputs}


# -- against CloudFormation's schemas, as cfn-lint carries them -------------------------------------------------------
@pytest.mark.parametrize("token", sorted(TABLE))
def test_replacement_agrees_with_cloudformation(token: str) -> None:
    schema = _schema(token)
    if schema is None:
        assert token in WITHOUT_SCHEMA
        return
    known = {name.lower() for name in schema["properties"]}
    create_only = {path.rsplit("/", 1)[-1].lower() for path in schema.get("createOnlyProperties", [])}
    differing = set()
    for field in TABLE[token].inputs:
        names = {name.lower() for name in (field.name, field.aws.rpartition(".")[2])} & known
        if any((name in create_only) != field.replace for name in names):
            differing.add(field.name)
    assert differing == DISAGREEMENTS.get(token, set())


def _schema(token: str) -> dict[str, Any] | None:
    _, module, name = token.split(":")
    title = RENAMED.get(token, f"AWS::{SERVICES[module.split('/')[0]]}::{name}")
    file = _schema_files().get(title)
    if file is None:
        return None
    found: dict[str, Any] = json.loads((files("cfnlint.data.schemas.resources") / f"{file}.json").read_text())
    return found


@cache
def _schema_files() -> dict[str, str]:
    found: dict[str, str] = json.loads((files("cfnlint.data.schemas.providers") / "us-east-1.json").read_text())
    return found


# -- against the program ----------------------------------------------------------------------------------------------
def _calls() -> list[tuple[str, str, tuple[str, ...]]]:
    """(place, class as written, keyword arguments) of every `aws.…(…)` in the program."""
    result = []
    for path in PROGRAM:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("aws."):
                keywords = tuple(keyword.arg for keyword in node.keywords if keyword.arg is not None)
                result.append((f"{path.name}:{node.lineno}", ast.unparse(node.func).removeprefix("aws."), keywords))
    return result


def _parts() -> dict[type, set[str]]:
    """What the table models of each of the SDK's nested argument classes."""
    result: dict[type, set[str]] = {}

    def collect(entries: Iterable[Field], kinds: Mapping[str, Any]) -> None:
        for field in entries:
            for cls in _classes(kinds[field.name]) if field.block else ():
                result.setdefault(cls, set()).update(part.name for part in field.block)
                collect(field.block, _types.input_type_types(cls))

    for token, entry in TABLE.items():
        collect(entry.inputs, _types.input_type_types(model(token).arguments))
    return result


def test_the_program_is_modelled_with_every_argument() -> None:
    parts, calls = _parts(), _calls()
    assert len(calls) > 60, "the program's resources were not found"
    missing = []
    for place, written, keywords in calls:
        folder, _, name = written.partition(".")
        cls = getattr(getattr(pulumi_aws, folder), name)
        if issubclass(cls, pulumi_aws.Provider):
            continue
        known, names = _modelled(cls, parts)
        missing += [f"{place}: {written}({word}=…)" for word in keywords if names.get(word, word) not in known]
    assert missing == []


def test_the_table_holds_nothing_that_the_program_does_not_use() -> None:
    """The sandbox stays smaller than the product: what is not used is not kept."""
    written = {name for _, name, _ in _calls()}
    used = {token for token in TABLE if _class_name(token) in written}
    assert sorted(TABLE) == sorted(used)


def _class_name(token: str) -> str:
    """A type as the program writes it: `lambda_.Function`."""
    _, module, name = token.split(":")
    folder = module.split("/")[0]
    return f"{'lambda_' if folder == 'lambda' else folder}.{name}"


def _modelled(cls: Any, parts: Mapping[type, set[str]]) -> tuple[set[str], dict[str, str]]:
    """Names that the table has for a class, and the SDK's translation of Python names."""
    if _types.is_input_type(cls):
        return parts.get(cls, set()), _types.input_type_py_to_pulumi_names(cls)
    entry = TABLE.get(cls.pulumi_type)
    if entry is None:
        return set(), {}
    known = {field.name for field in entry.inputs} | {"opts", "region"} | ({"tags"} if entry.tags else set())
    return known, _types.input_type_py_to_pulumi_names(model(entry.token).arguments)


# -- refusals ---------------------------------------------------------------------------------------------------------
def _refusals(token: str, **inputs: Any) -> list[str]:
    return [f"{name}: {reason}" for name, reason in planning.refusals(TABLE[token], model(token), inputs)]


SUBNET = "aws:ec2/subnet:Subnet"
PLACED: Final = {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24"}


def test_a_complete_resource_is_accepted() -> None:
    assert _refusals(SUBNET, **PLACED, tags={"Name": "x"}, region="eu-west-1") == []


def test_a_misspelt_input_is_refused() -> None:
    assert _refusals(SUBNET, **PLACED, cidr="x") == [f"cidr: {SUBNET} has no input 'cidr' in pulumi_aws"]


def test_an_input_that_the_sdk_has_and_the_table_has_not_is_refused_with_the_way_out() -> None:
    (refusal,) = _refusals(SUBNET, **PLACED, ipv6CidrBlock="x")
    assert "does not model the input 'ipv6CidrBlock'" in refusal
    assert "sandbox/provider/tables" in refusal


def test_an_unmodelled_input_inside_an_object_is_refused_by_its_path() -> None:
    action = {"type": "forward", "authenticateOidc": {"issuer": "x"}}
    refusals = _refusals(
        "aws:lb/listener:Listener", loadBalancerArn="arn", port=80, protocol="HTTP", defaultActions=[action]
    )
    assert len(refusals) == 1
    assert "'defaultActions.authenticateOidc'" in refusals[0]


def test_a_missing_required_input_is_refused() -> None:
    assert _refusals(SUBNET, cidrBlock="10.0.0.0/24") == [
        f"vpcId: {SUBNET} needs the input 'vpcId': give it in the program"
    ]


def test_an_input_that_is_not_known_yet_counts_as_given() -> None:
    assert _refusals(SUBNET, **{**PLACED, "vpcId": UNKNOWN}) == []


def test_a_rule_across_inputs_waits_until_all_are_known() -> None:
    """In a preview the NAT gateway that a route leads to has no id yet."""
    route = {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"}
    assert _refusals("aws:ec2/route:Route", **route, natGatewayId=UNKNOWN) == []
    assert len(_refusals("aws:ec2/route:Route", **route)) == 1


def test_a_generated_physical_name_is_refused() -> None:
    (refusal,) = _refusals("aws:iam/role:Role", assumeRolePolicy="{}")
    assert "name it in the program" in refusal


def test_tags_on_what_has_none_are_refused() -> None:
    (refusal,) = _refusals("aws:kms/alias:Alias", name="alias/x", targetKeyId="x", tags={"a": "b"})
    assert "'tags'" in refusal


METRIC_ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
JUDGED: Final = {"name": "alarm", "comparisonOperator": "GreaterThanThreshold", "evaluationPeriods": 1}


@pytest.mark.parametrize(
    ("token", "inputs", "reason"),
    [
        ("aws:lambda/invocation:Invocation", {"functionName": "f", "input": "{"}, "must be JSON"),
        (
            "aws:lambda/invocation:Invocation",
            {"functionName": "f", "input": "{}", "lifecycleScope": "CRUD"},
            "only CREATE_ONLY is modelled",
        ),
        (
            "aws:rds/instance:Instance",
            {"identifier": "x", "instanceClass": "db.t4g.medium", "backupRetentionPeriod": 40},
            "0 to 35 days",
        ),
        (
            "aws:rds/instance:Instance",
            {"identifier": "x", "instanceClass": "db.t4g.medium", "port": 5433},
            "only the port 5432",
        ),
        (
            "aws:rds/instance:Instance",
            {"identifier": "x", "instanceClass": "db.t4g.medium", "replicateSourceDb": "y", "dbName": "z"},
            "dbName cannot be specified for a replica",
        ),
        ("aws:ec2/route:Route", {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"}, "needs one of"),
        (METRIC_ALARM, {**JUDGED}, "either a metric or metric queries"),
        (METRIC_ALARM, {**JUDGED, "metricName": "Errors"}, "either a statistic or an extended statistic"),
        (METRIC_ALARM, {**JUDGED, "metricQueries": [{"id": "a"}, {"id": "b"}]}, "exactly one metric query"),
        (
            METRIC_ALARM,
            {**JUDGED, "metricName": "Errors", "statistic": "Sum", "period": 1800, "evaluationPeriods": 49},
            "looks back one day",
        ),
        (
            "aws:route53/record:Record",
            {"zoneId": "Z", "name": "x", "type": "A", "records": ["192.0.2.1"]},
            "needs a ttl",
        ),
        (
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            {"securityGroupId": "sg", "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0", "referencedSecurityGroupId": "sg"},
            "takes one of",
        ),
        (
            "aws:lb/listenerRule:ListenerRule",
            {
                "listenerArn": "arn",
                "priority": 1,
                "conditions": [],
                "actions": [{"type": "fixed-response", "fixedResponse": {"messageBody": "é" * 513}}],
            },
            "holds 1024 bytes, this one has 1026",
        ),
    ],
)
def test_what_aws_would_refuse_is_refused_in_the_preview(token: str, inputs: dict[str, Any], reason: str) -> None:
    (refusal,) = _refusals(token, **inputs)
    assert reason in refusal
