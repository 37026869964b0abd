"""Every rule of the settings refuses what it should, and names what is allowed."""

from typing import Any

import pytest

from components.settings.services import FARGATE_MEMORY
from components.settings.stack import no_such_generation
from components.settings.windows import check_apart, daily_window
from tests.components.examples import (
    KENYA,
    MISSING,
    SOURCE_ARN,
    SOUTH_AFRICA,
    Path_,
    default,
    from_source,
    refused,
    settings,
)

SERVICES = "services"
DATABASE = "database"
ONE_GENERATION = {"name": "first", "origin": "newest"}

TIME = "2026-03-02T09:14:30+03:00"


def to_a_time(origin: str, of: str | None = "first") -> list[dict[str, Any]]:
    """Two generations, the second from a time of the first."""
    restored = {"name": "restored", "origin": origin, **({} if of is None else {"of": of})}
    return [ONE_GENERATION, restored]


FAULTS: list[tuple[Path_, Any, str]] = [
    (("region",), "kenya", "aws:region = kenya: allowed: text that matches"),
    (("shortName",), "SA", "mental-health-platform:shortName = SA: allowed: text that matches"),
    (
        ("accountId",),
        "12345",
        "Pulumi.yaml: mental-health-platform:accountId = 12345: allowed: text that matches ^\\d{12}$ (12 digits)",
    ),
    (("zoneId",), MISSING, "mental-health-platform:zoneId = (missing): written by `dr bootstrap`"),
    (("standby",), "perhaps", "mental-health-platform:standby = perhaps: allowed: true, false"),
    (("standby",), "no", "mental-health-platform:standby = no: allowed: true, false"),
    (("standby",), MISSING, "mental-health-platform:standby = (missing): required"),
    (("peer", "region"), "af-south-1", "peer.region must differ from aws:region (af-south-1)"),
    (("peer", "region"), "Ireland", "peer.region = Ireland: allowed: text that matches"),
    (("peer", "stack"), "south-africa", "must name another stack than south-africa"),
    (("peer", "shortName"), "sa", "must name another stack than south-africa"),
    (("protects",), "elsewhere", "protects: elsewhere; allowed: kenya (the peer) or absent"),
    (("network", "cidr"), "10.20.0.1/16", "network.cidr = 10.20.0.1/16: 10.20.0.1/16 has host bits set"),
    (("network", "cidr"), "10.20.0.0/24", "a private IPv4 range between /16 and /20"),
    (("network", "cidr"), "8.8.0.0/16", "a private IPv4 range between /16 and /20"),
    (("network", "cidr"), "fd00::/16", "a private IPv4 range between /16 and /20"),
    (("dns", "role"), "tertiary", "dns.role = tertiary: allowed: 'primary' or 'secondary'"),
    (default("dns", "ttl"), 301, "Pulumi.yaml: mental-health-platform:defaults.dns.ttl = 301: Input should be less"),
    (default("dns", "ttl"), 9, "defaults.dns.ttl = 9: Input should be greater than or equal to 10"),
    (default("dns", "domain"), "platform.example.net", "must be example.org or end with .example.org"),
    (default("dns", "domain"), "notexample.org", "must be example.org or end with .example.org"),
    (default("dns", "zone"), "no zone", "defaults.dns.zone = no zone: allowed: text that matches"),
    (default(DATABASE, "instanceClass"), "m6g.large", "instanceClass = m6g.large: allowed: text that matches"),
    (default(DATABASE, "allocatedStorage"), 19, "allocatedStorage = 19: Input should be greater than or equal to 20"),
    (default(DATABASE, "engineVersion"), "17", "engineVersion = 17: allowed: text that matches"),
    (default(DATABASE, "name"), "my-data", "database.name = my-data: allowed: text that matches"),
    (default(DATABASE, "rpoMinutes"), 0, "rpoMinutes = 0: Input should be greater than or equal to 1"),
    ((DATABASE, "standbySource"), "tape", "'snapshot-copies', 'replicated-backups' or 'read-replica'"),
    ((DATABASE, "standbySource"), "read-replica", "standbySource read-replica needs standbySourceArn, the output"),
    ((DATABASE, "standbySource"), "replicated-backups", "until the peer has a database, set snapshot-copies"),
    ((DATABASE, "standbySourceArn"), SOURCE_ARN, "standbySourceArn is for standbySource replicated-backups or read-"),
    ((DATABASE, "standbySourceArn"), "kenya-rds", "database.standbySourceArn = kenya-rds: allowed: text that matches"),
    (default(DATABASE, "engineVersion"), "13.9", "engineVersion = 13.9: allowed: text that matches"),
    ((DATABASE, "backupRetentionDays"), 0, "backupRetentionDays = 0: Input should be greater than or equal to 1"),
    ((DATABASE, "backupRetentionDays"), 36, "backupRetentionDays = 36: Input should be less than or equal to 35"),
    ((DATABASE, "backupWindow"), "3:00-3:30", "database.backupWindow = 3:00-3:30: allowed: hh:mm-hh:mm in UTC"),
    ((DATABASE, "backupWindow"), "03:00-24:00", "allowed: hh:mm-hh:mm in UTC, such as 03:00-03:30"),
    ((DATABASE, "backupWindow"), "03:00-03:29", "03:00-03:29 lasts 29 minutes; allowed: 30 minutes to 24 hours"),
    ((DATABASE, "backupWindow"), "03:00-03:00", "03:00-03:00 lasts 0 minutes; allowed: 30 minutes to 24 hours"),
    ((DATABASE, "maintenanceWindow"), "Sun:04:30-Sun:05:30", "in UTC, lower case, such as sun:04:30-sun:05:30"),
    ((DATABASE, "maintenanceWindow"), "sun:04:30-sun:04:50", "lasts 20 minutes; allowed: 30 minutes to 24 hours"),
    ((DATABASE, "maintenanceWindow"), "sun:04:30-tue:05:30", "lasts 2940 minutes; allowed: 30 minutes to 24 hours"),
    ((DATABASE, "maintenanceWindow"), "wed:03:15-wed:04:15", "overlaps maintenanceWindow wed:03:15-wed:04:15 on wed"),
    ((DATABASE, "backupWindow"), "04:00-06:00", "backupWindow 04:00-06:00 overlaps maintenanceWindow sun:04:30-sun:05"),
    ((DATABASE, "generations"), [], "database.generations = []: Tuple should have at least 1 item"),
    ((DATABASE, "generations"), [ONE_GENERATION] * 2, "generations need distinct names, these are first, first"),
    (
        (DATABASE, "generations", 0, "origin"),
        "17 March",
        "generations[0].origin = 17 March: allowed: text that matches",
    ),
    ((DATABASE, "generations"), to_a_time("2026-03-02T09:14:30"), "a time in quotes, to the second and with its zone"),
    ((DATABASE, "generations"), to_a_time("2026-03-02T09:14Z"), "generations[1].origin = 2026-03-02T09:14Z: allowed"),
    ((DATABASE, "generations"), to_a_time("2026-02-30T09:14:30Z"), "no such time: day is out of range for month"),
    (
        (DATABASE, "generations"),
        to_a_time(TIME, of=None),
        "restored has a time as its origin and needs of, the name of",
    ),
    ((DATABASE, "generations"), to_a_time(TIME, of="restored"), "of an earlier generation; allowed: first"),
    (
        (DATABASE, "generations"),
        to_a_time("newest"),
        "of first, which is for a time as origin; leave it out with origin",
    ),
    ((DATABASE, "generations"), to_a_time(TIME)[1:], "allowed: none, it is the first"),
    (
        (DATABASE, "generations", 0, "identifier"),
        "mental-health-platform--x",
        "generations[0].identifier = mental-health-platform--x: allowed: text that matches",
    ),
    ((DATABASE, "generations", 0, "identifier"), "other-rds", "must start with mental-health-platform-"),
    ((SERVICES,), [], "mental-health-platform:services = []: Tuple should have at least 1 item"),
    ((SERVICES, 0, "priority"), "urgent", "services[0].priority = urgent: allowed: 'critical' or 'standard'"),
    ((SERVICES, 0, "queue"), "both", "services[0].queue = both: allowed: 'send', 'receive' or 'none'"),
    ((SERVICES, 0, "image"), "docker.io/library/nginx", "services[0].image = docker.io/library/nginx: allowed: text"),
    ((SERVICES, 0, "digest"), "sha256:short", "services[0].digest = sha256:short: allowed: text that matches"),
    ((SERVICES, 0, "version"), "1 4", "services[0].version = 1 4: allowed: text that matches"),
    ((SERVICES, 0, "port"), 70000, "services[0].port = 70000: Input should be less than or equal to 65535"),
    ((SERVICES, 0, "desiredCount"), 0, "services[0].desiredCount = 0: Input should be greater than or equal to 1"),
    ((SERVICES, 0, "minCount"), 0, "services[0].minCount = 0: Input should be greater than or equal to 1"),
    ((SERVICES, 0, "minCount"), 3, "minCount 3, desiredCount 2, maxCount 20: none may be less than the one before"),
    ((SERVICES, 0, "maxCount"), 1, "minCount 2, desiredCount 2, maxCount 1: none may be less than the one before"),
    ((SERVICES, 0, "desiredCount"), 6, "minCount 2: a critical service needs at least half of its desiredCount, 3"),
    ((SERVICES, 0, "audio"), "delete", "services[0].audio = delete: allowed: 'none', 'read' or 'write'"),
    ((SERVICES, 0, "scratch"), "yes", "services[0].scratch = yes: allowed: true, false"),
    ((SERVICES, 0, "standbyCount"), 1, "standbyCount of crisis-detection must be 0 while standing by, because they"),
    ((SERVICES, 0, "path"), "crisis", "services[0].path = crisis: allowed: text that matches"),
    ((SERVICES, 0, "path"), MISSING, "crisis-detection is critical and needs a path"),
    ((SERVICES, 0, "cpu"), 300, "cpu 300 is none of 256, 512, 1024, 2048, 4096"),
    ((SERVICES, 0, "memory"), 512, "memory 512 is not offered for cpu 512, which takes 1024, 2048, 3072, 4096"),
    ((SERVICES, 0, "name"), "x" * 26, "'mhp-sa-" + "x" * 26 + "' (33 characters) is no valid target-group name"),
    ((SERVICES, 0, "name"), "sync", "services need distinct names, these are sync, api-gateway, sync"),
    (
        (SERVICES, 0, "ownsSchema"),
        True,
        "that needs the database (the others wait for its schema); set: crisis-detection, api-gateway",
    ),
    (
        (SERVICES, 1, "needsDatabase"),
        False,
        "ownsSchema is for one critical service that needs the database",
    ),
    (("crisis", "phoneLines"), [], "crisis.phoneLines = []: Tuple should have at least 1 item"),
    (("crisis", "phoneLines", 0, "number"), "call me", "crisis.phoneLines[0].number = call me: allowed: text"),
    (("crisis", "text"), "x" * 1100, "bytes, a fixed response holds 1024"),
    (("crisis", "text"), "ü" * 400, "bytes, a fixed response holds 1024"),
]


