"""A sandbox in which a person works by hand, typing what `dr sandbox start` says. Minutes."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import sandbox as task
from tests import template_lint
from tests.e2e.commands import KENYA, SOUTH_AFRICA, changed_files, dr, pulumi

SPEED_BY_HAND = "60"
BY_HAND_SECONDS = 900
# What a standby asks AWS for as well as a serving stack, among others.
EXPORTED = {
    "AWS::ECS::Cluster",
    "AWS::ECS::Service",
    "AWS::ECS::TaskDefinition",
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::ListenerRule",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::ElasticLoadBalancingV2::TargetGroup",
    "AWS::IAM::Role",
    "AWS::IAM::RolePolicy",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Lambda::Function",
    "AWS::RDS::DBParameterGroup",
    "AWS::RDS::DBSubnetGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
}
# What only a serving stack asks for.
SERVING = {"AWS::RDS::DBInstance", "AWS::ElastiCache::ReplicationGroup"}

# A checkout has one sandbox for work by hand.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("by hand")]


def wait_for_a_copy(seconds: float = 120) -> None:
    """Until `dr sandbox status` shows a copy that a promotion could restore."""
    deadline = time.monotonic() + seconds
    while not json.loads(dr("sandbox", "status", "--json").stdout)["copies"]:
        assert time.monotonic() < deadline, "no copy came"
        time.sleep(1)


def judged_by_cfn_lint(stack: str, region: str, required: set[str]) -> None:
    """What a stack asked AWS for, judged in its own region by somebody who does not know this project."""
    told = dr("sandbox", "export", "-s", stack)
    assert told.returncode == 0, told.stderr
    template = json.loads(told.stdout)
    kinds = {resource["Type"] for resource in template["Resources"].values()}
    assert kinds >= required, required - kinds
    assert template_lint.findings(template, region) == []
    assert "password=" not in told.stdout
    # And it does look: the same template with a fault that AWS would refuse.
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::RDS::DBInstance":
            resource["Properties"]["BackupRetentionPeriod"] = 40
            assert any("40" in finding for finding in template_lint.findings(template, region))


@pytest.fixture
def sandbox() -> Iterator[dict[str, str]]:
    """A running sandbox; its environment as a shell gets it from `eval "$(dr sandbox env)"`."""
    if task.find() is not None:
        pytest.fail("A sandbox is running in this checkout already: stop it first (`dr sandbox stop`).")
    started = dr("sandbox", "start", "--speed", SPEED_BY_HAND, seconds=240)
    try:
        assert started.returncode == 0, started.stderr[-4000:]
        lines = dr("sandbox", "env").stdout
        shell = subprocess.run(
            ["sh", "-c", f"{lines}\nenv -0; pwd"], capture_output=True, text=True, check=True, env=dict(os.environ)
        )
        *variables, directory = shell.stdout.split("\0")
        yield {**dict(entry.split("=", 1) for entry in variables), "PWD": directory.strip()}
    finally:
        stopped = dr("sandbox", "stop")
    assert stopped.returncode == 0, stopped.stderr


@pytest.mark.timeout(BY_HAND_SECONDS)
def test_a_person_works_in_a_sandbox(sandbox: dict[str, str]) -> None:
    files = changed_files()
    status = json.loads(dr("sandbox", "status", "--json").stdout)
    assert (status["running"], status["cloud"]["healthy"], status["cloud"]["cut"]) == (True, True, [])

    second = dr("sandbox", "start")
    assert second.returncode == 3
    assert "running already" in second.stderr
    refused = dr("sandbox", "cut", "us-east-1")
    assert refused.returncode == 3
    assert f"allowed: {SOUTH_AFRICA}, {KENYA}" in " ".join(refused.stderr.split())

    assert Path(sandbox["PWD"]) == Path(status["directory"]) / "project"
    # A wrong value is refused in one message, before anything of AWS is registered.
    assert pulumi(sandbox, "config", "set", "standby", "perhaps", "--stack", "south-africa").returncode == 0
    refused = pulumi(sandbox, "up", "--yes", "--stack", "south-africa")
    assert refused.returncode != 0
    assert "Pulumi.south-africa.yaml: mental-health-platform:standby = perhaps" in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr
    assert "aws:" not in refused.stdout
    # And so is a promotion without a copy to restore.
    assert pulumi(sandbox, "config", "set", "standby", "false", "--stack", "south-africa").returncode == 0
    refused = pulumi(sandbox, "up", "--yes", "--stack", "south-africa")
    assert refused.returncode != 0
    assert "No usable copy of the database of kenya exists in af-south-1" in refused.stdout
    assert "aws:" not in refused.stdout

    # What `dr sandbox start` says to type next, in its order.
    assert pulumi(sandbox, "config", "set", "standby", "true", "--stack", "south-africa").returncode == 0
    for stack in ("south-africa", "kenya"):
        deployed = pulumi(sandbox, "up", "--yes", "--stack", stack)
        assert deployed.returncode == 0, deployed.stdout[-4000:] + deployed.stderr[-1000:]
    judged_by_cfn_lint("south-africa", SOUTH_AFRICA, EXPORTED)
    judged_by_cfn_lint("kenya", KENYA, EXPORTED | SERVING)
    wait_for_a_copy()
    assert dr("sandbox", "cut", KENYA).returncode == 0
    assert KENYA in dr("sandbox", "status").stdout
    assert pulumi(sandbox, "config", "set", "standby", "false", "--stack", "south-africa").returncode == 0
    promoted = pulumi(sandbox, "up", "--yes", "--stack", "south-africa")
    assert promoted.returncode == 0, promoted.stdout[-4000:] + promoted.stderr[-1000:]
    assert "mental-health-platform-sa-rds" in promoted.stdout
    judged_by_cfn_lint("south-africa", SOUTH_AFRICA, EXPORTED | SERVING)
    # Back is not possible by the flag, also with the stack file of before.
    assert pulumi(sandbox, "config", "set", "standby", "true", "--stack", "south-africa").returncode == 0
    refused = pulumi(sandbox, "up", "--yes", "--stack", "south-africa")
    assert refused.returncode != 0
    assert "cannot go back to standby by this flag" in refused.stdout
    assert dr("sandbox", "restore", KENYA).returncode == 0
    assert json.loads(dr("sandbox", "status", "--json").stdout)["cloud"]["cut"] == []
    assert changed_files() == files

    assert dr("sandbox", "stop").returncode == 0
    assert not Path(status["directory"]).exists()
    assert json.loads(dr("sandbox", "status", "--json").stdout) == {"running": False}
