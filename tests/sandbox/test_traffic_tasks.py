"""Tasks: healthy with everything in place; with any one thing missing they never are, and ECS says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.clock import minutes
from tests.sandbox import traffic_world
from tests.sandbox.traffic_platform import Platform, running_platform
from tests.sandbox.traffic_world import KENYA, image, wait


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform() as started:
        yield started


def broken_by(platform: Platform, name: str, expected: str, definition: str | None = None, **more: Any) -> None:
    """A service with something missing never gets a healthy target, and its events say why."""
    platform.create(name, definition or platform.define(), **more)
    try:
        wait(lambda: expected in platform.events(name), what=f"{expected!r} in the events")
        assert "healthy" not in platform.target_states()
        assert name not in [event["service"] for event in platform.world.events("task.healthy")]
        assert platform.service(name)["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    finally:
        platform.remove(name)


def test_no_such_digest(platform: Platform) -> None:
    missing = platform.define(image=image("api-gateway", digest="sha256:" + "b" * 64))
    broken_by(platform, "no-image", "CannotPullContainerError", missing)


def test_no_registry_credential(platform: Platform) -> None:
    gone = platform.registry_secret.replace("registry", "nothing")
    missing = platform.define(repositoryCredentials={"credentialsParameter": gone})
    broken_by(platform, "no-credential", "ResourceNotFoundException", missing)


def test_registry_credential_without_password(platform: Platform) -> None:
    half = platform.site.secret("half", {"username": "robot"})
    broken_by(
        platform,
        "half",
        "no username and password",
        platform.define(repositoryCredentials={"credentialsParameter": half}),
    )


def test_secret_without_the_key(platform: Platform) -> None:
    wrong = [{"name": "DATABASE_HOST", "valueFrom": f"{platform.database_secret}:hostname::"}]
    broken_by(platform, "no-key", "did not contain json key hostname", platform.define(secrets=wrong))


def test_secret_of_another_region(platform: Platform) -> None:
    foreign = platform.database_secret.replace(KENYA, traffic_world.SOUTH_AFRICA)
    wrong = [{"name": "DATABASE_HOST", "valueFrom": f"{foreign}:host::"}]
    broken_by(platform, "foreign", "belongs to region af-south-1", platform.define(secrets=wrong))


def test_secret_whose_key_is_disabled(platform: Platform) -> None:
    kms = platform.site.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    locked = platform.site.secret("locked", {"host": "127.0.0.1"}, KmsKeyId=key)
    kms.disable_key(KeyId=key)
    wrong = [{"name": "DATABASE_HOST", "valueFrom": f"{locked}:host::"}]
    broken_by(platform, "locked", "Access to KMS is not allowed", platform.define(secrets=wrong))


def test_replica_secret_resolves_in_its_region(platform: Platform) -> None:
    name = "replicated"
    platform.world.client("secretsmanager", traffic_world.SOUTH_AFRICA).create_secret(
        Name=name, SecretString=json.dumps({"key": "value"}), AddReplicaRegions=[{"Region": KENYA}]
    )
    arn = platform.site.client("secretsmanager").describe_secret(SecretId=name)["ARN"]
    secrets = [*platform.container("api-gateway")["secrets"], {"name": "KEY", "valueFrom": f"{arn}:key::"}]
    platform.create("replica", platform.define(secrets=secrets))
    wait(lambda: platform.target_states() == ["healthy"], what="a healthy target")
    platform.remove("replica")


def test_no_way_out(platform: Platform) -> None:
    ec2 = platform.site.client("ec2")
    ec2.delete_route(RouteTableId=platform.site.private_table, DestinationCidrBlock="0.0.0.0/0")
    try:
        broken_by(platform, "no-route", "connection issue between the task and AWS Secrets Manager")
    finally:
        platform.site.route_to_nat()


def test_an_endpoint_serves_secrets_but_not_images(platform: Platform) -> None:
    ec2 = platform.site.client("ec2")
    ec2.delete_route(RouteTableId=platform.site.private_table, DestinationCidrBlock="0.0.0.0/0")
    platform.site.let_in(platform.site.database_group, 443, group=platform.site.task_group)
    endpoint = ec2.create_vpc_endpoint(
        VpcId=platform.site.vpc,
        VpcEndpointType="Interface",
        ServiceName=f"com.amazonaws.{KENYA}.secretsmanager",
        SubnetIds=platform.site.private,
        SecurityGroupIds=[platform.site.database_group],
        PrivateDnsEnabled=True,
    )["VpcEndpoint"]["VpcEndpointId"]
    try:
        broken_by(platform, "endpoint", "i/o timeout")
    finally:
        ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
        platform.site.keep_out(platform.site.database_group, 443, group=platform.site.task_group)
        platform.site.route_to_nat()


def test_the_database_lets_nobody_in(platform: Platform) -> None:
    platform.site.keep_out(platform.site.database_group, 5432, group=platform.site.task_group)
    try:
        broken_by(platform, "no-database-rule", "may not reach")
    finally:
        platform.site.let_in(platform.site.database_group, 5432, group=platform.site.task_group)


def test_the_load_balancer_may_not_reach_the_task(platform: Platform) -> None:
    platform.site.keep_out(platform.site.task_group, 8080, group=platform.site.alb_group)
    try:
        broken_by(platform, "no-task-rule", "Request timed out")
    finally:
        platform.site.let_in(platform.site.task_group, 8080, group=platform.site.alb_group)


def test_the_database_refuses_the_login(platform: Platform) -> None:
    wrong = platform.site.secret(
        "wrong-password",
        {"host": "127.0.0.1", "port": platform.endpoint["Port"], "dbname": "platform", "username": "api_gateway"}
        | {"password": "not this"},
    )
    keys = {"HOST": "host", "PORT": "port", "NAME": "dbname", "USER": "username", "PASSWORD": "password"}
    secrets = [{"name": f"DATABASE_{name}", "valueFrom": f"{wrong}:{key}::"} for name, key in keys.items()]
    broken_by(platform, "login", "password authentication failed", platform.define(secrets=secrets))


def test_there_is_no_database_yet(platform: Platform) -> None:
    secrets = [entry for entry in platform.container("api-gateway")["secrets"] if entry["name"] != "DATABASE_HOST"]
    environment = [{"name": "DATABASE_HOST", "value": "database.invalid"}]
    definition = platform.define(secrets=secrets, environment=environment)
    broken_by(platform, "no-database", "could not translate host name", definition)


def test_the_schema_is_not_what_the_history_says(platform: Platform) -> None:
    platform.create("first", platform.define())
    wait(lambda: platform.target_states() == ["healthy"], what="the migrated schema")
    platform.remove("first")
    with traffic_world.master(platform.endpoint["Port"]) as connection:
        connection.run("alter table app.events rename to elsewhere")
    try:
        broken_by(platform, "schema", 'relation "app.events" does not exist')
    finally:
        with traffic_world.master(platform.endpoint["Port"]) as connection:
            connection.run("alter table app.elsewhere rename to events")


def test_a_service_without_load_balancer_reports_container_health(platform: Platform) -> None:
    health = {"command": ["CMD-SHELL", "true"], "interval": 10, "retries": 2, "startPeriod": 0}
    platform.create("sync", platform.define("sync", healthCheck=health), loadBalancers=[])

    def tasks() -> list[dict[str, Any]]:
        ecs = platform.site.client("ecs")
        arns = ecs.list_tasks(cluster="main", serviceName="sync")["taskArns"]
        return list(ecs.describe_tasks(cluster="main", tasks=arns)["tasks"]) if arns else []

    wait(lambda: [task["healthStatus"] for task in tasks()] == ["HEALTHY"], what="a HEALTHY task")
    platform.remove("sync")


def test_everything_in_place(platform: Platform) -> None:
    """What the other tests take one thing away from. It starts no faster than Fargate does."""
    platform.create("complete", platform.define())
    assert platform.target_states() == [], "nothing is registered before a task runs"
    wait(lambda: platform.target_states() == ["healthy"], what="a target", tell=lambda: platform.events("complete"))
    wait(
        lambda: "complete" in [event["service"] for event in platform.world.events("task.healthy")], what="task.healthy"
    )
    ecs = platform.site.client("ecs")
    (arn,) = ecs.list_tasks(cluster="main", serviceName="complete")["taskArns"]
    task = ecs.describe_tasks(cluster="main", tasks=[arn])["tasks"][0]
    assert (task["startedAt"] - task["createdAt"]).total_seconds() >= minutes("ecs.task_start") * 60
    platform.remove("complete")


def test_no_registry_credential_at_all(platform: Platform) -> None:
    open_door = platform.define(repositoryCredentials=None)
    broken_by(platform, "no-login", "no credentials were given", open_door)


def test_an_image_without_a_digest(platform: Platform) -> None:
    tagged = platform.define(image="ghcr.io/mental-health-platform/api-gateway:1.0.0")
    broken_by(platform, "no-digest", "not found", tagged)


def test_no_such_secret(platform: Platform) -> None:
    missing = platform.database_secret.replace("database", "nothing")
    wrong = [{"name": "DATABASE_HOST", "valueFrom": f"{missing}:host::"}]
    broken_by(platform, "no-secret", "ResourceNotFoundException", platform.define(secrets=wrong))


def test_no_log_group(platform: Platform) -> None:
    options = {"awslogs-group": "/nowhere", "awslogs-region": KENYA, "awslogs-stream-prefix": "x"}
    logging = {"logDriver": "awslogs", "options": options}
    broken_by(platform, "no-logs", "log group does not exist", platform.define(logConfiguration=logging))


def test_the_tasks_may_not_talk_to_the_outside(platform: Platform) -> None:
    ec2 = platform.site.client("ec2")
    everywhere = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.revoke_security_group_egress(GroupId=platform.site.task_group, IpPermissions=everywhere)
    try:
        broken_by(platform, "no-egress", "connection issue between the task and AWS Secrets Manager")
    finally:
        ec2.authorize_security_group_egress(GroupId=platform.site.task_group, IpPermissions=everywhere)


def test_a_nat_gateway_in_a_private_subnet_is_no_way_out(platform: Platform) -> None:
    ec2, site = platform.site.client("ec2"), platform.site
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    inside = ec2.create_nat_gateway(SubnetId=site.private[0], AllocationId=address)["NatGateway"]["NatGatewayId"]
    replaced = {"RouteTableId": site.private_table, "DestinationCidrBlock": "0.0.0.0/0"}
    ec2.replace_route(**replaced, NatGatewayId=inside)
    try:
        broken_by(platform, "no-nat", "connection issue between the task and AWS Secrets Manager")
    finally:
        ec2.replace_route(**replaced, NatGatewayId=site.nat)


def test_a_login_without_rights_on_the_schema(platform: Platform) -> None:
    platform.create("migrator", platform.define())
    wait(lambda: platform.target_states() == ["healthy"], what="the migrated schema")
    platform.remove("migrator")
    wait(lambda: platform.target_states() == [], what="an empty target group")
    with traffic_world.master(platform.endpoint["Port"]) as connection:
        connection.run("revoke usage on schema app from crisis_detection")
    definition = platform.define(
        environment=[{"name": "DATABASE_USER", "value": "crisis_detection"}], **without_user(platform)
    )
    try:
        broken_by(platform, "no-rights", "permission denied for schema app", definition)
    finally:
        with traffic_world.master(platform.endpoint["Port"]) as connection:
            connection.run("grant usage on schema app to crisis_detection")


def without_user(platform: Platform) -> dict[str, Any]:
    secrets = platform.container("api-gateway")["secrets"]
    return {"secrets": [entry for entry in secrets if entry["name"] != "DATABASE_USER"]}


def test_a_service_that_does_not_migrate_waits_for_the_one_that_does(platform: Platform) -> None:
    with traffic_world.master(platform.endpoint["Port"]) as connection:
        connection.run("alter table if exists app.schema_history rename to not_yet")
    definition = platform.define(image=image("crisis-detection"))
    try:
        broken_by(platform, "early", "waiting for the migrator", definition)
    finally:
        with traffic_world.master(platform.endpoint["Port"]) as connection:
            connection.run("alter table if exists app.not_yet rename to schema_history")


def test_a_registry_credential_that_was_revoked(platform: Platform) -> None:
    revoked = platform.site.secret("revoked", {"username": "robot", "password": "old"})
    platform.world.control("POST", "registry-credential", {"username": "robot", "password": "token"})
    broken_by(
        platform,
        "revoked",
        "failed to authorize: failed to fetch oauth token: 403 Forbidden",
        platform.define(repositoryCredentials={"credentialsParameter": revoked}),
    )


def test_no_room_for_one_more_task(platform: Platform) -> None:
    """A service says so once, and its task starts as soon as there is room."""
    quota = {"region": KENYA, "service": "fargate", "code": "L-3032A538"}
    platform.world.control("POST", "quotas", {**quota, "value": 0.25})
    definition = platform.define()
    platform.create("one", definition)
    wait(lambda: "has started 1 tasks" in platform.events("one"), what="a task")
    reason = "unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently"
    platform.create("another", definition)
    wait(lambda: reason in platform.events("another"), what="the reason")
    assert platform.events("another").count(reason) == 1
    platform.world.control("POST", "quotas", {**quota, "value": 0.5})
    wait(lambda: "has started 1 tasks" in platform.events("another"), what="a task once there is room")
    for name in ("one", "another"):
        platform.remove(name)
