"""Load balancers: which rule answers, what it answers, which targets get requests, what AWS refuses."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox import roles, traffic_world
from tests.sandbox.traffic_world import DIGEST, DOMAIN, KENYA, Reply, Site, World, fixed, forward, image, wait

NOBODY = (OSError, http.client.HTTPException)  # refused, or closed without an answer


@dataclass
class Front:
    """A load balancer, and services without a database behind it."""

    site: Site
    registry_secret: str
    rules: list[str] = field(default_factory=list)

    @property
    def world(self) -> World:
        return self.site.world

    @property
    def elb(self) -> Any:
        return self.site.client("elbv2")

    def ask(self, path: str, **more: Any) -> Reply:
        return self.world.fetch(self.site.alb["DNSName"], path, **more)

    def rule(self, priority: int, action: dict[str, Any], **more: Any) -> str:
        self.rules.append(self.site.rule(priority, action, **more))
        return self.rules[-1]

    def modify(self, rule: str, action: dict[str, Any]) -> None:
        self.elb.modify_rule(RuleArn=rule, Actions=[action])

    def remove_rule(self, rule: str) -> None:
        self.rules.remove(rule)
        self.elb.delete_rule(RuleArn=rule)

    def target(self, group: str) -> dict[str, Any]:
        """The health of a group's one target."""
        (found,) = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return dict(found["TargetHealth"])

    def run(self, service: str, group: str) -> None:
        """One task of an application that needs no database."""
        ecs = self.site.client("ecs")
        container = {
            "name": service,
            "image": image(service),
            "portMappings": [{"containerPort": 8080}],
            "repositoryCredentials": {"credentialsParameter": self.registry_secret},
        }
        definition = ecs.register_task_definition(
            family=service,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            executionRoleArn="arn:aws:iam::123456789012:role/execution",
            cpu="256",
            memory="512",
            containerDefinitions=[container],
        )["taskDefinition"]["taskDefinitionArn"]
        network = {"subnets": self.site.private, "securityGroups": [self.site.task_group]}
        ecs.create_service(
            cluster="main",
            serviceName=service,
            taskDefinition=definition,
            desiredCount=1,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": network},
            loadBalancers=[{"targetGroupArn": group, "containerName": service, "containerPort": 8080}],
        )

    def scale(self, service: str, count: int) -> None:
        self.site.client("ecs").update_service(cluster="main", service=service, desiredCount=count)


@pytest.fixture(scope="module")
def started() -> Iterator[Front]:
    with traffic_world.running() as world:
        site = Site(world, KENYA)
        site.build_network()
        site.build_balancer(traffic_world.hosted_zone(world))
        roles.make(world.client("iam", "us-east-1"), "execution", "ecs-tasks.amazonaws.com")
        site.client("ecs").create_cluster(clusterName="main")
        for name in ("crisis-detection", "sync"):
            world.control("POST", "registry", {"image": image(name), "digest": DIGEST})
        yield Front(site, site.secret("registry", {"username": "robot", "password": "token"}))
        world.assert_sound()


@pytest.fixture
def front(started: Front) -> Iterator[Front]:
    """The load balancer without any rule but the default one."""
    yield started
    for rule in list(started.rules):
        started.remove_rule(rule)


# -- rules --------------------------------------------------------------------------------------------------------
def test_without_a_rule_the_default_action_answers(front: Front) -> None:
    assert front.ask("/")[:2] == (404, "nothing here")


def test_the_lowest_priority_number_wins(front: Front) -> None:
    front.rule(200, fixed(200, "general"))
    front.rule(100, fixed(503, "special"), path="/api/*")
    assert [front.ask(path).body for path in ("/api/x", "/other")] == ["special", "general"]
    third = front.rule(50, fixed(200, "first"))
    assert front.ask("/api/x").body == "first"
    front.elb.set_rule_priorities(RulePriorities=[{"RuleArn": third, "Priority": 300}])
    assert front.ask("/api/x").body == "special"
    with pytest.raises(ClientError, match="PriorityInUse"):
        front.rule(100, fixed(200, "again"))


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/api/*", "/api/", True),
        ("/api/*", "/api/a/b", True),
        ("/api/*", "/api", False),
        ("/api/*", "/API/a", False),
        ("/api/*/health", "/api/crisis/health", True),
        ("/v?/x", "/v1/x", True),
        ("/v?/x", "/v12/x", False),
        ("/a.b", "/aXb", False),
        ("/exact", "/exact?query=1", True),
    ],
)
def test_path_patterns(front: Front, pattern: str, path: str, matches: bool) -> None:
    front.rule(1, fixed(200, "matched"), path=pattern)
    assert (front.ask(path).body == "matched") is matches


def test_all_conditions_must_hold_and_hosts_ignore_case(front: Front) -> None:
    front.rule(1, fixed(200, "matched"), path="/x", host="*.Example.org")
    assert front.ask("/x", host=DOMAIN.upper()).body == "matched"
    assert front.ask("/x", host="example.com").status == 404
    assert front.ask("/y").status == 404


