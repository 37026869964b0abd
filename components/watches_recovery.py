"""What is watched of the protection itself: copies, replication, functions, certificate, health checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pulumi

from components.alarms import MINUTE, Watch
from components.metrics import (
    COPY_CYCLE_RUNS,
    FULL_COPIES,
    NEWEST_BACKUP_AGE,
    NEWEST_COPY_AGE,
    OWN_NAMESPACE,
    reading,
)
from components.watches import dead_letters

HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
# ACM renews 60 days before the end: half of that without success needs a person.
CERTIFICATE_DAYS: Final = 30
# What Replication Time Control promises.
REPLICATION_SECONDS: Final = 15 * MINUTE
# Of the loss that is planned for: the rest of it passes until CloudWatch is sure and a person has read the message.
ALARMING_SHARE: Final = 0.75
# A single silent period alarms after three: CloudWatch looks further back than it is asked to (docs/alarms.md).
SILENT_PERIODS: Final = 3


@dataclass(frozen=True, kw_only=True)
class FunctionWatch:
    """A function on a schedule. `noun` names it in alarms; `dead_letters` is the queue of its failures.

    `tells_runs`: it publishes its runs itself, and an alarm waits for them. The calls of any other are watched here.
    """

    noun: str
    name: pulumi.Input[str]
    every_minutes: int
    dead_letters: pulumi.Input[str]
    tells_runs: bool


@dataclass(frozen=True, kw_only=True)
class ReplicationWatch:
    """Which rule copies from which bucket to which."""

    source: pulumi.Input[str]
    destination: pulumi.Input[str]
    rule: str

    @property
    def dimensions(self) -> dict[str, pulumi.Input[str]]:
        """As S3 publishes it."""
        return {"SourceBucket": self.source, "DestinationBucket": self.destination, "RuleId": self.rule}


def copies(stack: str, rpo_minutes: int, standby: bool) -> list[Watch]:
    """Age of the newest usable copy, and that the cycle runs at all. Both are measured where the copies are.

    A stack that was promoted pulls no copies: there, silence is right.
    """
    newest = _age("newest-copy-old", stack, rpo_minutes, standby)
    runs = Watch(
        noun="copy-cycle-stopped",
        section="old-copies",
        wrong="The snapshot cycle has not come to its end once for 25 minutes.",
        do="Look at its schedule, its errors and its log.",
        audience="team-lead",
        readings={"runs": reading(f"{OWN_NAMESPACE} {COPY_CYCLE_RUNS}", "Sum", Stack=stack)},
        comparison="LessThanThreshold",
        threshold=1,
        # One run a period. A run that fails says nothing, as one that never began, and CloudWatch looks two periods
        # further back than asked for: a single period of 15 minutes would take three of them.
        seconds=5 * MINUTE,
        periods=3,
        missing="breaching" if standby else "notBreaching",
        follows_flag=True,
    )
    return [newest, runs]


def replicated_backups(stack: str, rpo_minutes: int, standby: bool) -> Watch:
    """How far the replicated backups reach. Where the replication ends, for example because a key was disabled, RDS
    says nothing, and what is there only gets older."""
    return _age("newest-backup-old", stack, rpo_minutes, standby)


# What a promotion would restore, by the alarm of its age: (metric, what it is the age of, what to do, part of the
# runbook).
AGES: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "newest-copy-old": (
        NEWEST_COPY_AGE,
        "The newest usable copy of the database is",
        "Read the snapshot cycle's log.",
        "old-copies",
    ),
    "newest-backup-old": (
        NEWEST_BACKUP_AGE,
        "The newest data in the replicated backups is",
        "See whether RDS still replicates them, and whether the keys of both regions are enabled.",
        "old-backups",
    ),
}


def _age(noun: str, stack: str, rpo_minutes: int, standby: bool) -> Watch:
    metric, what, do, section = AGES[noun]
    minutes = rpo_minutes * ALARMING_SHARE
    return Watch(
        noun=noun,
        section=section,
        wrong=f"{what} more than {minutes:g} minutes old, or nobody knows; {rpo_minutes} are planned for.",
        do=f"{do} A promotion would lose that much.",
        audience="team-lead",
        readings={"age": reading(f"{OWN_NAMESPACE} {metric}", "Maximum", Stack=stack)},
        comparison="GreaterThanThreshold",
        threshold=minutes,
        seconds=5 * MINUTE,
        periods=2,
        missing="breaching" if standby else "notBreaching",
        follows_flag=True,
    )


def full_copy(stack: str) -> Watch:
    """A full copy takes hours and room, where the others only carry what changed."""
    return Watch(
        noun="full-copy",
        section="full-copy",
        wrong="The primary's database is another one than before: its first copy is a full one and takes longer.",
        do="Nothing, if the database was restored or replaced on purpose.",
        audience="team-lead",
        readings={"full": reading(f"{OWN_NAMESPACE} {FULL_COPIES}", "Sum", Stack=stack)},
        comparison="GreaterThanOrEqualToThreshold",
        threshold=1,
        seconds=5 * MINUTE,
        periods=1,
        # Published only where there was one.
        missing="notBreaching",
    )


def replica_lag(identifier: pulumi.Input[str], standby: bool) -> Watch:
    """How much a promotion of the replica would lose. Once it is promoted, there is nothing to be behind."""
    return Watch(
        noun="replica-lag",
        section="replica-behind",
        wrong="The replica has been more than five minutes behind its primary for 15 minutes, or does not follow it.",
        do="See whether it still replicates: a promotion now would lose that much.",
        audience="team-lead",
        readings={"lag": reading("AWS/RDS ReplicaLag", "Maximum", DBInstanceIdentifier=identifier)},
        # -1 says that replication does not work: judged as it stands, that would be the best of all.
        expression=f"IF(lag < 0, {DAY}, lag)",
        comparison="GreaterThanThreshold",
        threshold=5 * MINUTE,
        seconds=5 * MINUTE,
        periods=3,
        missing="breaching" if standby else "notBreaching",
        follows_flag=True,
    )


def functions(given: Sequence[FunctionWatch]) -> list[Watch]:
    """Failures and throttling of each function, and that it is called at all."""
    return [watch for function in given for watch in _function(function)]


def _function(given: FunctionWatch) -> list[Watch]:
    seconds = given.every_minutes * MINUTE
    # A tick that fails is made good by the next one, if that comes soon.
    periods = max(1, min(3, HOUR // seconds))
    watches = [
        Watch(
            noun=f"{given.noun}-{noun}",
            section="failing-function",
            wrong=f"The function {given.noun} {wrong} {periods} times in a row, every {given.every_minutes} minutes.",
            do="Read its log.",
            audience="team-lead",
            readings={noun: reading(f"AWS/Lambda {metric}", "Sum", FunctionName=given.name)},
            comparison="GreaterThanOrEqualToThreshold",
            threshold=1,
            seconds=seconds,
            periods=periods,
            # Published only when it is called; that it is called, another alarm says.
            missing="notBreaching",
        )
        for noun, metric, wrong in (
            ("errors", "Errors", "has failed"),
            ("throttled", "Throttles", "was not started for lack of concurrency"),
        )
    ]
    return watches if given.tells_runs else [*watches, _not_called(given)]


def _not_called(given: FunctionWatch) -> Watch:
    """The schedule is off, gone or may not start the function. One in a network goes inactive by that, after weeks."""
    minutes = SILENT_PERIODS * given.every_minutes
    return Watch(
        noun=f"{given.noun}-not-called",
        section="failing-function",
        wrong=f"The function {given.noun} has not been called for {minutes} minutes.",
        do="See whether its schedule is on and may start it.",
        audience="team-lead",
        readings={"calls": reading("AWS/Lambda Invocations", "Sum", FunctionName=given.name)},
        comparison="LessThanThreshold",
        threshold=1,
        # One call a period; one that comes a moment late leaves a period empty, and the next one has it.
        seconds=given.every_minutes * MINUTE,
        periods=1,
        missing="breaching",
    )


def failed_calls(given: Sequence[FunctionWatch]) -> list[Watch]:
    """Calls that failed, and ticks that never reached their function: a failure that is not repeated raises no other
    alarm. It forbids no promotion: the next call has worked, or another alarm stands."""
    return [
        replace(
            dead_letters(function.noun, function.dead_letters),
            section="failed-calls",
            wrong=f"At least one call of the function {function.noun} has failed, or could not be delivered.",
            do="Read why among its dead letters, mend the cause, then purge them: the next call does the work.",
        )
        for function in given
    ]


def replication_out(given: ReplicationWatch) -> Watch:
    """Objects that will never arrive: S3 does not try again. Published in the source's region."""
    return Watch(
        noun="replication-failed",
        section="replication",
        wrong="Recordings could not be copied to the other region, and S3 will not try again.",
        do="Mend permissions or key, then copy them with S3 Batch Replication.",
        audience="team-lead",
        readings={"failed": reading("AWS/S3 OperationsFailedReplication", "Sum", **given.dimensions)},
        comparison="GreaterThanOrEqualToThreshold",
        threshold=1,
        seconds=5 * MINUTE,
        periods=1,
        # Published only where there was one.
        missing="notBreaching",
    )