@pytest.mark.parametrize(
    ("path", "value", "expected"), FAULTS, ids=[f"{path}-{value}"[:60] for path, value, _ in FAULTS]
)
def test_a_wrong_value_is_refused_with_what_is_allowed(path: Path_, value: Any, expected: str) -> None:
    message = refused({path: value})
    assert expected in message
    assert "Pulumi.yaml: " in message or "Pulumi.south-africa.yaml: " in message
    assert "nothing was changed" in message


@pytest.mark.parametrize(
    ("first", "second", "answers"),
    [
        ("/api/*", "/api/*", "crisis-detection answers /api/*"),
        ("/api/*", "/api/v2/*", "crisis-detection answers /api/*"),
        ("/*", "/api/*", "crisis-detection answers /*"),
        ("/health", "/api/*", "the platform itself answers /health"),
        ("/.well-known/dr/taken-over", "/api/*", "the platform itself answers /.well-known/dr/taken-over"),
    ],
)
def test_a_path_that_is_never_reached_is_refused(first: str, second: str, answers: str) -> None:
    message = refused({(SERVICES, 0, "path"): first, (SERVICES, 1, "path"): second})
    assert f"{answers} before it; give it another path, or put the narrower one first" in message


def test_a_narrower_path_may_come_first() -> None:
    accepted = settings(changes={(SERVICES, 0, "path"): "/api/crisis/*", (SERVICES, 1, "path"): "/api/*"})
    assert [service.path for service in accepted.services[:2]] == ["/api/crisis/*", "/api/*"]


