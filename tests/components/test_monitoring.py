"""Alarms that can go off: of what exists, by documented dimensions, told to somebody, quiet on a healthy standby."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from components.alarms import MINUTE, Watch
from components.database_roles import WARM_EVERY_MINUTES
from components.metrics import METRICS, reading
from components.snapshots import EVERY_MINUTES
from tests.components.examples import KENYA, ROOT, SOUTH_AFRICA
from tests.components.program import Program
from tests.components.recording import Recorded, Recording

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
STANDBY, PROMOTED = Program(SOUTH_AFRICA, True), Program(SOUTH_AFRICA, False)
SERVING = Program(KENYA, False)
FOLLOWING, FOLLOWED = (Program(SOUTH_AFRICA, standby, "read-replica") for standby in (True, False))
BACKED_UP, RESTORED = (Program(SOUTH_AFRICA, standby, "replicated-backups") for standby in (True, False))
STATES = pytest.mark.parametrize(
    "program",
    [STANDBY, PROMOTED, SERVING, FOLLOWING, FOLLOWED, BACKED_UP, RESTORED],
    ids=["standing by", "promoted", "serving", "following", "promoted in place", "backed up", "restored"],
)
PREFIX = "monitoring-"


def alarms(program: Program) -> dict[str, Recorded]:
    return {item.name.removeprefix(PREFIX): item for item in program.recorded().of(ALARM)}


def metrics(inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """Every metric that an alarm reads, alone or in an expression."""
    if "metricName" in inputs:
        return [inputs]
    return [query["metric"] for query in inputs["metricQueries"] if "metric" in query]


def known(recording: Recording) -> dict[str, set[Any]]:
    """What each dimension may be: the names that the resources themselves have."""

    def each(typ: str, key: str) -> set[Any]:
        return {item.inputs[key] for item in recording.of(typ)}

    audio = {f"mental-health-platform-{short}-audio-storage" for short in ("sa", "kenya")}
    return {
        "ClusterName": each("aws:ecs/cluster:Cluster", "name"),
        "ServiceName": each("aws:ecs/service:Service", "name"),
        "LoadBalancer": {"suffix-of-load-balancer"},
        "TargetGroup": {f"suffix-of-{item.name}" for item in recording.of("aws:lb/targetGroup:TargetGroup")},
        "DBInstanceIdentifier": each("aws:rds/instance:Instance", "identifier"),
        "CacheClusterId": {
            f"{group.inputs['replicationGroupId']}-{number:03}"
            for group in recording.of("aws:elasticache/replicationGroup:ReplicationGroup")
            for number in range(1, int(group.inputs["numCacheClusters"]) + 1)
        },
        "QueueName": each("aws:sqs/queue:Queue", "name"),
        "FunctionName": each("aws:lambda/function:Function", "name"),
        "HealthCheckId": {f"{item.name}-id" for item in recording.of("aws:route53/healthCheck:HealthCheck")},
        "CertificateArn": {"arn:aws:load-balancer-certificate"},
        "SourceBucket": audio,
        "DestinationBucket": audio,
        "RuleId": {"everything"},
        "Stack": {item.inputs["tags"]["Stack"] for item in recording.of("aws:sqs/queue:Queue")},
    }


@STATES
def test_every_alarm_watches_something_that_exists(program: Program) -> None:
    recording = program.recorded()
    names = known(recording)
    for noun, alarm in alarms(program).items():
        for metric in metrics(alarm.inputs):
            documented = METRICS[f"{metric['namespace']} {metric['metricName']}"]
            assert set(metric["dimensions"]) == documented.dimensions, noun
            for dimension, value in metric["dimensions"].items():
                assert value in names[dimension], (noun, dimension)


def test_replication_is_watched_by_the_rules_own_id() -> None:
    (rule,) = SERVING.recorded().of("aws:s3/bucketReplicationConfig:BucketReplicationConfig")[0].inputs["rules"]
    assert alarms(SERVING)["replication-failed"].inputs["dimensions"] == {
        "SourceBucket": "mental-health-platform-kenya-audio-storage",
        "DestinationBucket": "mental-health-platform-sa-audio-storage",
        "RuleId": rule["id"],
    }
    # The latency is published where the copies arrive.
    assert "replication-late" not in alarms(SERVING)
    assert (
        alarms(STANDBY)["replication-late"].inputs["dimensions"]
        == alarms(SERVING)["replication-failed"].inputs["dimensions"]
    )


@pytest.mark.parametrize(
    ("name", "dimensions"),
    [
        ("AWS/ECS CPUUtilization", {"ClusterName": "c"}),
        ("AWS/ApplicationELB HealthyHostCount", {"TargetGroup": "t"}),
        ("AWS/RDS FreeStorageSpace", {"DbInstanceIdentifier": "d"}),
        ("AWS/SQS ApproximateAgeOfOldestMessage", {"QueueName": "q", "Region": "r"}),
    ],
)
def test_a_metric_by_other_dimensions_than_its_own_is_refused(name: str, dimensions: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="would never have data"):
        reading(name, "Average", **dimensions)


def test_metrics_are_documented_by_aws_or_published_by_us() -> None:
    for name, metric in METRICS.items():
        assert metric.source.startswith(("https://docs.aws.amazon.com/", "components/functions/")), name


@STATES
def test_every_alarm_tells_somebody_in_its_region_when_it_begins_and_ends(program: Program) -> None:
    for noun, alarm in alarms(program).items():
        place = "health-check-alerts" if noun.startswith("health-check") else "alerts"
        assert alarm.inputs.get("region") == ("us-east-1" if place == "health-check-alerts" else None)
        (told,) = alarm.inputs["alarmActions"]
        assert told in (f"arn:aws:{place}-on-call", f"arn:aws:{place}-team-lead"), noun
        assert alarm.inputs["okActions"] == [told]


def test_people_on_call_hear_of_what_people_suffer_from() -> None:
    told = {
        noun for noun, alarm in alarms(SERVING).items() if alarm.inputs["alarmActions"] == ["arn:aws:alerts-on-call"]
    }
    assert told == {
        "crisis-detection-running",
        "api-gateway-running",
        "crisis-detection-targets",
        "api-gateway-targets",
        "answers-failing",
        "answers-slow",
        "targets-unreachable",
        "database-storage",
    }


def headings(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in found}


@STATES
def test_every_message_leads_to_what_to_do(program: Program) -> None:
    anchors = headings(ROOT / "docs" / "alarms.md")
    for alarm in [*program.recorded().of(ALARM), *program.recorded().of(COMPOSITE)]:
        page, _, section = alarm.inputs["alarmDescription"].rpartition(" ")[2].partition("#")
        assert page == "docs/alarms.md"
        assert section in anchors, (alarm.name, section)


def test_the_same_alarms_exist_before_and_after_a_promotion_but_those_of_database_and_cache() -> None:
    added = alarms(PROMOTED).keys() - alarms(STANDBY).keys()
    assert alarms(STANDBY).keys() <= alarms(PROMOTED).keys()
    database = {"database-storage", "database-cpu", "database-connections"}
    cache = {f"cache-{number}-{noun}" for number in (1, 2) for noun in ("cpu", "memory", "evictions")}
    assert added == database | cache


def test_a_replica_is_watched_while_it_follows_and_its_alarm_stays_when_it_does_no_more() -> None:
    """A deletion would run last in the promotion, and until then the alarm would stand."""
    for program, silence in ((FOLLOWING, "breaching"), (FOLLOWED, "notBreaching")):
        lag = alarms(program)["replica-lag"]
        (read,) = metrics(lag.inputs)
        assert read["dimensions"] == {"DBInstanceIdentifier": "mental-health-platform-sa-rds"}
        assert lag.inputs["treatMissingData"] == silence
        rule = program.recorded().one(COMPOSITE, "monitoring-can-we-promote").inputs["alarmRule"]
        assert 'ALARM("mental-health-platform-sa-replica-lag")' in rule
    assert "takeover-marker" in alarms(FOLLOWED)["replica-lag"].dependencies
    assert not {"replica-lag"} & (alarms(STANDBY).keys() | alarms(PROMOTED).keys() | alarms(SERVING).keys())


def test_an_alarm_that_silence_raises_says_truly_how_long_it_takes() -> None:
    """With the three periods of CloudWatch's own example it looks at five ("Configuring how CloudWatch alarms treat
    missing data"), and one datapoint among them keeps it quiet."""
    inputs = alarms(STANDBY)["copy-cycle-stopped"].inputs
    assert inputs["evaluationPeriods"] == 3
    assert f"for {5 * inputs['period'] / MINUTE:.0f} minutes" in inputs["alarmDescription"]
    assert inputs["period"] == EVERY_MINUTES * MINUTE, "each period should have one run"


