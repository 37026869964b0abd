"""The guide for a first deployment, walked in an empty emulated account by typing what it says. Minutes.

The commands are read from the guide. Where the walk has to do something else than a person at AWS, it says so below,
with the reason; everything else is typed as it stands there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from sandbox import supervisor
from sandbox.supervisor import Sandbox
from scripts import project
from scripts import sandbox as task
from scripts.project import CHECKOUT
from tests.e2e import aws_command
from tools import setup

GUIDE = CHECKOUT / "docs" / "first-deployment.md"
SPEED = 60
LEAST_SECONDS = 120.0  # real: a busy machine answers late, however fast modelled time passes
SECONDS = 900
PULUMI_FAILED = 1  # an error of the program; 7 would be unexpected changes
ACCOUNT, DOMAIN = "123456789012", "platform.example.org"
PLACEHOLDER = re.compile(r"(?<![$\w])[A-Z]{4,}(?:-[A-Z]+)*(?![\w=])|…|<[a-z ]+>")


def commands() -> list[str]:
    """What stands behind a `$` in the guide's console blocks, in its order."""
    blocks = re.findall(r"^```console\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


# -- what is done otherwise, and why ------------------------------------------------------------------------------
@dataclass(frozen=True)
class Different:
    """Where a command begins with `begin`, `old` in it becomes `new`."""

    begin: str
    old: str
    new: str
    why: str


DIFFERENT = (
    Different("", "ACCOUNT", ACCOUNT, "the reader's account: the emulated one has this id"),
    Different("", "DOMAIN", DOMAIN, "the reader's domain: the checkout is configured with this one"),
    Different(
        "export PULUMI_BACKEND_URL",
        "?region=af-south-1",
        "?region=af-south-1&disable_https=true&s3ForcePathStyle=true&endpoint='\"$SANDBOX\"'",
        "the emulated S3 is no host of its own below amazonaws.com",
    ),
    Different("dr bootstrap --apply", "ghcr.json", "ghcr.json --confirm mental-health-platform", "asks on a terminal"),
    Different("pulumi up", "-s", "--yes -s", "asks on a terminal"),
)


@dataclass(frozen=True)
class Instead:
    """Commands that begin with `begin` are not typed; `do` is done instead, if anything."""

    begin: str
    do: Callable[[Walk], None] | None
    why: str


@dataclass(frozen=True)
class Told:
    """What a command has to say, asked again and again until it does, for at most `minutes` of modelled time."""

    begin: str
    pattern: str
    minutes: float


Row = TypeVar("Row", Instead, Told)


class Walk:
    """A shell: each command finds the folder and the variables that the one before it left."""

    def __init__(self, box: Sandbox, folder: Path) -> None:
        self.box = box
        self.folder = folder
        self._memory = folder / "environment"
        self._environment = {**box.process_env(), "SANDBOX": f"127.0.0.1:{box.port}", "PATH": _path(folder)}
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):  # the guide sets them
            del self._environment[name]

    def type(self, command: str, seconds: float = 480) -> subprocess.CompletedProcess[str]:
        # Like variables of a shell that stays: those that nobody exports are remembered, too.
        script = f'set -a\n{command}\ncode=$?\n{{ pwd; env -0; }} >"{self._memory}"\nexit $code\n'
        ended = subprocess.run(
            ["sh", "-c", script],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        where, _, variables = self._memory.read_text().partition("\n")
        self.folder = Path(where)
        self._environment = dict(entry.split("=", 1) for entry in variables.rstrip("\0").split("\0"))
        return ended

    def must(self, command: str) -> None:
        ended = self.type(command)
        assert ended.returncode == 0, f"{command}\n{ended.stdout[-4000:]}{ended.stderr[-4000:]}"

    def until(self, command: str, told: Told) -> None:
        """Repeat a command until it says what it should."""
        deadline = time.monotonic() + max(told.minutes * 60 / SPEED, LEAST_SECONDS)
        while True:
            ended = self.type(command)
            if ended.returncode == 0 and re.search(told.pattern, ended.stdout):
                return
            assert time.monotonic() < deadline, f"{command}\n{ended.stdout[-3000:]}{ended.stderr[-2000:]}"
            time.sleep(1)


def _path(folder: Path) -> str:
    """The usual one, with an `aws` where the machine has none."""
    if shutil.which("aws"):
        return os.environ["PATH"]
    (tools := folder / "tools").mkdir()
    launcher = tools / "aws"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{aws_command.__file__}" "$@"\n')
    launcher.chmod(0o755)
    return f"{tools}{os.pathsep}{os.environ['PATH']}"


def _checkout(walk: Walk) -> None:
    """A repository of the checkout's files as they are now, committed or not."""
    walk.folder /= "platform"
    supervisor.copy_project(walk.folder)
    (walk.folder / ".venv").unlink()
    shutil.copy(CHECKOUT / ".gitignore", walk.folder)
    for key, value in (("user.name", "Reader"), ("user.email", "reader@example.org")):
        assert walk.type(f"git init --quiet && git config {key} {value}").returncode == 0
    assert walk.type("git add . && git commit --quiet -m 'The checkout'").returncode == 0


def _set_up(walk: Walk) -> None:
    """The checkout's environment and engine, with a `dr` of the clone's own."""
    source, target = CHECKOUT / ".venv", walk.folder / ".venv"
    (target / "bin").mkdir(parents=True)
    for entry in (*source.iterdir(), *(source / "bin").iterdir()):
        if entry != source / "bin" and entry.name != "dr":
            (target / entry.relative_to(source)).symlink_to(entry)
    (walk.folder / ".tools").symlink_to(CHECKOUT / ".tools")
    launcher = target / "bin" / "dr"
    launcher.write_text(setup.LAUNCHER.format(python=target / "bin" / "python", root=str(walk.folder)))
    launcher.chmod(0o755)
    # What the guide asks for in words: the images are in the registry, the credential lies in this folder.
    task.seed_registry(f"http://127.0.0.1:{walk.box.port}", project.load(walk.folder))
    (walk.folder / "ghcr.json").write_text(task.REGISTRY_CREDENTIAL)


INSTEAD = (
    Instead("aws service-quotas", None, "the emulated account has no quotas to ask for; its options are checked"),
    Instead("git clone YOUR-REPOSITORY platform", _checkout, "the repository is this checkout"),
    Instead("make setup", _set_up, "takes minutes; tests/tools checks it"),
    Instead("make rehearse", None, "takes a quarter of an hour; tests/e2e/test_region_loss.py does it"),
)


def _confirm_mails(walk: Walk) -> None:
    walk.box.control("POST", "confirm")


AFTER: dict[str, Callable[[Walk], None]] = {
    "pulumi up --yes -s kenya": _confirm_mails,  # "Everybody in `alerts` now gets mails that ask for a confirmation"
}
TOLD = (
    Told("aws sts get-caller-identity", rf"^{ACCOUNT}\n$", 0),
    Told("aws account get-region-opt-status", r"^ENABLED\n$", 60),
    Told("aws sns list-subscriptions", r"^(?=[\s\S]*arn:aws:sns)(?![\s\S]*PendingConfirmation)", 0),
    Told("curl", r'(?=[\s\S]*"status": "ok")[\s\S]*"region": "eu-west-1"', 5),
    Told("aws rds describe-db-snapshots", r"\tavailable\n", 30),
    Told("dr status", r"served by kenya[\s\S]*Nothing is wrong\.", 10),
    Told("aws s3api head-object", r'"ContentLength": 20', 15),
)


def typed(line: str) -> str:
    """A line of the guide as it is typed here. Raises AssertionError where a placeholder is left in it."""
    command = line
    for different in DIFFERENT:
        if line.startswith(different.begin):
            command = command.replace(different.old, different.new)
    assert not PLACEHOLDER.search(command), f"a placeholder is left: {command}"
    return command


# -- the guide by itself ------------------------------------------------------------------------------------------
def test_every_difference_is_one_from_the_guide() -> None:
    lines = commands()
    assert len(lines) > 20
    for row in (*INSTEAD, *TOLD):
        assert any(line.startswith(row.begin) for line in lines), row.begin
    for different in DIFFERENT:
        assert any(line.startswith(different.begin) and different.old in line for line in lines), different.old
    own = [typed(line) for line in lines if _first(INSTEAD, line) is None]
    assert set(AFTER) <= set(own)


def test_every_aws_command_of_the_guide_exists() -> None:
    for line in commands():
        for command in line.split(" && "):
            if command.startswith("aws "):
                aws_command.parse(shlex.split(command)[1:])


@pytest.mark.parametrize("line", ["curl https://NAME/health", "pulumi preview -s STACK", "git clone <your repository>"])
def test_a_placeholder_that_nobody_replaces_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError, match="a placeholder is left"):
        typed(line)


