"""Task definitions complete in peace time, least privilege, counts by state, critical before standard."""

import json
from typing import Any

import botocore.session
import pytest
from botocore.model import StructureShape
from botocore.validate import ParamValidator

from components.task_roles import audio_policy, execution_policy
from components.workloads import enough_targets
from tests.components.examples import ROOT
from tests.components.recording import Recording
from tests.components.wiring import SPECS, Spec, Stack

SERVICE = "aws:ecs/service:Service"
DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"
STANDBY = Stack(standby=True)
SERVING = Stack(standby=False)


def container(recording: Recording, service: str) -> dict[str, Any]:
    containers = json.loads(recording.one(DEFINITION, f"services-{service}").inputs["containerDefinitions"])
    assert len(containers) == 1
    return dict(containers[0])


@pytest.mark.parametrize(("stack", "field"), [(STANDBY, "standby_count"), (SERVING, "desired_count")])
def test_counts_follow_the_flag(stack: Stack, field: str) -> None:
    recording = stack.recorded()
    for spec in SPECS:
        service = recording.one(SERVICE, f"services-{spec.name}")
        assert service.inputs["desiredCount"] == getattr(spec, field)
        # Ignored, a standby's count could not rise from zero on the flip.
        assert stack is SERVING or service.ignore_changes == ()


def test_task_definitions_are_the_same_before_and_after_the_flip() -> None:
    before = {item.name: item.inputs for item in STANDBY.recorded().of(DEFINITION)}
    after = {item.name: item.inputs for item in SERVING.recorded().of(DEFINITION)}
    assert before == after
    assert len(before) == 3


@pytest.mark.parametrize("page", ["first-deployment.md", "architecture.md"])
def test_what_the_health_check_runs_is_asked_of_images_in_the_guides(page: str) -> None:
    """ECS kills a task whose image lacks it, and only on a real account."""
    kind, command = container(STANDBY.recorded(), "api-gateway")["healthCheck"]["command"]
    assert kind == "CMD-SHELL", "runs in the container's own shell"
    program = command.split()[0]
    asked = [line for line in (ROOT / "docs" / page).read_text().splitlines() if "`/bin/sh`" in line]
    assert any(f"`{program}`" in line for line in asked), program


def test_container_is_pinned_confined_and_free_of_secret_values() -> None:
    definition = container(STANDBY.recorded(), "api-gateway")
    assert definition["image"].startswith("ghcr.io/mental-health-platform/api-gateway:1.4.2@sha256:")
    assert definition["repositoryCredentials"] == {"credentialsParameter": "arn:aws:secretsmanager:registry"}
    assert definition["readonlyRootFilesystem"] is True
    assert definition["user"] == "10001:10001"
    assert {item["name"]: item["valueFrom"] for item in definition["secrets"]} == {
        "DATABASE_HOST": "arn:aws:secretsmanager:api-gateway:host::",
        "DATABASE_NAME": "arn:aws:secretsmanager:api-gateway:dbname::",
        "DATABASE_PASSWORD": "arn:aws:secretsmanager:api-gateway:password::",
        "DATABASE_PORT": "arn:aws:secretsmanager:api-gateway:port::",
        "DATABASE_USER": "arn:aws:secretsmanager:api-gateway:username::",
        "SIGNING_KEY": "arn:aws:secretsmanager:signing",
    }
    names = {item["name"] for item in definition["environment"]}
    assert not names & {item["name"] for item in definition["secrets"]}
    assert {"CRISIS_DETECTION_URL", "AUDIO_BUCKET"} <= names


def test_container_definitions_have_the_shape_that_ecs_documents() -> None:
    shape = botocore.session.get_session().get_service_model("ecs").shape_for("ContainerDefinition")
    assert isinstance(shape, StructureShape)
    recording = STANDBY.recorded()
    for spec in SPECS:
        report = ParamValidator().validate(container(recording, spec.name), shape)
        assert not report.has_errors(), report.generate_report()
        assert set(container(recording, spec.name)) <= set(shape.members)