def test_what_a_flip_changes_of_alarms_is_what_silence_means_and_comes_after_the_takeover() -> None:
    before, after = alarms(STANDBY), alarms(PROMOTED)
    changed = {noun for noun in before if before[noun].inputs != after[noun].inputs}
    for noun in changed:
        differing = {key for key, value in after[noun].inputs.items() if before[noun].inputs.get(key) != value}
        assert differing == {"treatMissingData"}, noun
    for noun in changed | (after.keys() - before.keys()):
        assert {"takeover-witness", "takeover-marker"} <= after[noun].dependencies, noun
    specs = PROMOTED.settings().services
    services = {f"{spec.name}-running" for spec in specs}
    groups = {f"{spec.name}-targets" for spec in specs if spec.path}
    assert changed == services | groups | {"newest-copy-old", "copy-cycle-stopped", "replication-late"}


@pytest.mark.parametrize("noun", ["crisis-detection-running", "sync-running", "crisis-detection-targets"])
def test_no_task_is_right_on_a_standby_and_the_worst_while_serving(noun: str) -> None:
    assert alarms(STANDBY)[noun].inputs["treatMissingData"] == "notBreaching"
    assert alarms(PROMOTED)[noun].inputs["treatMissingData"] == "breaching"
    assert alarms(SERVING)[noun].inputs["treatMissingData"] == "breaching"


