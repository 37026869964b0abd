"""Lambda: a function's states follow the modelled clock, and an invocation really runs the uploaded archive.

Not modelled: Lambda's retries of failed asynchronous invocations, versions and aliases, layers, images. A request for
what is not modelled is refused.
"""

from __future__ import annotations

import base64
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaBackend, LambdaFunction, lambda_backends

from sandbox.clock import minutes
from sandbox.cloud.access import queue_needs, service_needs
from sandbox.cloud.accounting import Origin
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import access, queues
from sandbox.cloud.emulations.function_process import Invocation, Outcome, Processes, principal
from sandbox.cloud.emulations.measurements import record
from sandbox.cloud.emulations.patching import replace
from sandbox.cloud.emulations.task_start import Place


class Busy(LambdaClientError):
    """ResourceConflictException: the function is being created or updated."""

    code = 409

    def __init__(self, what: str) -> None:
        super().__init__("ResourceConflictException", f"The operation cannot be performed at this time. {what}")


class Throttled(LambdaClientError):
    """TooManyRequestsException: as many invocations run as the function has reserved."""

    code = 429

    def __init__(self) -> None:
        super().__init__("TooManyRequestsException", "Rate Exceeded.")


class RegionLost(Exception):
    """The function's region is cut off."""


class Functions:
    """All invocations that run."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._processes = Processes(cloud)
        self._running: list[Invocation] = []
        self._changed = threading.Condition()
        cloud.on_cut(self._lose)
        cloud.on_stop(lambda: self._lose(None))
        cloud.barriers.append(self._is_walled_off)

    # -- states -------------------------------------------------------------------------------------------------
    def created(self, function: LambdaFunction) -> None:
        """A new function is Pending; one in a VPC for longer."""
        function.state = "Pending"
        operation = "lambda.create_vpc" if _in_vpc(function) else "lambda.create"
        self._after(function, operation, lambda: setattr(function, "state", "Active"))

    def updated(self, function: LambdaFunction, operation: str = "lambda.create") -> None:
        """A change of code or configuration holds after a while; it takes as long as a creation (assumption)."""
        function.update_status = "InProgress"  # type: ignore[attr-defined]
        self._after(function, operation, lambda: setattr(function, "update_status", "Successful"))

    def _after(self, function: LambdaFunction, operation: str, action: Callable[[], None]) -> None:
        name = f"{operation} {function.function_name}"
        self.cloud.after(minutes(operation), action, name, regions=[function.region])

    # -- invocations --------------------------------------------------------------------------------------------
    def invoke(self, function: LambdaFunction, event: bytes, *, wait_for_slot: bool) -> Outcome:
        """Run it. Raises Throttled where its reserved concurrency is used up, RegionLost where its region is gone.

        An asynchronous caller waits for a free slot instead, as Lambda's queue of events does.
        """
        invocation = Invocation(function, _places(function))
        own = {"lambda:sourcefunctionarn": (str(function.function_arn),)}
        access.running().begin(
            principal(function.function_name), access.Session(str(function.role), str(function.function_name), own)
        )
        self._begin(invocation, wait_for_slot)
        started, at = time.time(), self.cloud.clock.epoch()
        try:
            time.sleep(self.cloud.clock.seconds(minutes("lambda.cold_start")))  # each process is a new one
            outcome = self._processes.run(invocation, event)
        finally:
            with self._changed:
                self._running.remove(invocation)
                self._changed.notify_all()
        seconds = time.time() - started
        self._report(invocation, outcome, seconds)
        counts = {"Invocations": 1.0, "Errors": float(outcome.error is not None), "Throttles": 0.0}
        self._measure(function, {name: (value, "Count") for name, value in counts.items()}, at)
        self._measure(function, {"Duration": (seconds * 1000, "Milliseconds")}, at)
        return outcome

    def _begin(self, invocation: Invocation, wait_for_slot: bool) -> None:
        reserved = invocation.function.reserved_concurrency
        with self._changed:
            while reserved is not None and self._count(invocation.function) >= int(reserved):
                if not wait_for_slot:
                    self._measure(invocation.function, {"Throttles": (1.0, "Count")}, self.cloud.clock.epoch())
                    raise Throttled
                self._changed.wait()
            if self.cloud.is_cut(invocation.region):
                raise RegionLost(invocation.region)
            self._running.append(invocation)

    def _count(self, function: LambdaFunction) -> int:
        return sum(running.function.function_arn == function.function_arn for running in self._running)

    def _report(self, invocation: Invocation, outcome: Outcome, seconds: float) -> None:
        where = {"function": invocation.name, "region": invocation.region}
        self.cloud.emit("function.invoked", **where, seconds=round(seconds, 3), ok=outcome.error is None)
        if outcome.error is not None:
            self.failed(invocation.name, invocation.region, outcome.error)

    @staticmethod
    def _measure(function: LambdaFunction, values: dict[str, tuple[float, str]], at: float) -> None:
        """AWS/Lambda, with the time of the invocation ("Working with Lambda function metrics", developer guide)."""
        for dimensions in ({}, {"FunctionName": str(function.function_name)}):
            for name, (value, unit) in values.items():
                record(function.region, "AWS/Lambda", name, dimensions, value, unit, at=at)

    def failed(self, name: str, region: str, error: str) -> None:
        """Tell of an invocation that failed, or could not begin."""
        self.cloud.emit("function.failed", function=name, region=region, error=error)

    def invoke_later(self, function: LambdaFunction, event: bytes) -> None:
        """Run it on a thread of its own; nobody waits for the answer."""

        def work() -> None:
            try:
                outcome = self.invoke(function, event, wait_for_slot=True)
            except RegionLost:
                self.failed(function.function_name, function.region, "its region was lost before it began")
                return
            if outcome.error is not None:
                self._put_aside(function, event, outcome)

        self.cloud.after(0, work, f"invoke {function.function_name}")

    def _put_aside(self, function: LambdaFunction, event: bytes, outcome: Outcome) -> None:
        """Send an event that failed to the on-failure destination ("Capturing records of Lambda asynchronous
        invocations", Lambda developer guide); only queues are modelled.
        """
        settings = function.event_invoke_config[0].response() if function.event_invoke_config else {}
        queue = settings.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        if not queue:
            return
        record_of_it = {
            "version": "1.0",
            "timestamp": self.cloud.clock.now().isoformat(),
            "requestContext": {"functionArn": f"{function.function_arn}:$LATEST", "condition": "RetriesExhausted"},
            "requestPayload": json.loads(event),
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": json.loads(outcome.payload),
        }
        allowed = access.running().ask(str(function.role), queue_needs.using(queue, "SendMessage")) is None
        if not (allowed and queues.put_aside(queue, json.dumps(record_of_it))):
            failure = {"DestinationDeliveryFailures": (1.0, "Count")}
            self._measure(function, failure, self.cloud.clock.epoch())

    # -- network and loss ---------------------------------------------------------------------------------------
    def _is_walled_off(self, origin: Origin) -> bool:
        """Whether a call comes from a function whose network doesn't lead to that API."""
        with self._changed:
            callers = [running for running in self._running if principal(running.name) == origin.principal]
        return bool(callers) and not any(caller.reaches(origin.region, origin.service) for caller in callers)

    def _lose(self, region: str | None) -> None:
        with self._changed:
            lost = [running for running in self._running if region in (None, running.region)]
        for running in lost:
            running.kill()


def _in_vpc(function: LambdaFunction) -> bool:
    return bool((function.vpc_config or {}).get("SubnetIds"))


def _places(function: LambdaFunction) -> list[Place]:
    config = function.vpc_config or {}
    groups = tuple(config.get("SecurityGroupIds") or ())
    return [Place(function.region, subnet, groups, public_ip=False) for subnet in config.get("SubnetIds") or ()]


_functions: Functions | None = None


def running() -> Functions:
    """The functions of this process."""
    if _functions is None:
        raise RuntimeError("functions are not installed")
    return _functions


def by_arn(arn: str) -> LambdaFunction | None:
    """The function with this ARN."""
    return lambda_backends[ACCOUNT][arn.split(":")[3]].get_function_by_arn(arn)


def install(cloud: Cloud) -> None:
    """Put processes behind moto's functions."""
    global _functions
    functions = _functions = Functions(cloud)
    _install_shape()
    _install_changes(functions)
    _install_invocation(functions)


def _install_shape() -> None:
    plain, modify = LambdaFunction.get_configuration, LambdaFunction.update_configuration
    code = LambdaFunction.get_code

    def get_configuration(self: LambdaFunction, on_create: bool = False) -> dict[str, Any]:
        found = plain(self, on_create)
        default = {"LogFormat": "Text", "LogGroup": self.logs_group_name}
        found["LoggingConfig"] = default | getattr(self, "logging_config", {})
        if not on_create:
            found["LastUpdateStatus"] = getattr(self, "update_status", "Successful")
        if self.state == "Pending":
            found |= {"StateReason": "The function is being created.", "StateReasonCode": "Creating"}
        return found

    def update_configuration(self: LambdaFunction, config_updates: dict[str, Any]) -> dict[str, Any]:
        _keep_what_moto_drops(self, config_updates)
        modify(self, config_updates)
        return self.get_configuration()

    def get_code(self: LambdaFunction) -> dict[str, Any]:
        found = code(self)
        if self.reserved_concurrency is not None:  # also where it is 0
            found["Concurrency"] = {"ReservedConcurrentExecutions": int(self.reserved_concurrency)}
        return found

    replace(
        LambdaFunction,
        get_configuration=get_configuration,
        update_configuration=update_configuration,
        get_code=get_code,
    )


def _keep_what_moto_drops(function: LambdaFunction, settings: dict[str, Any]) -> None:
    if "LoggingConfig" in settings:
        function.logging_config = settings["LoggingConfig"]  # type: ignore[attr-defined]
    if "KMSKeyArn" in settings:
        function.kms_key_arn = settings["KMSKeyArn"] or None


def _install_changes(functions: Functions) -> None:
    create = LambdaBackend.create_function
    change_code, change = LambdaBackend.update_function_code, LambdaBackend.update_function_configuration

    def create_function(self: LambdaBackend, spec: dict[str, Any]) -> LambdaFunction:
        if spec.get("PackageType", "Zip") != "Zip" or spec.get("Layers") or spec.get("Publish"):
            raise NotImplementedError("the sandbox's functions are unpublished zip archives without layers")
        _check_role(str(spec["Role"]), self.region_name, spec.get("VpcConfig") or {})
        function = create(self, spec)
        _check_archive(function)
        _keep_what_moto_drops(function, spec)
        functions.created(function)
        return function

    def update_function_code(self: LambdaBackend, function_name: str, qualifier: str, body: dict[str, Any]) -> Any:
        function = self.get_function(function_name, qualifier)
        _check_idle(function)
        change_code(self, function_name, qualifier, body)
        if body.get("Architectures"):
            function.architectures = body["Architectures"]
        functions.updated(function)
        return function.get_configuration()

    def update_function_configuration(
        self: LambdaBackend, function_name: str, qualifier: str, body: dict[str, Any]
    ) -> Any:
        function = self.get_function(function_name, qualifier)
        _check_idle(function)
        _check_role(str(body.get("Role") or function.role), self.region_name, body.get("VpcConfig") or {})
        answer = change(self, function_name, qualifier, body)
        functions.updated(function, "lambda.create_vpc" if "VpcConfig" in body else "lambda.create")
        return answer and function.get_configuration()

    put = LambdaBackend.put_function_event_invoke_config

    def put_function_event_invoke_config(
        self: LambdaBackend, function_name: str, config: dict[str, Any]
    ) -> dict[str, Any]:
        function = self.get_function(function_name)
        _check_destination(function, config)
        function.event_invoke_config.clear()  # moto would go on answering with the first
        return put(self, function_name, config)

    replace(
        LambdaBackend,
        create_function=create_function,
        update_function_code=update_function_code,
        update_function_configuration=update_function_configuration,
        put_function_event_invoke_config=put_function_event_invoke_config,
    )


def _check_role(role: str, region: str, network: dict[str, Any]) -> None:
    """Lambda must be able to assume the role, and to attach the function to its network with it."""
    if not access.may_assume(role, "lambda.amazonaws.com"):
        raise InvalidParameterValueException("The role defined for the function cannot be assumed by Lambda.")
    if not network.get("SubnetIds"):
        return
    needs = service_needs.network_interfaces(region, network["SubnetIds"], network.get("SecurityGroupIds") or ())
    refusal = access.running().ask(role, needs)
    if refusal is not None:
        action = refusal.need.action.removeprefix("ec2:")
        raise InvalidParameterValueException(
            f"The provided execution role does not have permissions to call {action} on EC2"
        )


def _check_destination(function: LambdaFunction, config: dict[str, Any]) -> None:
    """Lambda looks whether the role may send to the destination before there is anything to send."""
    queue = ((config.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
    if queue and not access.running().allows(str(function.role), queue_needs.using(queue, "SendMessage")):
        raise InvalidParameterValueException(
            f"The function's execution role does not have permissions to call SendMessage on {queue}"
        )


def _check_archive(function: LambdaFunction) -> None:
    if not zipfile.is_zipfile(io.BytesIO(function.code_bytes)):
        lambda_backends[ACCOUNT][function.region].delete_function(function.function_name)
        raise InvalidParameterValueException(
            "Could not unzip uploaded file. Please check your file, then try to upload again."
        )


def _check_idle(function: LambdaFunction) -> None:
    if function.state == "Pending":
        raise Busy(f"The function is currently in the following state: {function.state}")
    if getattr(function, "update_status", "Successful") == "InProgress":
        raise Busy(f"An update is in progress for resource: {function.function_arn}")


def _install_invocation(functions: Functions) -> None:
    def invoke(
        self: LambdaBackend,
        function_name: str,
        qualifier: str | None,
        body: Any,
        headers: Any,
        response_headers: Any,
    ) -> str | bytes | None:
        function = self.get_function(function_name, qualifier)
        if function.state == "Pending":
            raise Busy("The function is currently in the following state: Pending")
        kind = headers.get("X-Amz-Invocation-Type") or "RequestResponse"
        event = (body.encode() if isinstance(body, str) else body) or b"{}"
        if kind == "DryRun":
            return b""
        if kind == "Event":
            functions.invoke_later(function, event)
            return b""
        outcome = functions.invoke(function, event, wait_for_slot=False)
        if outcome.error is not None:
            response_headers["x-amz-function-error"] = "Unhandled"
        response_headers["x-amz-executed-version"] = "$LATEST"
        response_headers["x-amz-log-result"] = base64.b64encode(outcome.log).decode()
        return outcome.payload.encode()

    replace(LambdaBackend, invoke=invoke)
