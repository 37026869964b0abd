"""How long `dr status` takes as a whole, from the start of its process to its end, where nothing answers.

No sandbox: both regions, the state and the public name are one address at which every connection hangs.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import console
from scripts.benchmarks.result import Result
from scripts.benchmarks.stage import progress
from scripts.errors import SandboxError
from scripts.project import CHECKOUT

PROMISED = 5.0  # seconds
GIVEN_UP = 60.0
ZONE = "mental-health-platform:zoneId: Z0123456789"  # what the bootstrap writes, and settings need


@dataclass(frozen=True)
class Run:
    """One run of the command: real seconds, and its JSON."""

    seconds: float
    document: dict[str, Any]


def measure(speed: float, count: int) -> Result:
    """The slowest of `count` runs. Nothing here has modelled time, so `speed` means nothing."""
    with tempfile.TemporaryDirectory(prefix="dr-bench-") as directory, silence() as address:
        copy_project(Path(directory))
        console.step(f"{count} times `dr status`, with every connection hanging", "about 5 s each")
        seconds = []
        for number in range(1, count + 1):
            seconds.append(once(Path(directory), address).seconds)
            progress(number, count, f"{seconds[-1]:.2f} s")
    return judged(seconds)


def judged(seconds: list[float]) -> Result:
    return Result(
        what="`dr status` with every connection hanging",
        unit="s",
        figure=max(seconds),
        against="the promise",
        reference=PROMISED,
        bound=1.0,
        details={"seconds": seconds, "method": "the whole process, on this machine, with its load meanwhile"},
    )


def once(project: Path, address: str) -> Run:
    """Run the command in a working copy, where AWS and the way to the internet are at `address`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_"))}
    environment = {
        **kept,
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "HTTPS_PROXY": address,
        "NO_PROXY": "",
        "PYTHONPATH": str(CHECKOUT),
    }
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "scripts.dr", "status", "--json"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=GIVEN_UP,
    )
    seconds = time.monotonic() - began
    if ended.returncode != 0:
        raise SandboxError(f"`dr status` ended with code {ended.returncode}:\n{ended.stderr[-2000:]}")
    return Run(seconds, json.loads(ended.stdout))


def copy_project(directory: Path) -> None:
    """The checkout's stack files as the bootstrap completes them."""
    for file in CHECKOUT.glob("Pulumi*.yaml"):
        more = "" if file.name == "Pulumi.yaml" else f"  {ZONE}\n"
        (directory / file.name).write_text(file.read_text().rstrip("\n") + "\n" + more)


@contextmanager
def silence() -> Iterator[str]:
    """An address where connections are accepted and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