@pytest.mark.parametrize("noun", ["newest-copy-old", "copy-cycle-stopped", "replication-late"])
def test_silence_about_copies_alarms_as_long_as_they_are_pulled(noun: str) -> None:
    assert alarms(STANDBY)[noun].inputs["treatMissingData"] == "breaching"
    assert alarms(PROMOTED)[noun].inputs["treatMissingData"] == "notBreaching"
    assert noun not in alarms(SERVING)


@pytest.mark.parametrize(
    ("program", "noun", "metric"),
    [(STANDBY, "newest-copy-old", "NewestCopyAge"), (BACKED_UP, "newest-backup-old", "NewestBackupAge")],
)
def test_the_age_of_what_would_be_restored_alarms_before_the_planned_loss(
    program: Program, noun: str, metric: str
) -> None:
    inputs = alarms(program)[noun].inputs
    assert (inputs["namespace"], inputs["metricName"]) == ("MentalHealthPlatform", metric)
    assert inputs["dimensions"] == {"Stack": SOUTH_AFRICA}
    assert inputs["threshold"] == 45
    assert inputs["comparisonOperator"] == "GreaterThanThreshold"
    # The data gets older while CloudWatch waits for its periods, and one more until it looks.
    waited = (inputs["evaluationPeriods"] + 1) * inputs["period"] / MINUTE
    assert inputs["threshold"] + waited <= program.settings().database.rpo_minutes
    assert "more than 45 minutes" in inputs["alarmDescription"]


def test_replicated_backups_are_watched_and_their_silence_alarms_until_the_promotion() -> None:
    """RDS stops the replication without a word, for example when a key was disabled."""
    for program, silence in ((BACKED_UP, "breaching"), (RESTORED, "notBreaching")):
        assert alarms(program)["newest-backup-old"].inputs["treatMissingData"] == silence
        rule = program.recorded().one(COMPOSITE, "monitoring-can-we-promote").inputs["alarmRule"]
        assert 'ALARM("mental-health-platform-sa-newest-backup-old")' in rule
        assert "NewestBackupAge" in dashboard(program)
    assert "takeover-marker" in alarms(RESTORED)["newest-backup-old"].dependencies
    assert not {"newest-backup-old"} & (alarms(STANDBY).keys() | alarms(FOLLOWING).keys() | alarms(SERVING).keys())


@pytest.mark.parametrize("program", [STANDBY, PROMOTED, SERVING], ids=["standing by", "promoted", "serving"])
def test_the_function_of_the_roles_is_called_or_somebody_hears_of_it(program: Program) -> None:
    """An idle function in a network goes inactive, and the promotion would meet it."""
    inputs = alarms(program)["database-roles-not-called"].inputs
    assert (inputs["namespace"], inputs["metricName"], inputs["statistic"]) == ("AWS/Lambda", "Invocations", "Sum")
    assert (inputs["comparisonOperator"], inputs["threshold"]) == ("LessThanThreshold", 1)
    assert inputs["treatMissingData"] == "breaching"
    assert inputs["period"] == WARM_EVERY_MINUTES * MINUTE, "each period should have one call"
    looked_at = inputs["evaluationPeriods"] + 2
    assert f"for {looked_at * inputs['period'] / MINUTE:.0f} minutes" in inputs["alarmDescription"]
    # The snapshot cycle tells of its own runs, and is switched off by a promotion.
    assert "snapshot-cycle-not-called" not in alarms(program)


@STATES
def test_every_queue_of_dead_letters_is_watched(program: Program) -> None:
    dead = {queue.inputs["name"] for queue in program.recorded().of("aws:sqs/queue:Queue")}
    watched = {
        metric["dimensions"]["QueueName"]
        for alarm in alarms(program).values()
        for metric in metrics(alarm.inputs)
        if metric["metricName"] == "ApproximateNumberOfMessagesVisible"
    }
    assert watched == {name for name in dead if name.endswith("-dead-letters")}


