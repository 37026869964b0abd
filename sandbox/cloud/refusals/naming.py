"""SSM parameters, log groups and schedules. Sources: their API references and user guides."""

from __future__ import annotations

import re
from typing import Final
from zoneinfo import available_timezones

from sandbox.cloud.context import AwsError
from sandbox.cloud.refusals.policies import can_assume
from sandbox.cloud.refusals.rule import Parameters, refuses

STANDARD_TIER_BYTES: Final = 4096
# PutRetentionPolicy, retentionInDays: possible values.
RETENTIONS: Final = frozenset(
    (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
)
_EXPRESSION: Final = re.compile(
    r"rate\([1-9]\d* (minute|hour|day)s?\)|cron\(\S+( \S+){5}\)|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)"
)


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


@refuses("ssm", "PutParameter")
def _parameter(parameters: Parameters, _: str) -> None:
    if len(parameters["Value"].encode()) > STANDARD_TIER_BYTES and parameters.get("Tier", "Standard") == "Standard":
        raise _invalid("Standard tier parameters support a maximum parameter value of 4096 characters.")


@refuses("logs", "PutRetentionPolicy")
def _retention(parameters: Parameters, _: str) -> None:
    if parameters["retentionInDays"] not in RETENTIONS:
        allowed = ", ".join(map(str, sorted(RETENTIONS)))
        raise AwsError(
            "InvalidParameterException",
            f"1 validation error detected: Value '{parameters['retentionInDays']}' at 'retentionInDays' failed to "
            f"satisfy constraint: Member must satisfy enum value set: [{allowed}]",
        )


@refuses("scheduler", "CreateSchedule", "UpdateSchedule")
def _schedule(parameters: Parameters, _: str) -> None:
    expression = parameters["ScheduleExpression"]
    if not _EXPRESSION.fullmatch(expression):
        raise _invalid(f"Invalid Schedule Expression {expression}.")
    zone = parameters.get("ScheduleExpressionTimezone")
    if zone is not None and zone not in available_timezones():
        raise _invalid("The Schedule Expression Timezone is invalid.")
    window = parameters["FlexibleTimeWindow"]
    if (window["Mode"] == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
        raise _invalid("MaximumWindowInMinutes must be set for the mode FLEXIBLE, and for no other.")
    if not can_assume("scheduler.amazonaws.com", parameters["Target"]["RoleArn"]):
        raise _invalid("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")
