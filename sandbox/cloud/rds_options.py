"""What RDS refuses of an instance's options: windows, monitoring, Performance Insights, logs, parameters, storage.

Pure checks, with AWS's error codes. `told` is the request, `now` what the instance had so far (empty for a new one).
Unless a line says otherwise the rule is that of the member in the API reference of CreateDBInstance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from moto.rds.exceptions import InvalidParameterCombination, InvalidParameterValue
from moto.rds.models import RDSBackend

from sandbox.cloud import rds_rules
from sandbox.cloud.access import service_needs
from sandbox.cloud.context import ACCOUNT
from sandbox.cloud.emulations import access

DAY: Final = 24 * 60  # minutes
LEAST_WINDOW: Final = 30
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONITORING_SECONDS: Final = (0, 1, 5, 10, 15, 30, 60)
MONITORING_SERVICE: Final = "monitoring.rds.amazonaws.com"
INSIGHTS_DAYS: Final = {7, 731, *range(31, 24 * 31, 31)}
LOG_TYPES: Final = {"postgresql", "upgrade", "iam-db-auth-error"}
GP3_STRIPED_GIB: Final = 400  # "Amazon RDS DB instance storage": below it performance cannot be chosen
_TIME: Final = r"([01]\d|2[0-3]):([0-5]\d)"

Options = Mapping[str, Any]


def check_options(backend: RDSBackend, told: Options, now: Options) -> None:
    """Refuse what an instance may not have; `now | told` is what it would have."""
    check_windows(told, now)
    _check_monitoring(backend.region_name, told, now)
    _check_insights(backend, told, now)
    logs = told.get("enable_cloudwatch_logs_exports") or []
    changed = told.get("cloudwatch_logs_export_configuration") or {}
    _check_logs([*logs, *(changed.get("EnableLogTypes") or [])], str({**now, **told}.get("engine_version")))
    _check_parameter_group(backend, told.get("db_parameter_group_name"), str({**now, **told}.get("engine_version")))
    _check_performance(told, {**now, **told})


# -- windows ----------------------------------------------------------------------------------------------------------
def check_windows(told: Options, now: Options) -> None:
    """Both in their format, 30 minutes at least, and apart from each other."""
    backup, maintenance = ({**now, **told}.get(f"preferred_{kind}_window") for kind in ("backup", "maintenance"))
    daily = _backup_window(str(backup)) if backup else None
    weekly = _maintenance_window(str(maintenance)) if maintenance else None
    if daily and weekly and any(_overlap((daily[0] + day * DAY, daily[1]), weekly) for day in range(len(DAYS))):
        raise InvalidParameterValue("The backup window and maintenance window must not overlap.")


def _backup_window(text: str) -> tuple[int, int]:
    """(minute of the day, length)."""
    found = re.fullmatch(f"{_TIME}-{_TIME}", text)
    if found is None:
        raise InvalidParameterValue(
            f"Invalid backup window format: {text}. Should be specified as a range hh24:mi-hh24:mi (24H Clock UTC). "
            "Example: 04:00-04:30"
        )
    start, end = (int(found[hour]) * 60 + int(found[hour + 1]) for hour in (1, 3))
    if (end - start) % DAY < LEAST_WINDOW:
        raise InvalidParameterValue("The backup window must be at least 30 minutes.")
    return start, (end - start) % DAY


def _maintenance_window(text: str) -> tuple[int, int]:
    """(minute of the week, length)."""
    day = f"({'|'.join(DAYS)})"
    found = re.fullmatch(f"{day}:{_TIME}-{day}:{_TIME}", text.lower())
    if found is None:
        raise InvalidParameterValue(
            f"Invalid maintenance window format: {text}. Should be specified as a range ddd:hh24:mi-ddd:hh24:mi "
            "(24H Clock UTC). Example: Sun:23:45-Mon:00:15"
        )
    start, end = (DAYS.index(found[at]) * DAY + int(found[at + 1]) * 60 + int(found[at + 2]) for at in (1, 4))
    length = (end - start) % (len(DAYS) * DAY)
    if length < LEAST_WINDOW:
        raise InvalidParameterValue("The maintenance window must be at least 30 minutes.")
    if length >= DAY:
        raise InvalidParameterValue("Maintenance window must be less than 24 hours.")
    return start, length


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two spans of a week, which goes round, have a minute in common."""
    week = len(DAYS) * DAY
    return (other[0] - one[0]) % week < one[1] or (one[0] - other[0]) % week < other[1]


