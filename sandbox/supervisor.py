"""Starts and stops one sandbox: emulated cloud, provider, and a working copy of the project.

Everything lives in one temporary directory. It goes away with the owner: on `stop()`, at the end of the `with` block,
at exit, on a signal (which the owner turns into an exception), and on a crash through `sandbox.reaper`.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from sandbox.clock import DEFAULT_SPEED, Clock
from sandbox.reaper import MARK, end_processes, remove

CHECKOUT = Path(__file__).resolve().parent.parent
STANDBY_REGION = "af-south-1"
STATE_BUCKET = "mental-health-platform-state-123456789012"
# What makes a checkout a checkout, but isn't part of the project that Pulumi runs.
NOT_COPIED = (".*", "build", "dist", "__pycache__", "node_modules", "tests", "*.pyc")
READY_WITHIN = 60.0  # real seconds; importing moto takes most of it on a cold disk


class SandboxFailed(RuntimeError):
    """The sandbox did not become ready, or refused a control call; the message says why."""


class Sandbox:
    """One emulated cloud with everything around it. `speed`: modelled minutes pass that many times faster.

    `standby_region` is where state and clients are at home.
    """

    def __init__(self, speed: float = DEFAULT_SPEED, standby_region: str = STANDBY_REGION) -> None:
        self.speed = speed
        self.standby_region = standby_region
        self.directory = Path()
        self.port = 0
        self.provider_port = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        self._reaper: subprocess.Popen[bytes] | None = None

    # -- life ---------------------------------------------------------------------------------------------------
    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start both processes and wait until they answer. Raises SandboxFailed with the log's last lines."""
        self.directory = Path(tempfile.mkdtemp(prefix="dr-sandbox-")).resolve()
        self.directory.chmod(0o711)  # PostgreSQL runs as an unprivileged user in a sub-directory
        atexit.register(self.stop)
        self._reaper = self._spawn("reaper", ["-m", "sandbox.reaper", str(self.directory)], marked=False)
        try:
            self._start_processes()
        except BaseException:
            self.stop()
            raise

    def _start_processes(self) -> None:
        place = ["--directory", str(self.directory)]
        self._processes.append(self._spawn("cloud", ["-m", "sandbox.cloud", *place, "--speed", str(self.speed)]))
        self.port = int(self._ready("cloud")["port"])
        endpoint = f"http://127.0.0.1:{self.port}"
        self._processes.append(self._spawn("provider", ["-m", "sandbox.provider", *place, "--endpoint", endpoint]))
        copy_project(self.project)  # meanwhile
        self.provider_port = int(self._ready("provider")["port"])

    def stop(self) -> None:
        """Stop everything and remove the directory. Safe to call again."""
        if self.directory == Path():
            return
        atexit.unregister(self.stop)
        for process in reversed(self._processes):
            _end(process)
        self._processes.clear()
        end_processes(self.directory, patience=2.0)
        remove(self.directory)
        if self._reaper is not None:
            _end(self._reaper)
        self.directory = Path()

    @property
    def project(self) -> Path:
        """The working copy of the project, in which Pulumi runs."""
        return self.directory / "project"

    @property
    def clock(self) -> Clock:
        return Clock.of(self.directory)

    # -- environment --------------------------------------------------------------------------------------------
    def env(self, principal: str = "OPERATOR") -> dict[str, str]:
        """The variables that make `pulumi`, boto3 and the AWS CLI talk to this sandbox, and to nothing else."""
        return environment(self.directory, self.port, self.provider_port, principal, self.standby_region)

    def process_env(self) -> dict[str, str]:
        """A full environment for a process that belongs to the sandbox and ends with it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_"))}
        return {**kept, **self.env(), MARK: str(self.directory)}

    # -- control ------------------------------------------------------------------------------------------------
    def control(self, method: str, path: str, **data: Any) -> Any:
        """Call the control API. Raises SandboxFailed when it answers with an error."""
        return control(f"http://127.0.0.1:{self.port}", method, path, **data)

    def check_alive(self) -> None:
        """Raise SandboxFailed if one of the processes ended or the cloud reports an error of its own."""
        self._check_processes()
        try:
            status = self.control("GET", "status")
        except SandboxFailed:
            self._check_processes(patience=2.0)  # a killed process answers no more a moment before it can be reaped
            raise
        if not status["healthy"]:
            raise SandboxFailed("The sandbox reports errors of its own:\n" + "\n".join(status["errors"][:5]))

    # -- processes ----------------------------------------------------------------------------------------------
    def _check_processes(self, patience: float = 0.0) -> None:
        """Raise SandboxFailed if one has ended, or ends within `patience` seconds."""
        for process, name in zip(self._processes, ("cloud", "provider"), strict=True):
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(patience)
                raise SandboxFailed(f"The sandbox's {name} ended with code {code}.\n{self._tail(name)}")

    def _spawn(self, name: str, arguments: list[str], marked: bool = True) -> subprocess.Popen[bytes]:
        """Start a Python process of the checkout whose standard input is a pipe that only we hold open."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PULUMI_"))}
        variables = {**kept, **({MARK: str(self.directory)} if marked else {}), "PYTHONUNBUFFERED": "1"}
        with (self.directory / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=CHECKOUT,
                env=variables,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C on the terminal reaches us, and we stop them in order
            )

    def _ready(self, name: str) -> dict[str, Any]:
        """Wait for DIR/<name>.json. The process puts it there, complete, once it answers."""
        deadline = time.monotonic() + READY_WITHIN
        path = self.directory / f"{name}.json"
        while time.monotonic() < deadline:
            if path.exists():
                found: dict[str, Any] = json.loads(path.read_text())
                return found
            if (code := self._processes[-1].poll()) is not None:
                raise SandboxFailed(f"The sandbox's {name} ended with code {code}.\n{self._tail(name)}")
            time.sleep(0.05)
        raise SandboxFailed(f"The sandbox's {name} was not ready after {READY_WITHIN:.0f} s.\n{self._tail(name)}")

    def _tail(self, name: str, lines: int = 20) -> str:
        log = (self.directory / f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(log[-lines:]) or "(its log is empty)"


def environment(
    directory: Path, port: int, provider_port: int, principal: str, region: str = STANDBY_REGION
) -> dict[str, str]:
    """The variables of a sandbox in `directory`; a pure function, so that they can be printed for another shell."""
    endpoint = f"127.0.0.1:{port}"
    state = f"region={region}&endpoint={endpoint}&disable_https=true&s3ForcePathStyle=true"
    nowhere = str(directory / "no-aws-profile")  # a profile of the user's must never be used by mistake
    path = [str(CHECKOUT / ".tools" / "bin"), str(CHECKOUT / ".venv" / "bin"), os.environ.get("PATH", os.defpath)]
    return {
        "AWS_ENDPOINT_URL": f"http://{endpoint}",
        "AWS_ACCESS_KEY_ID": principal,
        "AWS_SECRET_ACCESS_KEY": "fake",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        # The platform's public name: resolved by the emulated Route 53, certified by the sandbox's authority.
        "HTTPS_PROXY": f"http://{endpoint}",
        "NO_PROXY": "127.0.0.1,localhost",
        "SSL_CERT_FILE": str(directory / "trust.pem"),
        "CURL_CA_BUNDLE": str(directory / "trust.pem"),  # stronger than the one above, where a machine sets it
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "PULUMI_BACKEND_URL": f"s3://{STATE_BUCKET}?{state}",
        "PULUMI_DEBUG_PROVIDERS": f"aws:{provider_port}",
        "PULUMI_HOME": str(directory / "pulumi-home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PATH": os.pathsep.join(path),
    }


def copy_project(target: Path) -> None:
    """Copy what a clone of the project contains; the virtual environment is linked."""
    shutil.copytree(CHECKOUT, target, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (target / ".venv").symlink_to(CHECKOUT / ".venv", target_is_directory=True)


def control(endpoint: str, method: str, path: str, **data: Any) -> Any:
    """Call /_sandbox/<path>. Raises SandboxFailed with what the sandbox said, or that it can't be reached."""
    request = urllib.request.Request(
        f"{endpoint}/_sandbox/{path}",
        method=method,
        data=json.dumps(data).encode() if data else None,
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        raise SandboxFailed(f"{method} {path}: {error.read().decode(errors='replace')[:2000]}") from error
    except OSError as error:
        raise SandboxFailed(f"{method} {path}: the sandbox does not answer ({error}).") from error


def _end(process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """Close the process's lifeline, wait, then insist."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
