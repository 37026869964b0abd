"""EventBridge Scheduler: schedules."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.operation import Operation
from sandbox.provider.table import Resource, call, f, fields, update


def _create(op: Operation) -> str:
    op.call(call("create_schedule"), op.creating_fields())
    return f"{op.wanted('groupName')}/{op.inputs['name']}"


def _part(position: int) -> Any:
    return lambda op: op.id.split("/", 1)[position]


_IDENTITY: Final = {"GroupName": _part(0), "Name": _part(1)}
_CHANGING: Final = "scheduleExpression scheduleExpressionTimezone state flexibleTimeWindow target description kmsKeyArn"

SCHEDULE: Final = Resource(
    token="aws:scheduler/schedule:Schedule",
    service="scheduler",
    create=_create,
    read=call("get_schedule", _IDENTITY),
    delete=call("delete_schedule", _IDENTITY),
    inputs=(
        f("name", replace=True),
        f("groupName", replace=True, default="default"),
        f("scheduleExpression"),
        f("scheduleExpressionTimezone", default="UTC"),
        f("state", default="ENABLED"),
        f("description"),
        f("kmsKeyArn"),
        f("flexibleTimeWindow", block=fields("mode maximumWindowInMinutes")),
        f(
            "target",
            block=(
                *fields("arn roleArn input"),
                f("deadLetterConfig", block=fields("arn")),
                f(
                    "retryPolicy",
                    computed=True,
                    block=fields("maximumEventAgeInSeconds maximumRetryAttempts", computed=True),
                ),
            ),
        ),
    ),
    outputs=(f("arn"),),
    # An update replaces the whole schedule: what is left out falls back to AWS's default.
    updates=(update(_CHANGING, call("update_schedule", _IDENTITY)),),
    missing=("ResourceNotFoundException",),
    physical_name="name",
)

RESOURCES: Final = (SCHEDULE,)
