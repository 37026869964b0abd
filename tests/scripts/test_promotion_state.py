"""What an interrupted promotion leaves (locks, pending creates) and how it is put right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.errors import CredentialsError, IncompleteError, LockedError
from scripts.promotion import adoption, leftovers, locks, replicas
from scripts.promotion.record import Record
from scripts.promotion.recovery import Recovery
from tests.scripts.made_up_site import ALIVE, DATABASE, DEAD, STACK, URN, MadeUp, denied, lock, pending, state

TAGS = [{"Key": "Stack", "Value": STACK}]
RESTORED = {"DBInstanceIdentifier": DATABASE, "DbiResourceId": "db-1", "DBInstanceStatus": "available", "TagList": TAGS}
NAT = f"urn:pulumi:{STACK}::mental-health-platform::platform:network:Network$aws:ec2/natGateway:NatGateway::nat-a"
GATE = f"urn:pulumi:{STACK}::mental-health-platform::pulumi-python:dynamic/takeover:HealthyTargets::gate"
STRANGE = f"urn:pulumi:{STACK}::mental-health-platform::aws:sqs/queue:Queue::queue"


@pytest.fixture
def site(tmp_path: Path) -> MadeUp:
    return MadeUp(tmp_path)


@pytest.fixture
def recovery(site: MadeUp, tmp_path: Path) -> Recovery:
    return Recovery(site, Record(tmp_path / "record"), wait=lambda _: None)


def program(pid: int) -> str:
    return {ALIVE: "pulumi"}.get(pid, "")


# -- locks --------------------------------------------------------------------------------------------------------
def test_only_a_dead_process_of_this_machine_and_user_gives_its_lock_up() -> None:
    assert locks.ours_and_dead(lock(DEAD), program)
    assert locks.ours_and_dead(lock(DEAD), lambda _: "bash"), "the id was used again"
    assert not locks.ours_and_dead(lock(ALIVE), program)
    assert not locks.ours_and_dead(lock(DEAD, host="elsewhere"), program)
    assert not locks.ours_and_dead(lock(DEAD, user="somebody"), program)


def test_a_lock_that_cannot_be_read_belongs_to_somebody_else() -> None:
    for body in (b"", b"{}", b'{"pid": "x"}', b"[]"):
        assert not locks.ours_and_dead(locks.parse("key", body), program)
    said = json.dumps({"pid": 7, "username": "u", "hostname": "h", "timestamp": "t"}).encode()
    assert locks.parse("key", said).holder == "process 7 of u on h, since t"


def test_locks_of_other_stacks_are_not_this_ones() -> None:
    assert locks.of_stack(lock().key, STACK)
    assert not locks.of_stack(lock().key, "kenya")
    assert not locks.of_stack(".pulumi/locks/organization/south-africa/kenya/1.json", STACK)


def test_a_refusal_says_who_and_the_exact_command() -> None:
    told, hint = locks.refusal(lock(host="laptop", user="amina"), STACK)
    assert "amina on laptop" in told
    assert f"pulumi cancel -s {STACK}" in hint
    assert f"kill -INT {ALIVE}" in locks.refusal(lock(ALIVE), STACK)[1]


# -- the state ----------------------------------------------------------------------------------------------------
def test_an_adopted_create_becomes_a_resource_that_does_not_know_its_password() -> None:
    fixed = leftovers.repaired(state(pending()), {URN: "db-1"}, set())["deployment"]
    assert fixed["pending_operations"] == []
    adopted = fixed["resources"][-1]
    assert (adopted["id"], adopted["urn"]) == ("db-1", URN)
    assert adopted["outputs"] == {"id": "db-1", "identifier": DATABASE, "multiAz": True}
    assert "password" not in adopted["inputs"]


def test_a_create_that_ended_in_an_error_is_put_right_in_its_place() -> None:
    half = {**pending()["resource"], "id": "db-1", "initErrors": ["interrupted"], "outputs": {"password": "x"}}
    before = state(resources=(half, {"urn": "after", "type": "x:y:Z"}))
    fixed = leftovers.repaired(before, {URN: "db-1"}, set())["deployment"]["resources"]
    assert [resource["urn"] for resource in fixed[1:]] == [URN, "after"]
    assert "initErrors" not in fixed[1]
    assert "password" not in fixed[1]["outputs"]
    assert "initErrors" in before["deployment"]["resources"][1], "the document given is not changed"


def test_what_nobody_can_judge_stays_pending() -> None:
    document = state(pending(), pending(urn=STRANGE), pending("updating", urn=GATE))
    left = leftovers.repaired(document, {}, {URN})["deployment"]["pending_operations"]
    assert [operation["resource"]["urn"] for operation in left] == [STRANGE]
    assert leftovers.others_pending(document) == ["updating gate"]


# -- recovery -----------------------------------------------------------------------------------------------------
def test_nothing_left_touches_nothing(site: MadeUp, recovery: Recovery) -> None:
    assert recovery.run() is None
    assert [command[:2] for command in site.cli.commands] == [("stack", "export")]


def test_the_instance_is_adopted_and_only_it_is_read_again(site: MadeUp, recovery: Recovery) -> None:
    site.held, site.document, site.database = [lock(DEAD)], state(pending()), RESTORED
    found = recovery.run()
    assert found is not None
    assert (found.adopted, found.again, site.held) == ({URN: "db-1"}, [], [])
    assert site.cli.commands[-1] == ("refresh", "--stack", STACK, "--target", URN, "--yes", "--skip-preview")
    assert site.cli.documents[0]["deployment"]["pending_operations"] == []


def test_a_create_that_made_nothing_is_dropped_and_nothing_is_refreshed(site: MadeUp, recovery: Recovery) -> None:
    site.document = state(pending(), pending(urn=GATE))
    found = recovery.run()
    assert found is not None
    assert (found.adopted, found.again) == ({}, ["database-first", "gate"])
    assert [command[0] for command in site.cli.commands] == ["stack", "stack", "stack"]


def test_an_unknown_create_is_told(site: MadeUp, recovery: Recovery, capsys: pytest.CaptureFixture[str]) -> None:
    site.document = state(pending(urn=STRANGE))
    found = recovery.run()
    assert found is not None
    assert found.unclear == ["queue"]
    assert f"pulumi import aws:sqs/queue:Queue queue ID -s {STACK}" in " ".join(capsys.readouterr().err.split())


def test_an_instance_is_waited_for(site: MadeUp, tmp_path: Path) -> None:
    site.document, site.database = state(pending()), {**RESTORED, "DBInstanceStatus": "creating"}
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            site.database = RESTORED

    found = Recovery(site, Record(tmp_path / "record"), wait).run()
    assert found is not None
    assert (len(waited), found.adopted) == (3, {URN: "db-1"})


def test_a_deployment_of_somebody_else_meanwhile_is_not_forgotten(site: MadeUp, tmp_path: Path) -> None:
    site.document, site.database = state(pending()), {**RESTORED, "DBInstanceStatus": "creating"}

    def wait(_: float) -> None:
        site.database = RESTORED
        site.document = state()

    with pytest.raises(IncompleteError, match="Somebody deployed south-africa meanwhile"):
        Recovery(site, Record(tmp_path / "record"), wait).run()
    assert site.cli.documents == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"TagList": []}, "its tags do not say that it belongs to south-africa"),
        ({"DBInstanceStatus": "failed"}, "is failed and cannot serve"),
        ({"DBInstanceStatus": "incompatible-restore"}, "is incompatible-restore and cannot serve"),
    ],
)
def test_what_must_not_be_adopted_is_left_alone(
    site: MadeUp, recovery: Recovery, change: dict[str, Any], message: str
) -> None:
    site.document, site.database = state(pending()), {**RESTORED, **change}
    with pytest.raises(IncompleteError, match=message):
        recovery.run()
    assert site.cli.documents == []


def test_somebody_elses_lock_stops_it_before_anything(site: MadeUp, recovery: Recovery) -> None:
    site.held, site.document = [lock(DEAD, host="laptop")], state(pending())
    with pytest.raises(LockedError, match="on laptop"):
        recovery.run()
    assert (site.cli.commands, len(site.held)) == ([], 1)


def test_expired_credentials_are_told_as_such(site: MadeUp, recovery: Recovery) -> None:
    site.document = state(pending(urn=NAT, subnetId="s", tags={"Name": "n"}))
    site.answers["ec2.describe_nat_gateways"] = denied("ExpiredToken", "DescribeNatGateways")
    with pytest.raises(CredentialsError, match="no longer taken") as raised:
        recovery.run()
    assert "run the same command again" in str(raised.value.hint)


# -- what AWS made ------------------------------------------------------------------------------------------------
def leftover(kind: str, **inputs: Any) -> leftovers.Leftover:
    return leftovers.Leftover("urn", kind, "name", inputs)


def test_what_was_being_created_is_found_by_what_was_asked_for(site: MadeUp) -> None:
    tags = {"Name": "nat-a"}
    site.answers |= {
        "ec2.describe_addresses": {
            "Addresses": [{"AllocationId": "eipalloc-1", "AssociationId": "used"}, {"AllocationId": "eipalloc-2"}]
        },
        "ec2.describe_nat_gateways": {"NatGateways": [{"NatGatewayId": "nat-1", "SubnetId": "s", "State": "pending"}]},
        "ec2.describe_route_tables": {"RouteTables": [{"Routes": [{"DestinationCidrBlock": "0.0.0.0/0"}]}]},
        "elasticache.describe_replication_groups": KeyError("none"),
    }
    address = adoption.find(site, leftover(adoption.ADDRESS, tags=tags))
    assert address == adoption.Found("eipalloc-2", "nat-a", "available")
    gateway = adoption.find(site, leftover(adoption.GATEWAY, tags=tags, subnetId="s"))
    assert gateway is not None
    assert (gateway.id, gateway.ready, gateway.lost) == ("nat-1", False, False)
    assert adoption.find(site, leftover(adoption.GATEWAY, tags=tags, subnetId="other")) is None
    route = adoption.find(site, leftover(adoption.ROUTE, routeTableId="rtb-1", destinationCidrBlock="0.0.0.0/0"))
    assert route is not None
    assert route.id == "r-rtb-11080289494"  # the number that the provider's documentation shows for 0.0.0.0/0
    assert adoption.find(site, leftover(adoption.CACHE, replicationGroupId="cache")) is None


@pytest.mark.parametrize(
    ("tags", "ours"), [({"Stack": "south-africa"}, True), ({"Stack": "kenya"}, False), ({}, False)]
)
def test_a_log_group_is_found_by_its_whole_name(site: MadeUp, tags: dict[str, str], ours: bool) -> None:
    group = {"logGroupName": "/aws/rds/x/postgresql", "logGroupArn": "arn:group"}
    site.answers |= {
        "logs.describe_log_groups": {"logGroups": [{**group, "logGroupName": "/aws/rds/x/postgresql-2"}, group]},
        "logs.list_tags_for_resource": {"tags": tags},
    }
    found = adoption.find(site, leftover(adoption.LOG_GROUP, name="/aws/rds/x/postgresql"))
    assert found == adoption.Found("/aws/rds/x/postgresql", "/aws/rds/x/postgresql", "available", ours)
    assert adoption.find(site, leftover(adoption.LOG_GROUP, name="/aws/rds/x")) is None


# -- a replica that was being promoted ----------------------------------------------------------------------------
REPLICA = {
    "urn": URN,
    "type": adoption.DATABASE,
    "id": "db-1",
    "inputs": {"identifier": DATABASE, "replicateSourceDb": "arn:source"},
    "outputs": {"identifier": DATABASE, "replicateSourceDb": "arn:source"},
}
FOLLOWER = {**RESTORED, "ReadReplicaSourceDBInstanceIdentifier": "arn:source"}
REFRESHED = ("refresh", "--stack", STACK, "--target", URN, "--yes", "--skip-preview")


def test_a_replica_that_aws_promoted_is_read_again_and_nothing_else(site: MadeUp, recovery: Recovery) -> None:
    site.document, site.database = state(pending("updating"), resources=(REPLICA,)), RESTORED
    found = recovery.run()
    assert found is not None
    assert (found.promoted, found.adopted) == (["database-first"], {})
    assert site.cli.commands[-1] == REFRESHED
    assert site.cli.documents[0]["deployment"]["pending_operations"] == []


def test_it_is_read_again_also_where_the_engine_left_nothing_pending(site: MadeUp, recovery: Recovery) -> None:
    site.document, site.database = state(resources=(REPLICA,)), RESTORED
    assert recovery.run() is not None
    assert [command[:2] for command in site.cli.commands] == [("stack", "export"), REFRESHED[:2]]


def test_a_replica_that_still_follows_is_left_to_the_deployment(site: MadeUp, recovery: Recovery) -> None:
    site.document, site.database = state(resources=(REPLICA,)), FOLLOWER
    assert recovery.run() is None
    assert [command[0] for command in site.cli.commands] == ["stack"]


def test_a_replica_is_waited_for_before_anybody_judges_it(site: MadeUp) -> None:
    site.document, site.database = state(resources=(REPLICA,)), {**FOLLOWER, "DBInstanceStatus": "modifying"}
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            site.database = RESTORED

    assert replicas.settle(site, site.document, wait)
    assert len(waited) == 3
    assert not replicas.settle(site, site.document, wait)
    site.database = {**FOLLOWER, "DBInstanceStatus": "failed"}
    assert not replicas.settle(site, site.document, wait), "the guards say what to do instead"