def test_a_fixed_response_is_given_as_it_is_written(front: Front) -> None:
    front.rule(1, fixed(503, "Línea de crisis: 1190"))
    answer = front.ask("/")
    assert answer[:2] == (503, "Línea de crisis: 1190")
    assert (answer.headers["Content-Type"], answer.headers["Server"]) == ("text/plain", "awselb/2.0")
    assert front.ask("/", method="HEAD")[:2] == (503, "")


def test_a_modified_rule_takes_effect_and_is_told(front: Front) -> None:
    rule = front.rule(7, fixed(503, "crisis lines"))
    assert front.ask("/").status == 503
    front.modify(rule, fixed(200, "taken over"))
    assert front.ask("/")[:2] == (200, "taken over")
    told = front.world.events("alb.rule_changed")[-1]
    assert (told["change"], told["priority"], told["paths"], told["body"]) == ("modified", 7, ["/*"], "taken over")
    front.remove_rule(rule)
    assert front.ask("/").status == 404


def test_a_redirect_keeps_what_it_does_not_name(front: Front) -> None:
    secure = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
    listener = front.elb.create_listener(
        LoadBalancerArn=front.site.alb["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "redirect", "RedirectConfig": secure}],
    )["Listeners"][0]["ListenerArn"]
    answer = front.ask("/a/b?c=d", aws_port=80)
    assert (answer.status, answer.headers["Location"]) == (301, f"https://{DOMAIN}:443/a/b?c=d")
    front.elb.delete_listener(ListenerArn=listener)


# -- targets ------------------------------------------------------------------------------------------------------
def test_requests_are_forwarded_to_healthy_targets_only(front: Front) -> None:
    group = front.site.target_group("crisis")
    front.rule(1, forward(group), path="/crisis/*")
    empty = front.ask("/crisis/health")
    assert (empty.status, "503 Service Temporarily Unavailable" in empty.body) == (503, True)
    front.run("crisis-detection", group)
    wait(lambda: front.ask("/crisis/health").status == 200, what="a healthy target")
    assert json.loads(front.ask("/crisis/health").body)["service"] == "crisis-detection"
    assert front.ask("/crisis/nothing").status == 404, "the application's own answer"

    front.site.keep_out(front.site.task_group, 8080, group=front.site.alb_group)
    assert front.ask("/crisis/health").status == 504, "not yet found unhealthy, but out of reach"
    wait(lambda: front.ask("/crisis/health").status == 503, what="the target to be unhealthy")
    front.site.let_in(front.site.task_group, 8080, group=front.site.alb_group)
    wait(lambda: front.ask("/crisis/health").status == 200, what="a healthy target again")

    front.scale("crisis-detection", 0)
    wait(lambda: front.ask("/crisis/health").status == 503, what="no target any more")


def test_a_crisis_rule_above_forwarding_keeps_targets_checked(front: Front) -> None:
    """Rules below one that answers everything still count as uses: that's why forwarding rules exist in peace time."""
    group = front.site.target_group("behind")
    front.rule(100, forward(group))
    crisis = front.rule(1, fixed(503, "crisis lines"))
    front.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.10.200", "Port": 8080}])
    wait(lambda: front.target(group)["State"] == "unhealthy", what="a check of the target")
    assert front.ask("/").body == "crisis lines"
    front.modify(crisis, forward(group))
    assert front.ask("/").status == 503


def test_a_target_group_in_no_rule_is_never_checked(front: Front) -> None:
    group = front.site.target_group("idle")
    front.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.10.201", "Port": 8080}])
    begun = front.world.clock.epoch()
    wait(lambda: front.world.clock.epoch() - begun > 120, what="two modelled minutes")
    found = front.target(group)
    assert (found["State"], found["Reason"]) == ("unused", "Target.NotInUse")
    assert front.elb.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]["LoadBalancerArns"] == []

    rule = front.rule(1, forward(group))
    wait(lambda: front.target(group)["State"] == "unhealthy", what="the first check")
    used = front.elb.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]["LoadBalancerArns"]
    assert used == [front.site.alb["LoadBalancerArn"]]
    front.remove_rule(rule)
    wait(lambda: front.target(group)["State"] == "unused", what="the end of the checks")


def test_a_deregistered_target_drains_first(front: Front) -> None:
    group = front.site.target_group("draining")
    target = [{"Id": "10.0.10.202", "Port": 8080}]
    front.elb.register_targets(TargetGroupArn=group, Targets=target)
    front.elb.deregister_targets(TargetGroupArn=group, Targets=target)
    assert front.target(group)["State"] == "draining"
    wait(
        lambda: not front.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"],
        what="the end of draining",
    )


