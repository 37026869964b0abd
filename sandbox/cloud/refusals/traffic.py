"""Load balancers and Route 53. Sources: the ELBv2 and Route 53 API references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from moto.route53.models import route53_backends

from sandbox.cloud.context import ACCOUNT, AwsError
from sandbox.cloud.refusals.rule import Parameters, refuses

# LoadBalancerAttribute and TargetGroupAttribute: keys whose value is a number, least and most.
ATTRIBUTES: Final = {
    "idle_timeout.timeout_seconds": (1, 4000),
    "client_keep_alive.seconds": (60, 604_800),
    "deregistration_delay.timeout_seconds": (0, 3600),
    "slow_start.duration_seconds": (0, 900),
    "stickiness.lb_cookie.duration_seconds": (1, 604_800),
}
INTERVALS: Final = (10, 30)  # HealthCheckConfig, RequestInterval


@refuses("elbv2", "ModifyLoadBalancerAttributes", "ModifyTargetGroupAttributes")
def _attributes(parameters: Parameters, _: str) -> None:
    for attribute in parameters["Attributes"]:
        limits = ATTRIBUTES.get(attribute["Key"])
        if limits and not limits[0] <= int(attribute["Value"]) <= limits[1]:
            raise AwsError(
                "ValidationError",
                f"'{attribute['Key']}' value '{attribute['Value']}' must be from {limits[0]} to {limits[1]}",
            )


@refuses("elbv2", "CreateTargetGroup", "ModifyTargetGroup")
def _target_group(parameters: Parameters, _: str) -> None:
    path = parameters.get("HealthCheckPath")
    if path is not None and not path.startswith("/") and parameters.get("ProtocolVersion") != "GRPC":
        raise AwsError("ValidationError", f"Health check path '{path}' must begin with a '/' character")


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidInput", message)


@refuses("route53", "ChangeResourceRecordSets")
def _records(parameters: Parameters, _: str) -> None:
    zone = route53_backends[ACCOUNT]["aws"].zones.get(parameters["HostedZoneId"].rpartition("/")[2])
    for change in parameters["ChangeBatch"]["Changes"]:
        if change["Action"] != "DELETE":
            _record(change["ResourceRecordSet"], zone.name.rstrip(".") if zone else None)


def _record(record: Mapping[str, Any], zone: str | None) -> None:
    alias, values, ttl = (record.get(name) for name in ("AliasTarget", "ResourceRecords", "TTL"))
    shown = f"in Change with [Name={record['Name']}, Type={record['Type']}]"
    if alias and (values or ttl is not None):
        raise _invalid(
            "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or "
            f"TrafficPolicyInstanceId], but found more than one {shown}"
        )
    if not alias and ttl is None:
        raise _invalid(f"Invalid request: Missing field 'TTL' {shown}")
    if record.get("Failover") and not record.get("SetIdentifier"):
        raise _invalid(f"Invalid request: Missing field 'SetIdentifier' {shown}")
    if record["Type"] == "CNAME" and record["Name"].rstrip(".") == zone:
        raise AwsError(
            "InvalidChangeBatch",
            f"[RRSet of type CNAME with DNS name {zone}. is not permitted at apex in zone {zone}.]",
        )


@refuses("route53", "CreateHealthCheck")
def _health_check(parameters: Parameters, _: str) -> None:
    config = parameters["HealthCheckConfig"]
    if config.get("RequestInterval") not in (None, *INTERVALS):
        raise _invalid("Invalid parameter : Invalid RequestInterval: it must be 10 or 30 seconds.")
    if config["Type"].endswith("STR_MATCH") and not config.get("SearchString"):
        raise _invalid(f"Invalid parameter : SearchString is required for a health check of type {config['Type']}.")
