"""How the end-to-end tests type commands, and read what a rehearsal left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from scripts.project import CHECKOUT

DR = CHECKOUT / ".venv" / "bin" / "dr"
KENYA, SOUTH_AFRICA = "eu-west-1", "af-south-1"
SPEED = "30"  # three times the default: what is checked does not depend on it, and the whole lasts minutes
REHEARSAL_SECONDS = 1500
REPORT = re.compile(r"Report: (\S+)/report\.html")


def dr(*arguments: str, seconds: float = 120, temporary: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does; `temporary` is where it may put temporary files, instead of the usual place."""
    environment = {**os.environ, "TMPDIR": str(temporary)} if temporary else None
    return subprocess.run(
        [str(DR), *arguments], cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=seconds
    )


def pulumi(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the plain command in a sandbox's working copy."""
    command = ["pulumi", *arguments, "--non-interactive"]
    return subprocess.run(
        command, cwd=environment["PWD"], env=environment, capture_output=True, text=True, timeout=480, check=False
    )


def changed_files() -> str:
    return subprocess.run(
        ["git", "status", "--porcelain"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout


def rehearsed(*arguments: str) -> Path:
    """Rehearse the loss of the region, which must succeed and leave nothing; the folder of its report.

    Others may run beside it, so its temporary files have a folder of their own, which PostgreSQL's user can read.
    """
    with tempfile.TemporaryDirectory(prefix="e2e-") as folder:
        Path(folder).chmod(0o755)
        command = ("rehearse", "region-loss", "--speed", SPEED, *arguments)
        ended = dr(*command, seconds=REHEARSAL_SECONDS, temporary=Path(folder))
        assert ended.returncode == 0, ended.stderr[-4000:]
        assert not list(Path(folder).glob("dr-sandbox-*"))
    told = REPORT.search(ended.stdout + ended.stderr)
    assert told, ended.stderr[-1000:]
    return CHECKOUT / told[1]


def result(folder: Path) -> dict[str, Any]:
    """What a rehearsal found."""
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found
