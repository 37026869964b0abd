"""Route 53: records and health checks."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.errors import ProviderError
from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Failure, Resource, Tags, call, f, fields, update

_ID: Final = re.compile(r"^(?P<zone>[^_]+)_(?P<name>.+?)_(?P<type>A|AAAA|CNAME|TXT|MX|NS|CAA|SRV)(?:_(?P<set>.+))?$")


def plain_name(name: Any) -> str:
    """Names compare without case, final dot and the prefix that dual-stack load balancers carry."""
    return re.sub(r"^dualstack\.", "", str(name).lower().rstrip("."))


def _same_name(old: Any, new: Any) -> bool:
    """The program may leave the zone out of a name."""
    full, given = plain_name(old), plain_name(new)
    return full == given or full.startswith(f"{given}.")


def _full_name(op: Operation) -> str:
    zone = plain_name(op.api("get_hosted_zone", Id=op.inputs["zoneId"])["HostedZone"]["Name"])
    name = plain_name(op.inputs["name"])
    return name if name == zone or name.endswith(f".{zone}") else f"{name}.{zone}"


def _record_set(op: Operation, name: str) -> dict[str, Any]:
    record: dict[str, Any] = {"Name": name, "Type": op.inputs["type"]}
    for source, member in (("setIdentifier", "SetIdentifier"), ("healthCheckId", "HealthCheckId")):
        if op.inputs.get(source):
            record[member] = op.inputs[source]
    if op.inputs.get("ttl") is not None:
        record["TTL"] = int(op.inputs["ttl"])
    if op.inputs.get("records"):
        record["ResourceRecords"] = [{"Value": value} for value in op.inputs["records"]]
    for alias in op.inputs.get("aliases") or []:
        record["AliasTarget"] = {
            "DNSName": alias["name"],
            "HostedZoneId": alias["zoneId"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
    for policy in op.inputs.get("failoverRoutingPolicies") or []:
        record["Failover"] = policy["type"]
    return record


def _change(op: Operation, zone: str, action: str, record: Mapping[str, Any]) -> None:
    """Change one record set and wait until all name servers know it."""
    batch = {"Comment": "Managed by Pulumi", "Changes": [{"Action": action, "ResourceRecordSet": record}]}
    change = op.api("change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]
    if change["Status"] != "INSYNC":
        op.until(
            lambda: op.api("get_change", Id=change["Id"])["ChangeInfo"]["Status"] == "INSYNC",
            f"waiting for {record['Name']}",
        )


def _create_record(op: Operation) -> str:
    zone, name = op.inputs["zoneId"], _full_name(op)
    action = "UPSERT" if op.inputs.get("allowOverwrite") else "CREATE"
    _change(op, zone, action, _record_set(op, name))
    parts = [zone, plain_name(op.inputs["name"]), op.inputs["type"], op.inputs.get("setIdentifier")]
    return "_".join(str(part) for part in parts if part)


def _update_record(op: Operation) -> None:
    _change(op, op.inputs["zoneId"], "UPSERT", _record_set(op, _full_name(op)))


def _find_record(op: Operation) -> dict[str, Any] | None:
    match = _ID.match(op.id)
    if match is None:
        raise ProviderError(f"{op.id!r} is no id of a record: ZONE_NAME_TYPE or ZONE_NAME_TYPE_SETIDENTIFIER")
    pages = op.client().get_paginator("list_resource_record_sets").paginate(HostedZoneId=match["zone"])
    for page in pages:
        for record in page["ResourceRecordSets"]:
            if (
                _same_name(_spelled(record["Name"]), match["name"])
                and record["Type"] == match["type"]
                and record.get("SetIdentifier") == match["set"]
            ):
                return dict(record)
    return None


def _spelled(name: str) -> str:
    """A name as people write it: Route 53 escapes the asterisk and ends with a dot."""
    return name.replace("\\052", "*").rstrip(".")


def _read_record(op: Operation) -> Description | None:
    record = _find_record(op)
    if record is None:
        return None
    alias = record.get("AliasTarget")
    return {
        **record,
        "zoneId": op.id.partition("_")[0],
        "records": [item["Value"] for item in record.get("ResourceRecords") or []],
        "failover": [{"type": record["Failover"]}] if record.get("Failover") else [],
        "aliases": [
            {
                "name": alias["DNSName"],
                "zoneId": alias["HostedZoneId"],
                "evaluateTargetHealth": alias["EvaluateTargetHealth"],
            }
        ]
        if alias
        else [],
    }


def _delete_record(op: Operation) -> None:
    record = _find_record(op)
    if record is not None:
        _change(op, op.id.partition("_")[0], "DELETE", record)


def _record_kind(inputs: Mapping[str, Any]) -> list[Failure]:
    if inputs.get("aliases") and (inputs.get("records") or inputs.get("ttl")):
        return [("aliases", "an alias record has neither records nor a ttl")]
    if inputs.get("records") and inputs.get("ttl") is None:
        return [("ttl", "a record that is no alias needs a ttl")]
    if inputs.get("failoverRoutingPolicies") and not inputs.get("setIdentifier"):
        return [("setIdentifier", "a failover record needs a setIdentifier")]
    return []


RECORD: Final = Resource(
    token="aws:route53/record:Record",
    service="route53",
    create=_create_record,
    read=_read_record,
    delete=_delete_record,
    inputs=(
        f("zoneId", replace=True),
        f("name", replace=True, equal=_same_name, decode=_spelled),
        # The plugin makes a record of another type or identifier within an update, which changes the id; the engine's
        # protocol has no word for that.
        *fields("type setIdentifier", replace=True),
        f("ttl", "TTL"),
        f("records", unordered=True),
        f("aliases", block=(f("name", equal=_same_name), f("zoneId"), f("evaluateTargetHealth"))),
        f("failoverRoutingPolicies", read="failover", block=fields("type")),
        f("healthCheckId"),
        f("allowOverwrite", read=None, default=False),
    ),
    outputs=(f("fqdn", get=lambda _, found: _spelled(found["Name"])),),
    updates=(update("ttl records aliases failoverRoutingPolicies healthCheckId", _update_record),),
    missing=("NoSuchHostedZone",),
    check=_record_kind,
)


# -- health checks


def _create_check(op: Operation) -> str:
    operation = call("create_health_check", {"CallerReference": lambda _: str(uuid.uuid4())}, "HealthCheck.Id")
    return str(op.call(operation, op.creating_fields()))


def _put_tags(op: Operation) -> None:
    wanted = op.tags()
    answer = op.api("list_tags_for_resource", ResourceType="healthcheck", ResourceId=op.id)
    present = {item["Key"]: item["Value"] for item in answer["ResourceTagSet"]["Tags"]}
    request: dict[str, Any] = {}
    if added := [{"Key": key, "Value": value} for key, value in wanted.items() if present.get(key) != value]:
        request["AddTags"] = added
    if removed := sorted(set(present) - set(wanted)):
        request["RemoveTagKeys"] = removed
    if request:
        op.api("change_tags_for_resource", ResourceType="healthcheck", ResourceId=op.id, **request)


def _config(name: str, member: str, **options: Any) -> Any:
    return f(name, f"HealthCheckConfig.{member}", **options)


CHECK_UPDATED: Final = {
    "fqdn": "FullyQualifiedDomainName",
    "port": "Port",
    "resourcePath": "ResourcePath",
    "searchString": "SearchString",
    "failureThreshold": "FailureThreshold",
    "invertHealthcheck": "Inverted",
    "enableSni": "EnableSNI",
    "childHealthThreshold": "HealthThreshold",
    "childHealthchecks": "ChildHealthChecks",
    "disabled": "Disabled",
}


def _update_check(op: Operation) -> None:
    request = {member: op.wanted(name) for name, member in CHECK_UPDATED.items() if name in op.changed}
    for member in ("Port", "FailureThreshold", "HealthThreshold"):
        if request.get(member) is not None:
            request[member] = int(request[member])
    given = {member: value for member, value in request.items() if value is not None}
    op.api("update_health_check", HealthCheckId=op.id, **given)


HEALTH_CHECK: Final = Resource(
    token="aws:route53/healthCheck:HealthCheck",
    service="route53",
    create=_create_check,
    read=call("get_health_check", {"HealthCheckId": "$id"}, "HealthCheck"),
    delete=call("delete_health_check", {"HealthCheckId": "$id"}),
    inputs=(
        _config("type", "Type", replace=True),
        _config("requestInterval", "RequestInterval", replace=True, computed=True),
        _config("fqdn", CHECK_UPDATED["fqdn"]),
        _config("port", CHECK_UPDATED["port"], computed=True),
        _config("resourcePath", CHECK_UPDATED["resourcePath"]),
        _config("searchString", CHECK_UPDATED["searchString"]),
        _config("failureThreshold", CHECK_UPDATED["failureThreshold"], computed=True),
        _config("invertHealthcheck", CHECK_UPDATED["invertHealthcheck"]),
        _config("enableSni", CHECK_UPDATED["enableSni"], computed=True),
        _config("childHealthThreshold", CHECK_UPDATED["childHealthThreshold"]),
        _config("childHealthchecks", CHECK_UPDATED["childHealthchecks"], unordered=True),
        _config("disabled", CHECK_UPDATED["disabled"], computed=True),
    ),
    outputs=(f("arn", get=lambda op, _: f"arn:aws:route53:::healthcheck/{op.id}"),),
    updates=(update(" ".join(CHECK_UPDATED), _update_check),),
    tags=Tags(
        create="",
        read=call(
            "list_tags_for_resource", {"ResourceType": "healthcheck", "ResourceId": "$id"}, "ResourceTagSet.Tags"
        ),
        put=_put_tags,
    ),
    missing=("NoSuchHealthCheck",),
)

RESOURCES: Final = (RECORD, HEALTH_CHECK)
