"""What the tasks read from the configuration files, and how faults in them are told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts import project
from scripts.errors import RefusedError

FILES = ("Pulumi.yaml", "Pulumi.kenya.yaml", "Pulumi.south-africa.yaml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in FILES:
        shutil.copy2(project.CHECKOUT / name, tmp_path / name)
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_both_stacks_with_what_they_share(checkout: Path) -> None:
    found = project.load(checkout)
    assert (found.standby.stack, found.standby.region) == ("south-africa", "af-south-1")
    assert (found.primary.stack, found.primary.region) == ("kenya", "eu-west-1")
    assert found.stacks == (found.standby, found.primary)
    assert found.public_name == "platform.example.org"
    assert found.standby.zone == "example.org"  # from the project's defaults
    assert found.standby.dns_role == "secondary"  # completed by the stack's own file
    assert found.standby.database == "mental-health-platform-sa-rds"
    assert found.state_bucket == "mental-health-platform-state-123456789012"
    assert found.secrets_provider == "awskms://alias/mental-health-platform-state?region=af-south-1"


def test_services_and_the_crisis_page(checkout: Path) -> None:
    standby = project.load(checkout).standby
    assert [(service.name, service.critical) for service in standby.services] == [
        ("crisis-detection", True),
        ("api-gateway", True),
        ("sync", False),
        ("audio-processing", False),
        ("notifications", False),
    ]
    assert len(standby.phone_numbers) == 3
    assert standby.crisis_text.startswith("The service is unavailable")


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("Pulumi.kenya.yaml", "shortName: kenya", "nickName: kenya", "Pulumi.kenya.yaml: shortName is missing"),
        ("Pulumi.kenya.yaml", "role: primary", "role: secondary", "exactly one stack must have dns.role primary"),
        ("Pulumi.kenya.yaml", "config:", "config: [", "Pulumi.kenya.yaml, line 4: expected"),
        ("Pulumi.yaml", "phoneLines", "lines", "crisis.phoneLines is missing"),
        ("Pulumi.yaml", "digest:", "hash:", r"Pulumi.kenya.yaml: services\[0\]: digest is missing"),
    ],
)
def test_a_fault_is_told_with_file_and_key(checkout: Path, file: str, old: str, new: str, told: str) -> None:
    change(checkout / file, old, new)
    with pytest.raises(RefusedError, match=told):
        project.load(checkout)


def test_another_folder_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="run this in a checkout of the project"):
        project.load(tmp_path)
