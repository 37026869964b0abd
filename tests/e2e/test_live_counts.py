"""The real engine keeps what autoscaling chose: through previews, deployments and drift checks, and after a flip."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.supervisor import CHECKOUT, STATE_BUCKET, Sandbox
from scripts.pulumi_cli import PulumiCli

REGION = "eu-west-1"
STACK = "counts"
UNEXPECTED_CHANGES = 7  # the engine's exit code
PROGRAM = Path(__file__).with_name("live_counts_program.py")
PROJECT = f"""
name: live-counts
runtime:
  name: python
  options:
    virtualenv: {CHECKOUT / ".venv"}
"""


@dataclass
class Site:
    """A sandbox and a stack in it, whose state lies in S3 as the platform's does."""

    sandbox: Sandbox
    pulumi: PulumiCli

    def up(self, **config: str) -> str:
        for name, value in config.items():
            self.pulumi.set_plain(STACK, name, value)
        return self.pulumi.run("up", "--yes", "--skip-preview").output

    def preview(self) -> int:
        return self.pulumi.run("preview", "--expect-no-changes", check=False).code

    def drift(self) -> int:
        return self.pulumi.run("refresh", "--preview-only", "--expect-no-changes", check=False).code

    def load(self, tasks: int) -> None:
        self.sandbox.control("POST", "load", region=REGION, service="web", tasks=tasks)

    def count(self) -> int:
        cluster = "mental-health-platform-counts-cluster"
        services = client(self.sandbox, "ecs").describe_services(cluster=cluster, services=["web"])["services"]
        return int(services[0]["desiredCount"])


def client(sandbox: Sandbox, service: str) -> Any:
    endpoint = f"http://127.0.0.1:{sandbox.port}"
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="OPERATOR",
        aws_secret_access_key="fake",
    )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(PROGRAM, project / "__main__.py")
    (project / "Pulumi.yaml").write_text(PROJECT)
    with Sandbox(speed=600.0) as sandbox:
        # Not in files: the program reads its own stack's state while the engine writes it, and finds a file empty then.
        client(sandbox, "s3").create_bucket(
            Bucket=STATE_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        environment = {
            **sandbox.process_env(),
            "PULUMI_CONFIG_PASSPHRASE": "of-the-test",
        }
        site = Site(sandbox, PulumiCli(project, environment))
        site.pulumi.run("stack", "init", STACK)
        site.pulumi.set_plain(STACK, "checkout", str(CHECKOUT))
        site.pulumi.run("config", "set", "aws:region", REGION)
        yield site
        sandbox.check_alive()


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_counts_from_standby_through_the_flip_to_peak_load(site: Site) -> None:
    site.up(standby="true")
    assert site.count() == 0
    site.up(standby="false")
    assert site.count() == 2

    site.load(6)
    assert site.preview() == 0
    # The flip had to set the count, so the state holds it: reported until the next deployment, which sends nothing.
    assert site.drift() == UNEXPECTED_CHANGES
    assert "updated" not in site.up()
    assert site.count() == 6
    assert site.drift() == 0

    site.load(7)
    assert (site.preview(), site.drift()) == (0, 0)
    assert "1 updated" in site.up(release="2")
    assert site.count() == 7

    site.up(standby="true")
    assert site.count() == 0