def test_fargate_services_with_circuit_breaker_in_private_subnets() -> None:
    recording = SERVING.recorded()
    for service in recording.of(SERVICE):
        assert service.inputs["launchType"] == "FARGATE"
        assert service.inputs["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
        assert service.inputs["networkConfiguration"]["assignPublicIp"] is False
        assert len(service.inputs["networkConfiguration"]["subnets"]) == 3
        assert "forceNewDeployment" not in service.inputs
    assert "loadBalancers" not in recording.one(SERVICE, "services-sync").inputs
    assert recording.one(SERVICE, "services-api-gateway").inputs["loadBalancers"] == [
        {
            "containerName": "api-gateway",
            "containerPort": 8081,
            "targetGroupArn": "arn:aws:load-balancer-api-gateway",
        }
    ]


def test_critical_services_wait_for_logins_way_out_rules_and_permissions() -> None:
    recording = SERVING.recorded()
    for name in ("crisis-detection", "api-gateway"):
        waits = recording.one(SERVICE, f"services-{name}").dependencies
        assert {"login", "network-private-a-default", "network-private-b-default", "network-private-c-default"} <= waits
        assert {"load-balancer-health", "load-balancer-crisis-detection", f"services-{name}-execution"} <= waits
        assert "services-sync" not in recording.waits_for(f"services-{name}")
        assert recording.one(SERVICE, f"services-{name}").inputs["waitForSteadyState"] is False


def test_standard_services_wait_for_the_takeover_and_for_steadiness() -> None:
    service = SERVING.recorded().one(SERVICE, "services-sync")
    assert {"takeover-witness", "takeover-marker"} <= service.dependencies
    assert service.inputs["waitForSteadyState"] is True
    assert not STANDBY.recorded().one(SERVICE, "services-sync").dependencies & {"takeover-witness", "takeover-marker"}


def test_services_are_made_before_those_that_call_them() -> None:
    for stack in (STANDBY, SERVING):
        recording = stack.recorded()
        for position, spec in enumerate(SPECS):
            callees = {"services-" + other.name for other in SPECS[:position]}
            assert callees <= recording.one(SERVICE, f"services-{spec.name}").dependencies
            told = {item["name"] for item in container(recording, spec.name)["environment"] if "_URL" in item["name"]}
            assert told == {f"{other.name.upper().replace('-', '_')}_URL" for other in SPECS[:position]}


def test_standard_services_do_not_wait_for_one_another() -> None:
    specs = (*SPECS, Spec("reports", False, None, desired_count=1))
    recording = Stack(standby=False, specs=specs).recorded()
    assert "services-sync" not in recording.waits_for("services-reports")
    assert "services-reports" not in recording.waits_for("services-sync")
    told = [item["name"] for item in container(recording, "reports")["environment"] if "_URL" in item["name"]]
    assert told == ["API_GATEWAY_URL", "CRISIS_DETECTION_URL"]


def test_execution_role_reads_only_the_services_own_secrets() -> None:
    recording = STANDBY.recorded()
    policy = recording.one("aws:iam/rolePolicy:RolePolicy", "services-sync-execution").inputs["policy"]
    statements = {statement["Sid"]: statement for statement in json.loads(policy)["Statement"]}
    assert statements["ReadSecrets"]["Resource"] == [
        "arn:aws:secretsmanager:registry",
        "arn:aws:secretsmanager:signing",
        "arn:aws:secretsmanager:sync",
    ]
    assert statements["WriteLog"]["Resource"] == ["arn:aws:services-sync:*"]


def test_only_services_with_recordings_are_told_of_the_bucket_and_may_touch_it() -> None:
    recording = STANDBY.recorded()
    allowed = {}
    for policy in recording.of("aws:iam/rolePolicy:RolePolicy"):
        if policy.inputs["name"] == "recordings":
            allowed[policy.name] = json.loads(policy.inputs["policy"])["Statement"][0]["Action"]
    assert allowed == {
        "services-crisis-detection-task": ["s3:GetObject"],
        "services-api-gateway-task": ["s3:GetObject", "s3:PutObject"],
    }
    assert "AUDIO_BUCKET" not in {item["name"] for item in container(recording, "sync")["environment"]}


def test_scratch_space_is_a_volume_beside_the_read_only_image() -> None:
    recording = STANDBY.recorded()
    with_scratch = recording.one(DEFINITION, "services-api-gateway")
    assert with_scratch.inputs["volumes"] == [{"name": "scratch"}]
    assert container(recording, "api-gateway")["mountPoints"] == [
        {"sourceVolume": "scratch", "containerPath": "/tmp", "readOnly": False}
    ]
    assert "volumes" not in recording.one(DEFINITION, "services-sync").inputs
    assert container(recording, "sync")["mountPoints"] == []


def test_policies_name_no_wildcard_action_or_resource() -> None:
    documents = [
        execution_policy({"secrets": ["a"], "key": "k", "logs": "l"}, "af-south-1"),
        audio_policy({"bucket": "b", "key": "k"}, ("s3:GetObject",), "af-south-1"),
    ]
    for document in documents:
        for statement in json.loads(document)["Statement"]:
            assert "*" not in statement["Resource"]
            assert not [action for action in statement["Action"] if "*" in action]
    reading = json.loads(documents[1])["Statement"]
    assert reading[1]["Action"] == ["kms:Decrypt"]


@pytest.mark.parametrize(("desired", "enough"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_half_of_the_tasks_are_enough_and_never_none(desired: int, enough: int) -> None:
    assert enough_targets(desired) == enough


def test_a_critical_service_with_no_task_can_never_take_over() -> None:
    with pytest.raises(ValueError, match="at least one task"):
        enough_targets(0)