def test_no_critical_service_is_refused() -> None:
    message = refused({(SERVICES, 0, "priority"): "standard", (SERVICES, 1, "priority"): "standard"})
    assert "at least one must be critical" in message


def test_two_generations_with_one_identifier_are_refused() -> None:
    second = {"name": "second", "origin": "newest", "identifier": "mental-health-platform-sa-rds"}
    assert "need distinct identifiers" in refused({(DATABASE, "generations"): [ONE_GENERATION, second]})


@pytest.mark.parametrize(
    ("cpu", "memory"), [(cpu, memory) for cpu, choice in FARGATE_MEMORY.items() for memory in choice]
)
def test_every_size_of_fargate_is_accepted(cpu: int, memory: int) -> None:
    accepted = settings(changes={(SERVICES, 0, "cpu"): cpu, (SERVICES, 0, "memory"): memory})
    assert (accepted.services[0].cpu, accepted.services[0].memory) == (cpu, memory)


@pytest.mark.parametrize("cpu", FARGATE_MEMORY)
def test_sizes_next_to_what_fargate_offers_are_refused(cpu: int) -> None:
    for memory in (FARGATE_MEMORY[cpu][0] - 256, FARGATE_MEMORY[cpu][-1] + 1024, FARGATE_MEMORY[cpu][0] + 1):
        message = refused({(SERVICES, 0, "cpu"): cpu, (SERVICES, 0, "memory"): memory})
        assert f"memory {memory} is not offered for cpu {cpu}" in message