def test_running_tasks_are_compared_with_the_live_desired_count() -> None:
    """Autoscaling and deployments change it: the configured number would alarm or hide."""
    queries = {query["id"]: query for query in alarms(SERVING)["crisis-detection-running"].inputs["metricQueries"]}
    assert queries["judged"]["expression"] == "desired - running"
    assert [query["id"] for query in queries.values() if query["returnData"]] == ["judged"]
    assert queries["desired"]["metric"]["metricName"] == "DesiredTaskCount"
    assert queries["running"]["metric"]["metricName"] == "RunningTaskCount"


def test_the_crisis_page_is_no_error() -> None:
    """Its 503 is the load balancer's own: an alarm on all of those would never be quiet on a standby."""
    read = {metric["metricName"] for alarm in alarms(STANDBY).values() for metric in metrics(alarm.inputs)}
    assert not read & {"HTTPCode_ELB_5XX_Count", "HTTPCode_ELB_503_Count"}


def test_an_ended_certificate_stays_an_alarm() -> None:
    assert alarms(STANDBY)["certificate-ending"].inputs["treatMissingData"] == "ignore"


def test_health_checks_without_data_are_told() -> None:
    for program, nouns in ((SERVING, {"answers", "serves"}), (STANDBY, {"witness-alb", "witness-page"})):
        found = {noun: alarm for noun, alarm in alarms(program).items() if noun.startswith("health-check-")}
        assert {noun.removeprefix("health-check-") for noun in found} == nouns
        for alarm in found.values():
            assert alarm.inputs["insufficientDataActions"] == ["arn:aws:health-check-alerts-team-lead"]


def test_can_we_promote_asks_everything_that_an_alarm_can_tell() -> None:
    composite = STANDBY.recorded().one(COMPOSITE, "monitoring-can-we-promote").inputs
    assert composite["alarmActions"] == composite["okActions"] == ["arn:aws:alerts-on-call"]
    asked = re.findall(r'ALARM\("mental-health-platform-sa-([a-z-]+)"\)', composite["alarmRule"])
    assert composite["alarmRule"].count(" OR ") == len(asked) - 1
    assert set(asked) == {
        "newest-copy-old",
        "copy-cycle-stopped",
        "snapshot-cycle-errors",
        "snapshot-cycle-throttled",
        "database-roles-errors",
        "database-roles-throttled",
        "database-roles-not-called",
        "certificate-ending",
    }
    assert not SERVING.recorded().of(COMPOSITE)
    assert composite == PROMOTED.recorded().one(COMPOSITE, "monitoring-can-we-promote").inputs


def test_a_description_that_cloudwatch_would_refuse_is_refused() -> None:
    watch = Watch(
        noun="long",
        section="s",
        wrong="x" * 1024,
        do="y",
        audience="on-call",
        readings={"cpu": reading("AWS/ECS CPUUtilization", "Average", ClusterName="c", ServiceName="s")},
        comparison="GreaterThanThreshold",
        threshold=1,
        seconds=MINUTE,
        periods=1,
        missing="missing",
    )
    with pytest.raises(ValueError, match="characters of 1,024"):
        assert watch.description


# -- the dashboard ----------------------------------------------------------------------------------------------------
def dashboard(program: Program) -> str:
    return str(program.recorded().one(DASHBOARD, "monitoring").inputs["dashboardBody"])


def test_a_dashboard_a_stack_that_no_flip_changes() -> None:
    assert dashboard(STANDBY) == dashboard(PROMOTED)
    name = STANDBY.recorded().one(DASHBOARD, "monitoring").inputs["dashboardName"]
    assert name == "mental-health-platform-sa-platform"


@STATES
def test_every_line_of_the_dashboard_is_a_documented_metric_of_the_stack(program: Program) -> None:
    widgets = json.loads(dashboard(program))["widgets"]
    assert len(widgets) >= 10
    for widget in widgets:
        assert widget["properties"]["region"] == program.settings().region
        for namespace, name, *pairs, _ in widget["properties"]["metrics"]:
            assert set(pairs[::2]) == METRICS[f"{namespace} {name}"].dimensions


def test_widgets_do_not_cover_one_another() -> None:
    widgets = json.loads(dashboard(STANDBY))["widgets"]
    places = {(widget["x"], widget["y"]) for widget in widgets}
    assert len(places) == len(widgets)
    assert max(widget["x"] + widget["width"] for widget in widgets) <= 24