# -- monitoring -------------------------------------------------------------------------------------------------------
def _check_monitoring(region: str, told: Options, now: Options) -> None:
    wanted = {**now, **told}
    interval, role = wanted.get("monitoring_interval") or 0, wanted.get("monitoring_role_arn")
    if interval not in MONITORING_SECONDS:
        allowed = ", ".join(map(str, MONITORING_SECONDS))
        raise InvalidParameterValue(f"Invalid monitoring interval: {interval}. Valid values: {allowed}.")
    if interval and not role:
        raise InvalidParameterCombination(
            "A MonitoringRoleARN value is required if you specify a MonitoringInterval value other than 0."
        )
    if not interval and told.get("monitoring_role_arn"):
        raise InvalidParameterCombination(
            "You must specify a MonitoringInterval value other than 0 when you specify a MonitoringRoleARN value."
        )
    if told.get("monitoring_role_arn") and not _may_monitor(region, str(role), str(wanted["db_instance_identifier"])):
        # The plugin waits for this text to go away: internal/service/rds/instance.go.
        raise InvalidParameterValue(
            "IAM role ARN value is invalid or does not include the required permissions for: ENHANCED_MONITORING"
        )


def _may_monitor(region: str, role: str, database: str) -> bool:
    """Whether the role lets RDS write figures on behalf of this database."""
    trusted = access.may_assume(role, MONITORING_SERVICE, f"arn:aws:rds:{region}:{ACCOUNT}:db:{database}")
    return trusted and access.running().ask(role, service_needs.enhanced_monitoring(region)) is None


def _check_insights(backend: RDSBackend, told: Options, now: Options) -> None:
    wanted = {**now, **told}
    key, days = told.get("performance_insights_kms_key_id"), told.get("performance_insights_retention_period")
    if (key or days) and not wanted.get("enable_performance_insights"):
        raise InvalidParameterCombination(
            "To enable Performance Insights, EnablePerformanceInsights must be set to 'true'"
        )
    if days is not None and days not in INSIGHTS_DAYS:
        raise InvalidParameterValue(
            f"Invalid Performance Insights retention period: {days}. Valid values: 7, month * 31, 731."
        )
    if key:
        arn, before = rds_rules.check_key(backend, str(key)), now.get("performance_insights_kms_key_id")
        if before and rds_rules.check_key(backend, str(before)) != arn:
            raise InvalidParameterCombination("You can't change your Performance Insights KMS key.")


# -- logs, parameters, storage ----------------------------------------------------------------------------------------
def _check_logs(names: Sequence[str], version: str) -> None:
    unknown = sorted(set(names) - LOG_TYPES)
    if unknown:
        raise InvalidParameterCombination(
            f"You cannot use the log types '{', '.join(unknown)}' with engine version postgres {version}. "
            "For supported log types, see the documentation."
        )


def _check_parameter_group(backend: RDSBackend, name: str | None, version: str) -> None:
    """https://repost.aws/knowledge-center/rds-modify-parameter-group-values: of the family of its version only."""
    if not name:
        return
    family = f"postgres{version.partition('.')[0]}"
    group = backend.db_parameter_groups.get(name)
    found = group.family if group is not None else name.removeprefix("default.") if "." in name else family
    if found != family:
        raise InvalidParameterCombination(
            f"The Parameter Group {name} with DBParameterGroupFamily {found} cannot be used for this instance. "
            f"Please use a Parameter Group with DBParameterGroupFamily {family}"
        )


def _check_performance(told: Options, wanted: Options) -> None:
    chosen = told.get("iops") or told.get("storage_throughput")
    if chosen and wanted.get("storage_type") == "gp3" and int(wanted["allocated_storage"]) < GP3_STRIPED_GIB:
        raise InvalidParameterCombination(
            "You can't specify IOPS or storage throughput for engine postgres and a storage size less than "
            f"{GP3_STRIPED_GIB}."
        )
