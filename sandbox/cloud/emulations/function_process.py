"""One invocation of a Lambda function: the uploaded archive, unpacked, run in a process of its own.

A function's timeout is in real seconds: its process works at real speed, whatever the modelled clock does.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

from sandbox.cloud import function_runtime
from sandbox.cloud.access import service_needs
from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import access, database_route, databases
from sandbox.cloud.emulations.task_start import Place
from sandbox.reaper import MARK

# boto3 and what it needs: AWS's Python runtimes have these, and nothing else beyond the standard library.
PROVIDED = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
TAIL_BYTES = 4096  # of the log, which Invoke returns to those who ask


@dataclass(frozen=True)
class Outcome:
    """What came of an invocation. `payload` is the JSON text that Invoke answers; `error` is None for a success."""

    payload: str
    error: str | None
    log: bytes


@dataclass
class Invocation:
    """A running function. `places`: the subnets it may run in; none where it has no VPC."""

    function: Any  # moto's LambdaFunction
    places: Sequence[Place]
    request_id: str = field(default_factory=lambda: str(uuid4()))
    process: subprocess.Popen[bytes] | None = None
    lost: bool = False

    @property
    def region(self) -> str:
        """Where it runs."""
        return str(self.function.region)

    @property
    def name(self) -> str:
        """The function's name."""
        return str(self.function.function_name)

    def kill(self) -> None:
        """End it, with everything that it started."""
        self.lost = True
        if self.process is not None:
            _kill(self.process)

    def reaches(self, region: str, service: str) -> bool:
        """Whether its network leads to an AWS API: without a VPC always, else from each subnet by endpoint or NAT."""
        return all(
            place.reaches_internet() or (region == place.region and place.reaches_service(service))
            for place in self.places
        )


class Processes:
    """Where functions' files are, and how they are started."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.directory = cloud.directory / "functions"
        self._libraries = self.directory / "runtime"
        self._unpacking = threading.Lock()
        self._libraries.mkdir(parents=True)
        for name in PROVIDED:
            source = _source(name)
            (self._libraries / source.name).symlink_to(source)

    def run(self, invocation: Invocation, event: bytes) -> Outcome:
        """Run it to its end, its timeout or its region's loss."""
        place = self.directory / "invocations" / invocation.request_id
        place.mkdir(parents=True)
        try:
            return self._run(invocation, event, place)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _run(self, invocation: Invocation, event: bytes, place: Path) -> Outcome:
        function = invocation.function
        timeout = int(function.timeout)
        specification = {
            "archive": str(self._unpack(function)),
            "libraries": str(self._libraries),
            "handler": function.handler,
            "function": invocation.name,
            "arn": function.function_arn,
            "memory": function.memory_size,
            "timeout": timeout,
            "request_id": invocation.request_id,
            "ports": [self.cloud.port, *_database_ports(self.cloud, invocation)],
            "result": str(place / "result.json"),
        }
        (place / "specification.json").write_text(json.dumps(specification))
        command = [sys.executable, "-I", "-S", "-B", function_runtime.__file__, str(place / "specification.json")]
        with (place / "log").open("wb") as log:
            process = invocation.process = self.cloud.spawn(
                command,
                cwd=specification["archive"],
                env=self._environment(function),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if invocation.lost:  # its region went while it was being started
            _kill(process)
        try:
            process.communicate(event, timeout=timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            message = f"RequestId: {invocation.request_id} Error: Task timed out after {timeout:.2f} seconds"
            failure = {"errorMessage": message, "errorType": "Sandbox.Timedout"}
            return self._outcome(invocation, {"error": failure}, place)
        result = place / "result.json"
        return self._outcome(invocation, json.loads(result.read_text()) if result.exists() else None, place)

    def _outcome(self, invocation: Invocation, answer: dict[str, Any] | None, place: Path) -> Outcome:
        log = (place / "log").read_bytes()
        if _may_log(invocation.function):
            with (self.directory / f"{invocation.region}-{invocation.name}.log").open("ab") as kept:
                kept.write(f"START RequestId: {invocation.request_id}\n".encode() + log)
        if answer is None:
            message = f"RequestId: {invocation.request_id} Error: Runtime exited without providing a reason"
            answer = {"error": {"errorMessage": message, "errorType": "Runtime.ExitError"}}
        failure = answer.get("error")
        error = f"{failure['errorType']}: {failure['errorMessage']}" if failure else None
        return Outcome(json.dumps(failure or answer["result"]), error, log[-TAIL_BYTES:])

    def _unpack(self, function: Any) -> Path:
        """The archive's content; each version of the code is unpacked once."""
        code = str(function.code_sha_256).replace("/", "-").replace("+", "_").rstrip("=")
        target = self.directory / "code" / str(function.region) / str(function.function_name) / code
        with self._unpacking:
            if not target.exists():
                unfinished = target.with_name(f"{code}.unfinished")
                with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as archive:
                    archive.extractall(unfinished)
                unfinished.rename(target)
        return target

    def _environment(self, function: Any) -> dict[str, str]:
        nowhere = str(self.directory / "no-aws-profile")
        return {
            "PATH": os.defpath,
            MARK: os.environ.get(MARK, ""),  # so that the sandbox's reaper finds what a function started
            "TZ": ":UTC",
            **function.environment_vars,
            "AWS_REGION": function.region,
            "AWS_DEFAULT_REGION": function.region,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.cloud.port}",
            "AWS_ACCESS_KEY_ID": principal(function.function_name),
            "AWS_SECRET_ACCESS_KEY": "fake",
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "LAMBDA_TASK_ROOT": str(self._unpack(function)),
        }


def _may_log(function: Any) -> bool:
    """Whether the function's role lets Lambda write its log; without it a function runs, and leaves none."""
    group = getattr(function, "logging_config", {}).get("LogGroup") or function.logs_group_name
    needs = service_needs.writing_log(str(function.region), str(group), "$LATEST")
    return access.running().ask(str(function.role), needs, str(function.function_name)) is None


def principal(function: str) -> str:
    """The access key id by which a function's calls are recognised."""
    return f"FUNCTION-{function}"


def _database_ports(cloud: Cloud, invocation: Invocation) -> Iterable[int]:
    """The ports of the databases that every subnet of the function reaches when it starts."""
    for instance in databases.instances(invocation.region):
        paths = [database_route.obstacle(cloud, place, "127.0.0.1", instance.port) for place in invocation.places]
        if paths and not any(paths):
            yield instance.port


def _source(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name} is not installed, so functions cannot have it")
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended by itself
    process.wait()