def test_a_service_without_a_database_may_run_while_standing_by() -> None:
    changes: dict[Path_, Any] = {(SERVICES, 2, "needsDatabase"): False, (SERVICES, 2, "standbyCount"): 1}
    standing_by = settings(changes=changes)
    assert standing_by.standby
    assert standing_by.runs_something
    assert not settings().runs_something


def test_a_service_that_needs_the_database_may_run_beside_a_replica() -> None:
    changes: dict[Path_, Any] = {**from_source("read-replica"), (SERVICES, 0, "standbyCount"): 1}
    assert settings(changes=changes).runs_something
    refusal = refused({**changes, (DATABASE, "standbySource"): "replicated-backups"})
    assert "only standbySource read-replica gives a standby one" in refusal
    # A shared list of services is no fault of the stack that serves.
    assert settings(KENYA, {(SERVICES, 0, "standbyCount"): 1}).services[0].standby_count == 1


@pytest.mark.parametrize(
    "arn",
    [
        SOURCE_ARN.replace("eu-west-1", "eu-central-1"),
        SOURCE_ARN.replace("123456789012", "999999999999"),
        SOURCE_ARN.replace("kenya", "sa"),
        f"{SOURCE_ARN}x",
    ],
)
def test_only_a_database_of_the_peer_can_be_the_source(arn: str) -> None:
    changes = {**from_source("read-replica"), (DATABASE, "standbySourceArn"): arn}
    assert f"standbySourceArn: {arn} is no database of kenya; allowed: {SOURCE_ARN}" in refused(changes)


