"""What the queue, topic and alarm types of the provider are tried with: one function for each type."""

from __future__ import annotations

import json
from typing import Final

from tests.sandbox.provider_client import REGION
from tests.sandbox.provider_lab import ACCOUNT, Lab, Trial, Trials, document

TRIALS: Final = Trials()


@TRIALS.of("aws:sqs/queue:Queue")
def _queue(lab: Lab) -> Trial:
    letters, name = (
        lab.make("aws:sqs/queue:Queue", name=lab.name("letters")),
        lab.name("queue"),
    )
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    given = {
        "name": name,
        "messageRetentionSeconds": 1209600,
        "visibilityTimeoutSeconds": 300,
        "receiveWaitTimeSeconds": 20,
        "kmsMasterKeyId": lab.key,
        "policy": document("sqs:SendMessage", Principal="*", Resource=arn),
        "redrivePolicy": json.dumps({"deadLetterTargetArn": letters.state["arn"], "maxReceiveCount": 5}),
        "redriveAllowPolicy": json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [arn]}),
        "tags": {"Name": "one"},
    }
    changed = {
        "visibilityTimeoutSeconds": 600,
        "redriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"}),
        "tags": {"Name": "two"},
    }
    return Trial(given, changed, {"name": "another"})


@TRIALS.of("aws:sns/topic:Topic")
def _topic(lab: Lab) -> Trial:
    name = lab.name("topic")
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"
    who = {"Service": "cloudwatch.amazonaws.com"}
    policies = [document(f"sns:{verb}", Principal=who, Resource=arn) for verb in ("Publish", "GetTopicAttributes")]
    given = {"name": name, "kmsMasterKeyId": lab.key, "policy": policies[0], "tags": {"Name": "one"}}
    return Trial(given, {"policy": policies[1], "tags": {"Name": "two"}}, {"name": "another"})


@TRIALS.of("aws:sns/topicSubscription:TopicSubscription")
def _subscription(lab: Lab) -> Trial:
    topic = lab.make("aws:sns/topic:Topic", name=lab.name("topic")).id
    given = {"topic": topic, "protocol": "email", "endpoint": "on-call@example.org"}
    return Trial(given, {}, {"endpoint": "another@example.org"})


def _topic_arn(lab: Lab) -> str:
    return lab.make("aws:sns/topic:Topic", name=lab.name("topic")).id


@TRIALS.of("aws:cloudwatch/metricAlarm:MetricAlarm")
def _metric_alarm(lab: Lab) -> Trial:
    def shown(name: str, metric: str) -> dict[str, object]:
        stat = {
            "namespace": "ECS/ContainerInsights",
            "metricName": metric,
            "period": 60,
            "stat": "Average",
            "dimensions": {"ClusterName": "cluster", "ServiceName": "service"},
        }
        return {"id": name, "returnData": False, "metric": stat}

    judged = {"id": "judged", "expression": "desired - running", "label": "tasks", "returnData": True}
    topic = _topic_arn(lab)
    given = {
        "name": lab.name("alarm"),
        "alarmDescription": "one",
        "metricQueries": [shown("desired", "DesiredTaskCount"), shown("running", "RunningTaskCount"), judged],
        "comparisonOperator": "GreaterThanThreshold",
        "threshold": 0,
        "evaluationPeriods": 5,
        "treatMissingData": "breaching",
        "alarmActions": [topic],
        "okActions": [topic],
        "insufficientDataActions": [topic],
        "tags": {"Name": "one"},
    }
    # From an expression to one metric: nothing of the expression may stay.
    changed = {
        "metricQueries": None,
        "namespace": "AWS/ApplicationELB",
        "metricName": "TargetResponseTime",
        "dimensions": {"LoadBalancer": "app/lab/1"},
        "extendedStatistic": "p95",
        "period": 300,
        "threshold": 2,
        "evaluationPeriods": 3,
        "treatMissingData": "notBreaching",
        "insufficientDataActions": None,
        "tags": {"Name": "two"},
    }
    return Trial(given, changed, {"name": "another"})


@TRIALS.of("aws:cloudwatch/compositeAlarm:CompositeAlarm")
def _composite_alarm(lab: Lab) -> Trial:
    def child() -> str:
        return lab.make(
            "aws:cloudwatch/metricAlarm:MetricAlarm",
            name=lab.name("child"),
            namespace="AWS/Lambda",
            metricName="Errors",
            dimensions={"FunctionName": "function"},
            statistic="Sum",
            period=300,
            comparisonOperator="GreaterThanThreshold",
            threshold=0,
            evaluationPeriods=1,
        ).id

    topic, one, two = _topic_arn(lab), child(), child()
    given = {
        "alarmName": lab.name("composite"),
        "alarmDescription": "one",
        "alarmRule": f'ALARM("{one}") OR ALARM("{two}")',
        "alarmActions": [topic],
        "okActions": [topic],
        "tags": {"Name": "one"},
    }
    changed = {"alarmDescription": "two", "alarmRule": f'ALARM("{two}")', "tags": {"Name": "two"}}
    return Trial(given, changed, {"alarmName": "another"})


@TRIALS.of("aws:cloudwatch/dashboard:Dashboard")
def _dashboard(lab: Lab) -> Trial:
    def body(title: str) -> str:
        properties = {"title": title, "region": REGION, "metrics": [["AWS/SQS", "X", "QueueName", "q"]]}
        widget = {"type": "metric", "x": 0, "y": 0, "width": 8, "height": 6, "properties": properties}
        return json.dumps({"widgets": [widget]})

    given = {"dashboardName": lab.name("dashboard"), "dashboardBody": body("one")}
    return Trial(given, {"dashboardBody": body("two")}, {"dashboardName": "another"})