# -- reachability -------------------------------------------------------------------------------------------------
def test_nobody_answers_where_the_security_group_lets_nobody_in(front: Front) -> None:
    front.site.keep_out(front.site.alb_group, 443, cidr="0.0.0.0/0")
    try:
        with pytest.raises(NOBODY):
            front.ask("/")
    finally:
        front.site.let_in(front.site.alb_group, 443, cidr="0.0.0.0/0")
    assert front.ask("/").status == 404


def test_nobody_answers_in_a_lost_region(front: Front) -> None:
    front.world.control("POST", "cut", {"region": KENYA})
    try:
        with pytest.raises(OSError, match="refused"):
            front.ask("/")
    finally:
        front.world.control("POST", "restore", {"region": KENYA})
    assert front.ask("/").status == 404


@contextlib.contextmanager
def second_balancer(front: Front, name: str, **more: Any) -> Iterator[str]:
    made = front.elb.create_load_balancer(
        **({"Name": name, "Subnets": front.site.public, "SecurityGroups": [front.site.alb_group]} | more)
    )["LoadBalancers"][0]
    try:
        yield str(made["LoadBalancerArn"])
    finally:
        front.elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])


def test_a_new_load_balancer_takes_its_time(front: Front) -> None:
    with second_balancer(front, "slow") as arn:
        described = front.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
        assert described["State"]["Code"] == "provisioning"
        front.elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[fixed(200, "x")])
        (told,) = (entry for entry in front.world.control("GET", "load-balancers") if entry["arn"] == arn)
        assert told["open"] == []
        wait(lambda: "slow" in [event["name"] for event in front.world.events("alb.active")], what="alb.active")
        assert front.world.fetch(described["DNSName"], "/", aws_port=80)[:2] == (200, "x")


# -- refusals -----------------------------------------------------------------------------------------------------
def test_a_fixed_response_holds_1024_bytes(front: Front) -> None:
    rule = front.rule(1, fixed(200, "x" * 1024))
    assert len(front.ask("/").body) == 1024
    for body in ("x" * 1025, "ü" * 513):
        with pytest.raises(ClientError, match="less than or equal to 1024"):
            front.rule(2, fixed(200, body))
        with pytest.raises(ClientError, match="less than or equal to 1024"):
            front.modify(rule, fixed(200, body))
        with pytest.raises(ClientError, match="less than or equal to 1024"):
            front.elb.modify_listener(ListenerArn=front.site.listener, DefaultActions=[fixed(200, body)])
    assert len(front.ask("/").body) == 1024


def test_what_a_rule_is_refused_for(front: Front) -> None:
    with pytest.raises(ClientError, match="less than or equal to 50000"):
        front.rule(50_001, fixed(200, "x"))
    six = [{"Field": "path-pattern", "PathPatternConfig": {"Values": [f"/{n}" for n in range(6)]}}]
    with pytest.raises(ClientError, match="can only have '5' condition values"):
        front.elb.create_rule(ListenerArn=front.site.listener, Priority=9, Conditions=six, Actions=[fixed(200, "x")])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 33, "cannot be longer than '32'"),
        ("-front", "must not begin or end with a hyphen"),
        ("under_score", "can only contain"),
        ("internal-front", "cannot begin with 'internal-'"),
        ("front", "DuplicateLoadBalancerName"),
    ],
)
def test_what_a_load_balancer_may_not_be_called(front: Front, name: str, message: str) -> None:
    with pytest.raises(ClientError, match=message), second_balancer(front, name):
        pass


def test_a_load_balancer_needs_two_zones(front: Front) -> None:
    with pytest.raises(ClientError, match="two different Availability Zones"):
        with second_balancer(front, "narrow", Subnets=front.site.public[:1]):
            pass


def test_https_needs_an_issued_certificate(front: Front) -> None:
    pending = front.site.client("acm").request_certificate(DomainName="x.example.net", ValidationMethod="DNS")
    with second_balancer(front, "bare") as arn:
        arguments = {"LoadBalancerArn": arn, "Protocol": "HTTPS", "Port": 443, "DefaultActions": [fixed(200, "x")]}
        with pytest.raises(ClientError, match="UnsupportedCertificate"):
            front.elb.create_listener(**arguments, Certificates=[{"CertificateArn": pending["CertificateArn"]}])
        with pytest.raises(ClientError, match="certificate must be specified"):
            front.elb.create_listener(**arguments)
        front.elb.create_listener(**(arguments | {"Protocol": "HTTP", "Port": 80}))
        with pytest.raises(ClientError, match="DuplicateListener"):
            front.elb.create_listener(**(arguments | {"Protocol": "HTTP", "Port": 80}))


def test_a_protected_load_balancer_stays(front: Front) -> None:
    with second_balancer(front, "protected") as arn:
        for value in ("true", "false"):
            front.elb.modify_load_balancer_attributes(
                LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": value}]
            )
            if value == "true":
                with pytest.raises(ClientError, match="deletion protection is enabled"):
                    front.elb.delete_load_balancer(LoadBalancerArn=arn)
