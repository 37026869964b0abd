"""Alarms of what a stack may have: a cache, a read replica. And what the numbers in them mean."""

from functools import cache
from typing import Any

from components.alarms import Topics
from components.metrics import METRICS
from components.monitoring import Monitoring, MonitoringArgs
from components.watches import DatabaseWatch, Entrance, QueueWatch
from components.watches_recovery import FunctionWatch, functions
from tests.components.recording import Recording, record
from tests.components.wiring import SPECS, TAGS

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
TOPICS = Topics("arn:aws:sns:on-call", "arn:aws:sns:team-lead")


@cache
def recorded(standby: bool) -> Recording:
    """A stack with a read replica and a cache of two nodes, in the health checks' own region."""
    args = MonitoringArgs(
        stack="test",
        short_name="sa",
        tags=TAGS,
        region="us-east-1",
        standby=standby,
        frozen=False,
        topics=TOPICS,
        health_check_region="us-east-1",
        health_check_topics=TOPICS,
        health_checks={"answers": "check"},
        specs=SPECS,
        cluster_name="cluster",
        entrance=Entrance(load_balancer="app/alb/1", target_groups={"crisis-detection": "targetgroup/tg/1"}),
        certificate_arn="arn:aws:acm:certificate",
        database_identifier="database",
        database=DatabaseWatch(identifier="database", allocated_storage=100, connections=500),
        cache_clusters=[f"mental-health-platform-sa-redis-00{number}" for number in (1, 2)],
        queue=QueueWatch(name="sync", dead_letters="dead"),
        functions=[
            FunctionWatch(noun="cycle", name="cycle", every_minutes=5, dead_letters="cycle-dead", tells_runs=False)
        ],
        standby_source="read-replica",
        rpo_minutes=60,
        replicates=None,
        receives=None,
        after=[],
    )
    return record(lambda: Monitoring("monitoring", args))


def alarm(noun: str, standby: bool = True) -> dict[str, Any]:
    return recorded(standby).one(ALARM, f"monitoring-{noun}").inputs


def test_each_node_of_the_cache_is_watched_by_its_own_cluster() -> None:
    for number in (1, 2):
        for noun in ("cpu", "memory", "evictions"):
            inputs = alarm(f"cache-{number}-{noun}")
            assert inputs["dimensions"] == {"CacheClusterId": f"mental-health-platform-sa-redis-00{number}"}
            assert inputs["treatMissingData"] == "notBreaching"
            assert inputs["alarmActions"] == ["arn:aws:sns:team-lead"]


def test_a_replica_that_says_nothing_alarms_until_it_is_promoted() -> None:
    assert alarm("replica-lag", standby=True)["treatMissingData"] == "breaching"
    assert alarm("replica-lag", standby=False)["treatMissingData"] == "notBreaching"
    for standby in (True, False):
        rule = recorded(standby).one(COMPOSITE, "monitoring-can-we-promote").inputs["alarmRule"]
        assert 'ALARM("mental-health-platform-sa-replica-lag")' in rule
        assert "newest-copy" in rule, "copies are made beside it"


def test_a_call_that_failed_once_is_told_and_forbids_no_promotion() -> None:
    """The next call made it good, and the message lies there until somebody has read it."""
    inputs = alarm("cycle-dead-letters")
    assert inputs["dimensions"] == {"QueueName": "cycle-dead"}
    assert inputs["alarmActions"] == ["arn:aws:sns:team-lead"]
    assert "docs/alarms.md#failed-calls" in inputs["alarmDescription"]
    rule = recorded(True).one(COMPOSITE, "monitoring-can-we-promote").inputs["alarmRule"]
    assert "cycle-dead-letters" not in rule


def test_a_function_that_tells_of_its_runs_is_not_watched_for_its_calls_as_well() -> None:
    nouns = [{watch.noun for watch in functions([function(5, tells_runs=told)])} for told in (True, False)]
    assert nouns[1] - nouns[0] == {"f-not-called"}


def function(every_minutes: int, *, tells_runs: bool = True) -> FunctionWatch:
    return FunctionWatch(noun="f", name="f", every_minutes=every_minutes, dead_letters="d", tells_runs=tells_runs)


def test_a_stack_in_the_health_checks_region_names_no_other() -> None:
    assert "region" not in alarm("health-check-answers")


def test_free_storage_is_judged_in_bytes_and_silence_is_the_worst() -> None:
    inputs = alarm("database-storage")
    assert inputs["threshold"] == 15 * 1024**3
    assert inputs["treatMissingData"] == "breaching"


def test_a_function_called_often_may_fail_twice_and_one_called_hourly_not_at_all() -> None:
    often, hourly = (functions([function(minutes)])[0] for minutes in (5, 60))
    assert (often.seconds, often.periods) == (300, 3)
    assert (hourly.seconds, hourly.periods) == (3600, 1)


def test_no_alarm_looks_back_further_than_cloudwatch_does() -> None:
    """PutMetricAlarm, API reference: a day, or a week for periods of an hour and more."""
    for item in recorded(True).of(ALARM):
        queries = [query["metric"] for query in item.inputs.get("metricQueries", []) if "metric" in query]
        for seconds in [item.inputs["period"]] if "period" in item.inputs else [q["period"] for q in queries]:
            longest = 7 * 86400 if seconds >= 3600 else 86400
            assert seconds * item.inputs["evaluationPeriods"] <= longest, item.name


def test_names_of_alarms_are_the_stacks_own() -> None:
    names = [item.inputs["name"] for item in recorded(True).of(ALARM)]
    assert len(names) == len(set(names))
    assert all(name.startswith("mental-health-platform-sa-") for name in names)


def test_every_documented_metric_is_read_by_an_alarm_or_a_dashboard() -> None:
    """A metric that nothing reads is a promise that nobody keeps."""
    read = {
        f"{metric['namespace']} {metric['metricName']}"
        for item in recorded(True).of(ALARM)
        for metric in (
            [item.inputs]
            if "metricName" in item.inputs
            else [query["metric"] for query in item.inputs["metricQueries"] if "metric" in query]
        )
    }
    elsewhere = {name for name in METRICS if name.startswith(("MentalHealthPlatform ", "AWS/S3 "))}
    assert read | elsewhere == METRICS.keys()
