"""Route 53: failover records answered as its name servers do, and what its API refuses or moto gets wrong.

GET /_sandbox/resolve?name=… answers for the public internet. Name servers are a data plane of their own: they answer
whatever region is lost.
"""

from __future__ import annotations

import threading
import uuid
from typing import Any

from moto.core.responses import ActionResult
from moto.route53.exceptions import InvalidInput, NoSuchHealthCheck
from moto.route53.models import FakeZone, RecordSet, Route53Backend, route53_backends
from moto.route53.responses import Route53

from sandbox.clock import minutes
from sandbox.cloud.context import ACCOUNT, BadRequest, Cloud
from sandbox.cloud.emulations import health_checks, targets
from sandbox.cloud.emulations.health_checks import HealthChecks
from sandbox.cloud.emulations.load_balancers import balancers
from sandbox.cloud.emulations.patching import replace

ALIAS_TTL = 60  # seconds; an alias to a load balancer has that one's TTL (Route 53 developer guide, alias records)
_PUBLIC_TLS_PORT = 443
_HTTPS_TYPES = ("HTTPS", "HTTPS_STR_MATCH")


_names: Names | None = None


def health() -> HealthChecks:
    """The health checks of the running cloud."""
    if _names is None:
        raise RuntimeError("DNS is not installed")
    return _names.checks


def install(cloud: Cloud) -> None:
    """Evaluate records and health checks."""
    global _names
    names = _names = Names(cloud)
    _patch_records(cloud)
    _patch_health_checks(names.checks)
    cloud.route("GET", "resolve", names.resolve)
    cloud.route("GET", "health-checks", lambda _: names.checks.overview())