def test_a_later_generation_of_the_peer_can_be_the_source() -> None:
    changes = {**from_source("read-replica"), (DATABASE, "standbySourceArn"): f"{SOURCE_ARN}-second"}
    assert settings(changes=changes).database.standby_source_arn == f"{SOURCE_ARN}-second"


def test_windows_may_go_over_midnight_and_the_end_of_the_week() -> None:
    assert daily_window("23:45-00:15") == "23:45-00:15"
    check_apart("23:45-00:15", "sun:00:15-sun:00:45")
    for touching in ("mon:00:00-mon:00:30", "sun:23:30-mon:00:00", "sat:23:00-sun:01:00"):
        with pytest.raises(ValueError, match="overlaps"):
            check_apart("23:45-00:15", touching)


def test_the_plans_values_are_the_defaults() -> None:
    database = settings().database
    assert (database.backup_window, database.backup_retention_days, database.rpo_minutes) == ("03:00-03:30", 7, 60)


@pytest.mark.parametrize(
    ("source", "minutes"), [("snapshot-copies", 60), ("replicated-backups", 30), ("read-replica", 10)]
)
def test_every_source_has_its_own_tolerated_loss_below_the_plans(source: str, minutes: int) -> None:
    changes = {} if source == "snapshot-copies" else from_source(source)
    assert settings(changes=changes).database.tolerated_loss_minutes == minutes
    assert settings(changes={**changes, default(DATABASE, "rpoMinutes"): 5}).database.tolerated_loss_minutes == 5
    assert settings(KENYA).database.tolerated_loss_minutes == 60


def test_the_longest_target_group_name_is_accepted() -> None:
    assert settings(changes={(SERVICES, 2, "name"): "x" * 25}).services[2].name == "x" * 25


def test_a_pointer_to_nothing_is_described() -> None:
    assert no_such_generation(settings()) is None
    described = no_such_generation(settings(changes={(DATABASE, "serving"): "second"}))
    assert described == "database.serving: second names no generation; allowed: first"


def test_a_restore_that_is_under_way_names_a_generation_and_a_moment_with_its_zone() -> None:
    assert settings(KENYA).database.restoring is None
    place = (DATABASE, "restoring")
    under_way = {"generation": "first", "damageFrom": "2026-03-02T06:14:30Z"}
    found = settings(KENYA, {place: under_way}).database.restoring
    assert found is not None
    assert (found.generation, found.damage_from) == ("first", "2026-03-02T06:14:30Z")
    assert "restoring: second names no generation; allowed: first, or absent" in refused(
        {place: {"generation": "second"}}, KENYA
    )
    assert "damageFrom" in refused({place: {**under_way, "damageFrom": "2026-03-02T06:14:30"}}, KENYA)


def test_the_stacks_are_two_halves_of_one() -> None:
    kenya, south_africa = settings(KENYA), settings(SOUTH_AFRICA)
    assert (kenya.peer.stack, south_africa.peer.stack) == (south_africa.stack, kenya.stack)
    assert (kenya.peer.region, south_africa.peer.region) == (south_africa.region, kenya.region)
    assert (kenya.peer.short_name, south_africa.peer.short_name) == (south_africa.short_name, kenya.short_name)
    assert kenya.protects == SOUTH_AFRICA
    assert kenya.reads_peer
    # Promotion must not need the failed region.
    assert not south_africa.reads_peer
    assert (kenya.standby, south_africa.standby) == (False, True)
    assert [kenya.owns_shared, south_africa.owns_shared] == [False, True]
    assert kenya.services == south_africa.services
    assert south_africa.database.standby_source == "snapshot-copies"
    assert [g.origin for g in south_africa.database.generations] == ["newest"]


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings().standby = False


def test_an_image_is_named_by_tag_and_digest() -> None:
    service = next(service for service in settings().services if service.name == "sync")
    assert service.image_reference == f"{service.image}:0.9.1@{service.digest}"
    assert settings().health_service == "crisis-detection"