def replication_in(given: ReplicationWatch, standby: bool) -> Watch:
    """How late recordings arrive here. Published in the destination's region, also when there is nothing to copy."""
    return Watch(
        noun="replication-late",
        section="replication",
        wrong="Recordings have arrived more than 15 minutes late for 15 minutes, or nothing is known of it.",
        do="See whether the other stack's replication rule exists and its role may use both keys.",
        audience="team-lead",
        readings={"latency": reading("AWS/S3 ReplicationLatency", "Maximum", **given.dimensions)},
        comparison="GreaterThanThreshold",
        threshold=REPLICATION_SECONDS,
        seconds=5 * MINUTE,
        periods=3,
        # Nothing comes any more once this stack serves in the place of the other.
        missing="breaching" if standby else "notBreaching",
        follows_flag=True,
    )


def certificate(arn: pulumi.Input[str]) -> Watch:
    """The certificate nears its end, so its renewal has failed for weeks."""
    return Watch(
        noun="certificate-ending",
        section="certificate",
        wrong=f"The certificate ends in less than {CERTIFICATE_DAYS} days and was not renewed.",
        do="See that its validation record still stands in the zone.",
        audience="team-lead",
        readings={"days": reading("AWS/CertificateManager DaysToExpiry", "Minimum", CertificateArn=arn)},
        comparison="LessThanThreshold",
        threshold=CERTIFICATE_DAYS,
        seconds=DAY,
        periods=1,
        # Published twice a day, and no more once it is over: an alarm that stands then must not end by that.
        missing="ignore",
    )