class Names:
    """Answers for the names in the hosted zones."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._last: dict[str, str] = {}  # name -> set identifier, to tell changes
        self._lock = threading.Lock()
        self.checks = HealthChecks(cloud, self._alias_target)
        cloud.every(targets.tick_minutes(cloud), self._watch, "dns changes")

    def resolve(self, data: dict[str, Any]) -> dict[str, Any]:
        """The control call: which load balancer a name leads to now, and where it listens on this machine."""
        name = data.get("name")
        if not isinstance(name, str) or not name:
            raise BadRequest("name is missing")
        record = self.answer(name)
        if record is None or not record.alias_target:
            raise BadRequest(f"{name} has no alias record in any hosted zone")
        target = str(record.alias_target["DNSName"])
        found = balancers().find(target)
        if found is None:
            raise BadRequest(f"{name} leads to {target}, which does not exist")
        region, balancer = found
        return {
            "name": name,
            "record": record.set_identifier,
            "target": balancer.dns_name,
            "region": region,
            "address": "127.0.0.1",
            "port": balancers().loopback_port(balancer, _PUBLIC_TLS_PORT),
            "ttl": ALIAS_TTL,
        }

    def answer(self, name: str) -> RecordSet | None:
        """The record that answers an A query."""
        records = _records(name, "A")
        primary = next((found for found in records if found.failover == "PRIMARY"), None)
        secondary = next((found for found in records if found.failover == "SECONDARY"), None)
        if primary is None and secondary is None:
            return records[0] if records else None
        if primary is None or secondary is None:
            return primary or secondary
        if not self._healthy(primary) and self._healthy(secondary):
            return secondary
        return primary  # also when both are unhealthy

    def _healthy(self, record: RecordSet) -> bool:
        if record.health_check_id and not self.checks.healthy(record.health_check_id):
            return False
        alias = record.alias_target
        if not alias or str(alias.get("EvaluateTargetHealth")).lower() != "true":
            return True
        found = balancers().find(str(alias["DNSName"]))
        return found is not None and balancers().healthy_for_dns(found[1], found[0])

    def _alias_target(self, name: str) -> str | None:
        record = self.answer(name)
        return str(record.alias_target["DNSName"]) if record is not None and record.alias_target else None

    def _watch(self) -> None:
        """Tell when a failover name starts to lead elsewhere."""
        for name in _failover_names():
            record = self.answer(name)
            if record is None:
                continue
            with self._lock:
                before, self._last[name] = self._last.get(name), str(record.set_identifier)
            if before != record.set_identifier:
                found = balancers().find(str((record.alias_target or {}).get("DNSName", "")))
                region = found[0] if found else None
                self._cloud.emit(
                    "dns.changed", name=name.rstrip("."), record=record.set_identifier, before=before, region=region
                )


def _zones() -> list[FakeZone]:
    return [zone for zone in list(route53_backends[ACCOUNT]["aws"].zones.values()) if not zone.private_zone]


def _records(name: str, record_type: str) -> list[RecordSet]:
    wanted = name.rstrip(".").lower()
    return [
        record
        for zone in _zones()
        for record in list(zone.rrsets)
        if record.type == record_type and record.name.rstrip(".").lower() == wanted
    ]


def _failover_names() -> set[str]:
    return {record.name for zone in _zones() for record in list(zone.rrsets) if record.failover and record.type == "A"}


# -- records: what moto gets wrong --------------------------------------------------------------------------------
def _patch_records(cloud: Cloud) -> None:
    change, respond = Route53Backend.change_resource_record_sets, Route53.change_resource_record_sets
    submitted: dict[str, Any] = {}  # change id -> (modelled time, epoch when in sync)

    def change_records(self: Route53Backend, zoneid: str, change_list: list[dict[str, Any]]) -> None:
        zone = self.get_hosted_zone(zoneid)
        for item in change_list:
            _check_change(zone, item)
        kept = [_key(record) for record in zone.rrsets]
        deleted = [_identity(item["ResourceRecordSet"]) for item in change_list if item["Action"] == "DELETE"]
        before = list(zone.rrsets)
        change(self, zoneid, change_list)
        # moto deletes by set identifier alone, whatever the name, or by name whatever the identifier.
        lost = [record for record, key in zip(before, kept, strict=True) if record not in zone.rrsets]
        upserted = {_identity(item["ResourceRecordSet"]) for item in change_list if item["Action"] == "UPSERT"}
        zone.rrsets += [record for record in lost if _key(record) not in {*deleted, *upserted}]

    def change_response(self: Route53) -> ActionResult:
        respond(self)
        identifier = f"/change/C{uuid.uuid4().hex[:13].upper()}"
        now = cloud.clock.now()
        submitted[identifier] = (now, cloud.clock.epoch() + minutes("route53.change") * 60)
        return ActionResult({"ChangeInfo": {"Id": identifier, "Status": "PENDING", "SubmittedAt": now}})

    def get_change(self: Route53) -> ActionResult:
        identifier = "/change/" + str(self._get_param("Id")).removeprefix("/change/")
        if identifier not in submitted:
            raise InvalidInput(f"Could not find resource with ID: {identifier}")
        since, due = submitted[identifier]
        status = "INSYNC" if cloud.clock.epoch() >= due else "PENDING"
        return ActionResult({"ChangeInfo": {"Id": identifier, "Status": status, "SubmittedAt": since}})

    replace(Route53Backend, change_resource_record_sets=change_records)
    replace(Route53, change_resource_record_sets=change_response, get_change=get_change)


_Key = tuple[str, str, str | None]


def _key(record: RecordSet) -> _Key:
    return record.name.rstrip(".").lower(), str(record.type), record.set_identifier


def _identity(record: dict[str, Any]) -> _Key:
    return record["Name"].rstrip(".").lower(), record["Type"], record.get("SetIdentifier")


def _check_change(zone: FakeZone, change: dict[str, Any]) -> None:
    record = change["ResourceRecordSet"]
    exists = any(_key(found) == _identity(record) for found in zone.rrsets)
    if change["Action"] == "CREATE" and exists:
        raise InvalidChangeBatch(
            f"[Tried to create resource record set [name='{record['Name'].rstrip('.')}.', type='{record['Type']}'"
            + (f", set-identifier='{record['SetIdentifier']}'" if record.get("SetIdentifier") else "")
            + "] but it already exists]"
        )
    if change["Action"] == "DELETE" and not exists:
        raise InvalidChangeBatch(
            f"[Tried to delete resource record set [name='{record['Name'].rstrip('.')}.', type='{record['Type']}'] "
            "but it was not found]"
        )
    alias = record.get("AliasTarget")
    if change["Action"] == "DELETE" or not alias or ".elb.amazonaws.com" not in alias["DNSName"]:
        return
    found = balancers().find(str(alias["DNSName"]))
    if found is None or found[1].canonical_hosted_zone_id != alias["HostedZoneId"]:
        raise InvalidChangeBatch(
            f"[Tried to create an alias that targets {alias['DNSName']}, type {record['Type']} in zone "
            f"{alias['HostedZoneId']}, but the alias target name does not lie within the target zone]"
        )


class InvalidChangeBatch(InvalidInput):
    """Route 53's answer to a change that it cannot make."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = "InvalidChangeBatch"


