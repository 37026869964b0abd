"""A world with what the program's alarms watch, and the program's own alarms put into it.

The definitions are those that the program registers; only what AWS would name (the load balancer, health checks, the
certificate) is put in the place of the mocks' names. A dimension that names nothing in the world is an error here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.components.program import Program
from tests.components.recording import Recorded, Recording
from tests.sandbox import alarm_checks, alarm_functions, roles, traffic_platform
from tests.sandbox.alarm_checks import Witnesses
from tests.sandbox.alarm_functions import Cycle
from tests.sandbox.alarm_lab import ACCOUNT, Lab
from tests.sandbox.traffic_platform import Platform
from tests.sandbox.traffic_world import DIGEST, KENYA, SOUTH_AFRICA, World, forward, image, wait

SPEED = 200.0  # a modelled minute is 0.3 s: alarms that look back 15 minutes need some, and busy machines too
SPECS = Program("kenya", False).settings().services
SERVICES = tuple(spec.name for spec in SPECS)
ALARM, COMPOSITE = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/compositeAlarm:CompositeAlarm"
REPLICA = "mental-health-platform-sa-rds"


@dataclass
class Stage:
    """The running world. `real` gives AWS's name for a mock's, of one stack.

    `south_africa` pulls copies; `others` are the same stack with the other sources of its data.
    """

    platform: Platform
    kenya: Recording
    south_africa: Recording
    others: tuple[Recording, ...]
    witnesses: Witnesses
    real: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cycle = Cycle(self.publish)

    @property
    def world(self) -> World:
        return self.platform.world

    def lab(self, region: str) -> Lab:
        return Lab(self.world, region)

    def problems(self) -> Any:
        """What the cloud itself had, and messages that did not arrive."""
        return self.world.control("GET", "status")["errors"][:3], self.world.events("notification.failed")[:3]

    def publish(self, values: dict[str, float]) -> None:
        """What the snapshot cycle publishes at the end of a run."""
        dimensions = [{"Name": "Stack", "Value": "south-africa"}]
        data = [{"MetricName": name, "Value": value, "Dimensions": dimensions} for name, value in values.items()]
        self.lab(SOUTH_AFRICA).cloudwatch.put_metric_data(Namespace="MentalHealthPlatform", MetricData=data)

    # -- what is watched --------------------------------------------------------------------------------------
    def build(self) -> None:
        """Services, checks, queues, buckets and functions, healthy, under the names that the program gives them."""
        self._services()
        self._checks()
        self._replica()
        self._cache()
        for stack, region in ((self.kenya, KENYA), (self.south_africa, SOUTH_AFRICA)):
            alarm_functions.deploy(self.lab(region), stack)
        self._buckets()
        self._same("aws:sqs/queue:Queue", "name")
        self._same("aws:lambda/function:Function", "name")
        self._same("aws:s3/bucket:Bucket", "bucket")
        self.real |= {name: name for name in (*SERVICES, "everything", "south-africa")}

    def _same(self, typ: str, key: str) -> None:
        """What the world has under the program's own names."""
        found = [resource.inputs[key] for stack in (self.kenya, self.south_africa) for resource in stack.of(typ)]
        self.real |= {name: name for name in found}

    def _services(self) -> None:
        platform, site = self.platform, self.platform.site
        site.client("ecs").update_cluster(cluster="main", settings=[{"name": "containerInsights", "value": "enabled"}])
        groups = {"api-gateway": platform.group}
        for priority, spec in enumerate(SPECS, 10):
            self.world.control("POST", "registry", {"image": image(spec.name), "digest": DIGEST})
            if spec.path is not None and spec.name not in groups:
                groups[spec.name] = site.target_group(spec.name)
                site.rule(priority, forward(groups[spec.name]), path=f"/{spec.name}/*")
            arn = groups.get(spec.name)
            balanced = [{"targetGroupArn": arn, "containerName": spec.name, "containerPort": 8080}] if arn else []
            platform.create(spec.name, platform.define(spec.name), loadBalancers=balanced)
        self.real |= {f"suffix-of-load-balancer-{name}": arn.rpartition(":")[2] for name, arn in groups.items()}
        (cluster,) = self.kenya.of("aws:ecs/cluster:Cluster")
        self._same("aws:ecs/cluster:Cluster", "name")  # the standby's, in which nothing runs
        (database,) = self.kenya.of("aws:rds/instance:Instance")
        site.client("rds").modify_db_instance(
            DBInstanceIdentifier="main",
            AllocatedStorage=int(database.inputs["allocatedStorage"]),
            ApplyImmediately=True,
        )
        (certificate,) = site.client("acm").list_certificates()["CertificateSummaryList"]
        self.real |= {
            cluster.inputs["name"]: "main",
            database.inputs["identifier"]: "main",
            "suffix-of-load-balancer": site.alb["LoadBalancerArn"].partition(":loadbalancer/")[2],
            "arn:aws:load-balancer-certificate": certificate["CertificateArn"],
        }

    def _cache(self) -> None:
        """Its nodes' names follow from the group's."""
        site, client = self.platform.site, self.platform.site.client("elasticache")
        (group,) = self.kenya.of("aws:elasticache/replicationGroup:ReplicationGroup")
        client.create_cache_subnet_group(
            CacheSubnetGroupName="caches", CacheSubnetGroupDescription="caches", SubnetIds=site.private
        )
        client.create_replication_group(
            ReplicationGroupId=group.inputs["replicationGroupId"],
            ReplicationGroupDescription="cache",
            Engine="valkey",
            EngineVersion="8.1",
            CacheNodeType="cache.t4g.small",
            NumCacheClusters=int(group.inputs["numCacheClusters"]),
            AutomaticFailoverEnabled=True,
            MultiAZEnabled=True,
            CacheSubnetGroupName="caches",
            SecurityGroupIds=[site.database_group],
            TransitEncryptionEnabled=True,
            AtRestEncryptionEnabled=True,
            KmsKeyId=self.lab(KENYA).key(),
            AuthToken="token-of-the-cache-1",
        )
        nodes = [f"{group.inputs['replicationGroupId']}-{number:03}" for number in (1, 2)]
        self.real |= {node: node for node in nodes}

    def _checks(self) -> None:
        """The standby's two of itself, then the primary's, which is calculated from them, too."""
        route53 = self.world.client("route53", "us-east-1")
        (zone,) = route53.list_hosted_zones()["HostedZones"]
        self.witnesses.build(zone["Id"])
        alarm_checks.put(route53, self.south_africa, self.witnesses.site.alb["DNSName"], self.real)
        # What kenya reads of south-africa's outputs.
        self.real |= {"witness-1": self.real["dns-witness-alb-id"], "witness-2": self.real["dns-witness-page-id"]}
        alarm_checks.put(route53, self.kenya, self.platform.site.alb["DNSName"], self.real)

    def _replica(self) -> None:
        """In the standby's region, of the primary's database."""
        site, rds = self.witnesses.site, self.lab(SOUTH_AFRICA).client("rds")
        rds.create_db_subnet_group(
            DBSubnetGroupName="database", DBSubnetGroupDescription="database", SubnetIds=site.private
        )
        rds.create_db_instance_read_replica(
            DBInstanceIdentifier=REPLICA,
            SourceDBInstanceIdentifier=f"arn:aws:rds:{KENYA}:{ACCOUNT}:db:main",
            SourceRegion=KENYA,
            DBSubnetGroupName="database",
            VpcSecurityGroupIds=[site.database_group],
        )
        self.real[REPLICA] = REPLICA

    def _buckets(self) -> None:
        """The program's replication rule, between its buckets, under keys of the world."""
        regions = {KENYA: self.kenya, SOUTH_AFRICA: self.south_africa}
        (configuration,) = self.kenya.of("aws:s3/bucketReplicationConfig:BucketReplicationConfig")
        (rule,) = configuration.inputs["rules"]
        names = {
            region: next(b.inputs["bucket"] for b in stack.of("aws:s3/bucket:Bucket") if "audio" in b.inputs["bucket"])
            for region, stack in regions.items()
        }
        for region, name in names.items():
            s3 = self.lab(region).client("s3")
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        self.real |= {"key": self.lab(KENYA).key(), "replica-key": self.lab(SOUTH_AFRICA).key()}
        minutes = {"Minutes": 15}
        destination = {
            "Bucket": f"arn:aws:s3:::{names[SOUTH_AFRICA]}",
            "EncryptionConfiguration": {"ReplicaKmsKeyID": self.real["replica-key"]},
            "Metrics": {"Status": rule["destination"]["metrics"]["status"], "EventThreshold": minutes},
            "ReplicationTime": {"Status": "Enabled", "Time": minutes},
        }
        wanted = {
            "ID": rule["id"],
            "Priority": 1,
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "DeleteMarkerReplication": {"Status": "Enabled"},
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
            "Destination": destination,
        }
        self.lab(KENYA).client("s3").put_bucket_replication(
            Bucket=names[KENYA],
            ReplicationConfiguration={"Role": f"arn:aws:iam::{ACCOUNT}:role/replication", "Rules": [wanted]},
        )

    # -- topics and alarms ------------------------------------------------------------------------------------
    def put_topics(self, stack: Recording, region: str) -> None:
        """The program's topics with its key's and their own policies; every addressee confirms."""
        for key in [key for key in stack.of("aws:kms/key:Key") if "alerts" in key.name]:
            lab = self.lab(key.inputs.get("region") or region)
            made = lab.client("kms").create_key(Policy=key.inputs["policy"])["KeyMetadata"]["Arn"]
            for topic in stack.of("aws:sns/topic:Topic"):
                if topic.name.removeprefix(f"{key.name}-") in ("on-call", "team-lead"):
                    self._topic(lab, topic, made)
        for subscription in stack.of("aws:sns/topicSubscription:TopicSubscription"):
            arn = self.real[subscription.inputs["topic"]]
            self.lab(arn.split(":")[3]).client("sns").subscribe(
                TopicArn=arn, Protocol=subscription.inputs["protocol"], Endpoint=subscription.inputs["endpoint"]
            )
        self.world.control("POST", "confirm", {})

    def _topic(self, lab: Lab, topic: Recorded, key: str) -> None:
        attributes = {"KmsMasterKeyId": key, "Policy": topic.inputs["policy"]}
        made = lab.client("sns").create_topic(Name=topic.inputs["name"], Attributes=attributes)
        self.real[f"arn:aws:{topic.name}"] = str(made["TopicArn"])

    def put_alarms(self, stack: Recording, region: str) -> dict[str, Lab]:
        """All alarms of a recorded stack, by the noun at their names' end: the lab of their region."""
        self.put_topics(stack, region)
        labs = self._put(stack.of(ALARM), region)
        for composite in stack.of(COMPOSITE):
            given = composite.inputs
            labs[noun(given["alarmName"])] = self.lab(region)
            self.lab(region).cloudwatch.put_composite_alarm(
                AlarmName=given["alarmName"],
                AlarmRule=given["alarmRule"],
                AlarmActions=[self.real[arn] for arn in given["alarmActions"]],
            )
        return labs

    def put_added(self, stack: Recording) -> dict[str, Lab]:
        """What south-africa has with another source of its data beside its alarms, whose topics these share."""
        known = {alarm.inputs["name"] for alarm in self.south_africa.of(ALARM)}
        return self._put([alarm for alarm in stack.of(ALARM) if alarm.inputs["name"] not in known], SOUTH_AFRICA)

    def _put(self, alarms: Iterable[Recorded], region: str) -> dict[str, Lab]:
        labs = {}
        for alarm in alarms:
            lab = labs[noun(alarm.inputs["name"])] = self.lab(alarm.inputs.get("region") or region)
            lab.cloudwatch.put_metric_alarm(**self.request(alarm.inputs))
        return labs

    def request(self, given: dict[str, Any]) -> dict[str, Any]:
        """PutMetricAlarm's arguments for what the program registered."""
        asked = {
            "AlarmName": given["name"],
            "AlarmDescription": given["alarmDescription"],
            "ComparisonOperator": given["comparisonOperator"],
            "Threshold": given["threshold"],
            "EvaluationPeriods": int(given["evaluationPeriods"]),
            "TreatMissingData": given["treatMissingData"],
            **{
                member: [self.real[arn] for arn in given.get(name) or []]
                for name, member in (
                    ("alarmActions", "AlarmActions"),
                    ("okActions", "OKActions"),
                    ("insufficientDataActions", "InsufficientDataActions"),
                )
            },
        }
        if queries := given.get("metricQueries"):
            return {**asked, "Metrics": [self._query(query) for query in queries]}
        statistic = "ExtendedStatistic" if given.get("extendedStatistic") else "Statistic"
        return {
            **asked,
            **self._metric(given),
            statistic: given.get("extendedStatistic") or given["statistic"],
            "Period": int(given["period"]),
        }

    def _metric(self, given: dict[str, Any]) -> dict[str, Any]:
        dimensions = [{"Name": name, "Value": self.real[value]} for name, value in given["dimensions"].items()]
        return {"Namespace": given["namespace"], "MetricName": given["metricName"], "Dimensions": dimensions}

    def _query(self, query: dict[str, Any]) -> dict[str, Any]:
        common = {"Id": query["id"], "ReturnData": bool(query.get("returnData"))}
        if metric := query.get("metric"):
            stat = {"Metric": self._metric(metric), "Period": int(metric["period"]), "Stat": metric["stat"]}
            return {**common, "MetricStat": stat}
        return {**common, "Expression": query["expression"]}


def noun(name: str) -> str:
    """What an alarm is about: its name without the platform's and the stack's."""
    return name.removeprefix("mental-health-platform-").partition("-")[2]


@contextlib.contextmanager
def running_stage() -> Iterator[Stage]:
    """kenya serves, south-africa stands by; everything is well."""
    with traffic_platform.running_platform(SPEED) as platform:
        iam = platform.world.client("iam", "us-east-1")
        roles.make(iam, "function", "lambda.amazonaws.com", "scheduler.amazonaws.com")
        roles.make(iam, "replication", "s3.amazonaws.com")
        standby = Program("south-africa", True).recorded()
        others = tuple(
            Program("south-africa", True, source).recorded() for source in ("read-replica", "replicated-backups")
        )
        witnesses = Witnesses(platform.world, standby)
        stage = Stage(platform, Program("kenya", False).recorded(), standby, others, witnesses)
        stage.build()
        wait(lambda: platform.target_states() == ["healthy"], 40, "a healthy target", platform.target_states)
        yield stage
