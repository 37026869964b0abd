"""The peer of deployments: a program without a resource, with the same engine, environment, state and secrets key."""

from __future__ import annotations

from pathlib import Path

from scripts.project import Project
from scripts.pulumi_cli import PulumiCli
from scripts.rehearsal.scenario import RegionLoss

STACK = "empty"
PROJECT = """\
name: empty
runtime:
  name: python
  options:
    virtualenv: .venv
"""
PROGRAM = "import pulumi\n"


def deployed(rehearsal: RegionLoss) -> PulumiCli:
    """The program in the rehearsal's sandbox, deployed once, so that there is a state to compare with."""
    directory = rehearsal.sandbox.directory / "empty"
    write(directory, rehearsal.project)
    cli = PulumiCli(directory, rehearsal.sandbox.process_env())
    cli.run("stack", "init", STACK, "--secrets-provider", rehearsal.project.secrets_provider)
    cli.run("up", "--stack", STACK, "--yes")
    return cli


def write(directory: Path, project: Project) -> None:
    directory.mkdir()
    (directory / "Pulumi.yaml").write_text(PROJECT)
    (directory / "__main__.py").write_text(PROGRAM)
    (directory / ".venv").symlink_to(project.directory / ".venv", target_is_directory=True)