# What it means that a health check of dns.py is unhealthy: (what is wrong, what to do, part of the runbook).
HEALTH_CHECKS: Final[Mapping[str, tuple[str, str, str]]] = {
    "answers": (
        "The primary does not answer its health check from outside.",
        "Open the public name. If the region is lost, promote the standby.",
        "primary-silent",
    ),
    "serves": (
        "The public name has left the primary for the standby: people see the crisis page, or the promoted stack.",
        "If nobody promoted, decide now whether to.",
        "primary-silent",
    ),
    "witness-alb": (
        "The standby's load balancer says that it took over.",
        "If nobody promoted it, find out who wrote that.",
        "taken-over",
    ),
    "witness-page": (
        "The standby's page bucket says that it took over.",
        "If nobody promoted it, find out who wrote that.",
        "taken-over",
    ),
}


def health_checks(checks: Mapping[str, pulumi.Input[str]]) -> list[Watch]:
    """Route 53's checks, by the name that dns.py gives them. Raises KeyError for one that nothing is said of."""
    return [_health_check(noun, check, *HEALTH_CHECKS[noun]) for noun, check in checks.items()]


def _health_check(noun: str, check: pulumi.Input[str], wrong: str, do: str, section: str) -> Watch:
    return Watch(
        noun=f"health-check-{noun}",
        section=section,
        wrong=wrong,
        do=do,
        audience="on-call",
        readings={"healthy": reading("AWS/Route53 HealthCheckStatus", "Minimum", HealthCheckId=check)},
        comparison="LessThanThreshold",
        threshold=1,
        seconds=MINUTE,
        periods=2,
        # No data says nothing of the stack: Route 53's metrics live in one region. The team lead is told.
        missing="missing",
        tell_without_data=True,
    )
