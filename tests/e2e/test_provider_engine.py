"""The real engine drives the provider through every resource type: deploy, drift, repair, change, destroy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sandbox.provider.tables import TABLE
from sandbox.supervisor import CHECKOUT, Sandbox
from scripts.pulumi_cli import EngineEvent, Outcome, PulumiCli
from tests.e2e.by_hand import CREATE_ONLY, change_one_of_each_type

REGION = "eu-west-1"
UNEXPECTED_CHANGES = 7  # the engine's exit code
PASSWORD = "correct-horse-battery"  # in the program a secret
PROGRAM = Path(__file__).with_name("every_type_program.py")
PROJECT = f"""
name: every-type
runtime:
  name: python
  options:
    virtualenv: {CHECKOUT / ".venv"}
"""


@dataclass
class Site:
    """A sandbox and a stack in it, on a state in files."""

    sandbox: Sandbox
    pulumi: PulumiCli

    def aws(self, service: str) -> Any:
        """A boto3 client, past the engine."""
        return boto3.client(
            service,  # type: ignore[call-overload]
            region_name=REGION,
            endpoint_url=f"http://127.0.0.1:{self.sandbox.port}",
            aws_access_key_id="OPERATOR",
            aws_secret_access_key="fake",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def resources(self) -> list[dict[str, Any]]:
        """The resources of the package `aws` in the state."""
        state = json.loads(self.pulumi.run("stack", "export").stdout)
        return [item for item in state["deployment"].get("resources", []) if item["type"].startswith("aws:")]

    def preview(self, *more: str) -> Outcome:
        return self.pulumi.run("preview", "--expect-no-changes", "--diff", *more, check=False)

    def drift(self) -> tuple[Outcome, dict[str, set[str]]]:
        """How a look for drift ends, and the inputs of each resource that it reports as changed, by URN."""
        reported: dict[str, set[str]] = {}

        def note(_: float, event: EngineEvent) -> None:
            step = event.get("resOutputsEvent", {}).get("metadata", {})
            if step.get("op") == "update":
                reported[step["urn"]] = set(step["detailedDiff"])

        log = self.pulumi.directory / "events.json"
        look = ("refresh", "--preview-only", "--expect-no-changes", "--diff")
        return self.pulumi.watch(*look, log=log, on_event=note, check=False), reported


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    project, state = tmp_path / "project", tmp_path / "state"
    project.mkdir()
    state.mkdir()
    shutil.copy(PROGRAM, project / "__main__.py")
    (project / "Pulumi.yaml").write_text(PROJECT)
    with Sandbox(speed=600.0) as sandbox:
        environment = {
            **sandbox.process_env(),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "of-the-test",
        }
        site = Site(sandbox, PulumiCli(project, environment))
        zone = site.aws("route53").create_hosted_zone(Name="example.org", CallerReference="test")
        site.pulumi.run("stack", "init", "every-type")
        site.pulumi.run("config", "set", "aws:region", REGION)
        site.pulumi.set_plain("every-type", "zone", zone["HostedZone"]["Id"].rpartition("/")[2])
        site.pulumi.set_secret("every-type", "password", PASSWORD)
        yield site
        sandbox.check_alive()


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_engine_with_every_type(site: Site) -> None:
    site.pulumi.run("up", "--yes", "--skip-preview")
    _check_state(site)
    for outcome in (site.preview(), site.drift()[0]):
        assert outcome.code == 0, outcome.output

    changed = _change_behind_its_back(site)
    drift, reported = site.drift()
    assert drift.code == UNEXPECTED_CHANGES, drift.output
    assert "aws:cloudwatch/logGroup:LogGroup: (delete)" in drift.output
    assert reported == changed
    site.pulumi.run("up", "--yes", "--skip-preview", "--refresh")

    site.pulumi.set_plain("every-type", "later", "true")
    later = site.pulumi.run("up", "--yes", "--skip-preview")
    assert "+-1 replaced" in later.output, later.tail()  # the call
    assert "~ 5 updated" in later.output, later.tail()
    assert json.loads(site.pulumi.run("stack", "output", "said").stdout) == {"said": {"count": 2}}
    preview = site.preview("--refresh")
    assert preview.code == 0, preview.output

    site.pulumi.run("destroy", "--yes", "--skip-preview")
    assert site.resources() == []
    _check_nothing_left(site)


def _check_state(site: Site) -> None:
    resources = site.resources()
    assert sorted({item["type"] for item in resources}) == sorted(TABLE)
    text = json.dumps(resources)
    assert PASSWORD not in text
    stored = {item["type"]: item for item in resources}
    for token, name in (
        ("aws:rds/instance:Instance", "password"),
        ("aws:elasticache/replicationGroup:ReplicationGroup", "authToken"),
        ("aws:secretsmanager/secretVersion:SecretVersion", "secretString"),
    ):
        for part in ("inputs", "outputs"):
            assert "ciphertext" in stored[token][part][name]


def _change_behind_its_back(site: Site) -> dict[str, set[str]]:
    """One resource of each type that can be changed, by URN with its inputs; another one is deleted."""
    site.aws("logs").delete_log_group(logGroupName="/every-type/web")
    resources = site.resources()
    changed = change_one_of_each_type(site.sandbox.provider_port, REGION, resources)
    assert {urn.split("::")[2] for urn in changed} | CREATE_ONLY == set(TABLE)
    return changed


def _check_nothing_left(site: Site) -> None:
    """Asked past the provider, service by service."""
    tagged = [{"Name": "tag:Owner", "Values": ["every-type"]}]
    ec2 = site.aws("ec2")
    assert ec2.describe_vpcs(Filters=tagged)["Vpcs"] == []
    assert ec2.describe_addresses(Filters=tagged)["Addresses"] == []
    assert site.aws("rds").describe_db_instances()["DBInstances"] == []
    assert site.aws("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert site.aws("s3").list_buckets()["Buckets"] == []
    assert site.aws("lambda").list_functions()["Functions"] == []
    assert site.aws("scheduler").list_schedules()["Schedules"] == []
    assert [role for role in site.aws("iam").list_roles()["Roles"] if role["RoleName"].startswith("every-type")] == []
    assert site.aws("ecs").list_services(cluster="every-type")["serviceArns"] == []