# -- the walk -----------------------------------------------------------------------------------------------------
@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    """A shell with credentials for an account in which nothing is."""
    with Sandbox(speed=SPEED) as box:
        yield Walk(box, tmp_path)
        box.check_alive()


@pytest.mark.e2e
@pytest.mark.timeout(SECONDS)
def test_whoever_types_what_the_guide_says_has_both_stacks(walk: Walk) -> None:
    for line in commands():
        if (instead := _first(INSTEAD, line)) is not None:
            if instead.do is not None:
                instead.do(walk)
            continue
        command = typed(line)
        if (told := _first(TOLD, command)) is not None:
            walk.until(command, told)
        else:
            walk.must(command)
        if command in AFTER:
            AFTER[command](walk)
    _a_source_that_the_pair_of_regions_lacks_is_refused(walk)


def _a_source_that_the_pair_of_regions_lacks_is_refused(walk: Walk) -> None:
    """What docs/settings.md says of another source, with the one that af-south-1 has not: refused, with the way out."""
    key = "mental-health-platform:database"
    walk.must("ARN=$(pulumi stack output databaseArn -s kenya)")
    walk.must(f"pulumi config set --path {key}.standbySource replicated-backups -s south-africa")
    walk.must(f'pulumi config set --path {key}.standbySourceArn "$ARN" -s south-africa')
    for command in ("pulumi preview -s south-africa", "pulumi up --yes -s south-africa"):
        refused = walk.type(command)
        assert refused.returncode == PULUMI_FAILED, refused.stdout
        told = " ".join(refused.stdout.split())
        assert "RDS does not replicate automated backups from eu-west-1 to af-south-1" in told
        assert "Set database.standbySource to snapshot-copies or read-replica" in told
        assert "aws:" not in refused.stdout, "something was registered before the refusal"
        assert "Traceback" not in refused.stdout + refused.stderr
    walk.must("git checkout --quiet Pulumi.south-africa.yaml")
    walk.must("pulumi preview --expect-no-changes -s south-africa")


def _first(table: Iterable[Row], line: str) -> Row | None:
    return next((row for row in table if line.startswith(row.begin)), None)