# -- health checks: what moto gets wrong --------------------------------------------------------------------------
def _patch_health_checks(checks: HealthChecks) -> None:
    create, update = Route53Backend.create_health_check, Route53Backend.update_health_check
    delete = Route53Backend.delete_health_check

    def create_check(self: Route53Backend, caller_reference: str, health_check_args: dict[str, Any]) -> Any:
        if health_check_args["type"] not in health_checks.MODELLED:
            raise NotImplementedError(f"health check of type {health_check_args['type']}")
        for child in health_check_args.get("children") or []:
            if child not in self.health_checks:
                raise InvalidInput(f"Health check {child} does not exist")
        for existing in self.health_checks.values():
            if existing.caller_reference == caller_reference:
                raise AlreadyExists(f"A health check with the caller reference {caller_reference} exists already")
        if not health_check_args.get("port") and health_check_args["type"] in _HTTPS_TYPES:
            health_check_args["port"] = 443
        return create(self, caller_reference, health_check_args)

    def update_check(self: Route53Backend, health_check_id: str, health_check_args: dict[str, Any]) -> Any:
        if not health_check_args.get("children"):
            health_check_args.pop("children", None)  # moto empties the list when the request has none
        if not health_check_args.get("regions"):
            health_check_args.pop("regions", None)
        check = update(self, health_check_id, health_check_args)
        check.health_check_version += 1
        return check

    def delete_check(self: Route53Backend, health_check_id: str) -> None:
        if health_check_id not in self.health_checks:
            raise NoSuchHealthCheck(health_check_id)
        parents = [found for found in self.health_checks.values() if health_check_id in (found.children or [])]
        if parents:
            raise HealthCheckInUse(f"Health check {health_check_id} is a child of {parents[0].id}")
        delete(self, health_check_id)

    def get_status(self: Route53) -> ActionResult:
        check = self.backend.get_health_check(self._get_param("HealthCheckId"))
        if check.type_ == "CALCULATED":
            raise InvalidInput("The status of a calculated health check cannot be requested")
        seen = checks.observation(check.id)
        if seen.checked_at is None:
            return ActionResult({"HealthCheckObservations": []})
        report = {"Status": seen.status, "CheckedTime": seen.checked_at}
        observation = {"Region": "us-east-1", "IPAddress": "127.0.0.1", "StatusReport": report}
        return ActionResult({"HealthCheckObservations": [observation]})

    replace(
        Route53Backend,
        create_health_check=create_check,
        update_health_check=update_check,
        delete_health_check=delete_check,
    )
    replace(Route53, get_health_check_status=get_status)


class AlreadyExists(InvalidInput):
    """Two health checks with one caller reference."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = "HealthCheckAlreadyExists"


class HealthCheckInUse(InvalidInput):
    """A health check that another one is calculated from."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = "HealthCheckInUse"
