"""The faults that are drawn into a promotion, as data. docs/faults.md is made from it."""

from __future__ import annotations

from typing import Any

from components import naming
from scripts.errors import CredentialsError, LockedError, PulumiError, RefusedError
from scripts.rehearsal import breaking
from scripts.rehearsal.fault_rows import Estate, Injected, Moment, Row, Stage

OPERATOR = "OPERATOR"
PRESSED = ("ec2", "ecs", "elasticloadbalancing", "rds", "secretsmanager")
LATE = (0.1, 0.4)  # real seconds more for each call: what a region in trouble was seen to need
CALLS_A_SECOND = 5
# A restore takes 12 modelled minutes, and its conversion to Multi-AZ another 6.
WHILE_RESTORING = Moment({"kind": "begun", "step": "database"}, (0.5, 15.0), "the restore began")
# Too late for the preflight, too early for the first task.
PAST_PREFLIGHT = Moment({"kind": "pulumi up"}, (0.0, 3.0), "`pulumi up` began")
CPUS, ADDRESSES, INSTANCES = ("fargate", "L-3032A538"), ("ec2", "L-0263D0A3"), ("rds", "L-7B6409FD")


def denied(service: str, operation: str, code: str = "AccessDeniedException") -> dict[str, Any]:
    return {
        "service": service,
        "operation": operation,
        "code": code,
        "message": f"is not authorized to perform {service}:{operation}",
    }


def here(estate: Estate, **fields: Any) -> list[dict[str, Any]]:
    return [{"region": estate.region, **fields}]


def secret_of(estate: Estate, critical: bool) -> str:
    """A piece of the ARN of a service's login; only services that need a database have one."""
    return naming.secret(estate.standby.short, f"database/{estate.service(critical)}")


def vcpus_of_critical_services(estate: Estate) -> float:
    return sum(spec.cpu * spec.desired_count for spec in estate.settings.services if spec.critical) / 1024


FAULTS = (
    # -- refused before anything was changed
    Row(
        "copies-unusable",
        "every copy of the database is marked unusable",
        breaking.unusable_copies,
        Stage.PREFLIGHT,
        "the mark is taken off",
        RefusedError,
        r"No usable copy.*unusable",
    ),
    Row(
        "data-key-disabled",
        "the key of the standby's data is disabled",
        breaking.disabled_key(lambda estate: naming.data_key_alias(estate.standby.short)),
        Stage.PREFLIGHT,
        "`aws kms enable-key`",
        RefusedError,
        r"alias/\S+-sa-data .*is Disabled",
    ),
    Row(
        "state-key-disabled",
        "the key of the state's secrets is disabled",
        breaking.disabled_key(lambda estate: estate.project.state_key_alias),
        Stage.PREFLIGHT,
        "`aws kms enable-key`",
        RefusedError,
        r"alias/\S+-state .*is Disabled",
    ),
    Row(
        "secret-deleted",
        "the registry's credential is scheduled for deletion",
        breaking.deleted_secret,
        Stage.PREFLIGHT,
        "`aws secretsmanager restore-secret`",
        RefusedError,
        r"mental-health-platform/sa/registry",
    ),
    Row(
        "state-missing",
        "the state of the stack is deleted",
        breaking.deleted_state,
        Stage.PREFLIGHT,
        "the deletion marker is removed from the versioned bucket",
        RefusedError,
        r"state: .*never deployed",
    ),
    Row(
        "stack-locked",
        "a deployment on another machine holds the lock",
        breaking.foreign_lock,
        Stage.PREFLIGHT,
        "`pulumi cancel`, once it is certain that it has ended",
        LockedError,
        breaking.STRANGER,
    ),
    Row(
        "certificate-expired",
        "the certificate of the public name has expired",
        Injected("certificate-expired", lambda estate: here(estate, domain=estate.standby.domain)),
        Stage.PREFLIGHT,
        "ACM renews it once its validation record is back",
        RefusedError,
        r"certificate: .*EXPIRED",
    ),
    Row(
        "credentials-expired",
        "the credentials have expired",
        Injected("expired-credentials", lambda _: [{"principal": OPERATOR}]),
        Stage.PREFLIGHT,
        "new credentials",
        CredentialsError,
        r"^credentials: .*ExpiredToken",
    ),
    Row(
        "reading-denied",
        "the list of copies may not be read",
        Injected("api-error", lambda estate: here(estate, **denied("rds", "DescribeDBSnapshots", "AccessDenied"))),
        Stage.PREFLIGHT,
        "the permission is given",
        RefusedError,
        r"AccessDenied.*DescribeDBSnapshots",
    ),
    Row(
        "database-quota-full",
        "the account may have no more database instances",
        breaking.lowered_quota(*INSTANCES, lambda _: 0),
        Stage.PREFLIGHT,
        "the quota is raised",
        RefusedError,
        r"DB instances .* is 0 in .*needs 1 more",
    ),
    Row(
        "address-quota-full",
        "the account may have no more elastic IP addresses",
        breaking.lowered_quota(*ADDRESSES, lambda _: 0),
        Stage.PREFLIGHT,
        "the quota is raised",
        RefusedError,
        r"Elastic IPs .* is 0 in .*needs 3 more",
    ),
    Row(
        "compute-quota-full",
        "Fargate's quota of vCPUs is not enough for the critical services",
        breaking.lowered_quota(*CPUS, lambda estate: vcpus_of_critical_services(estate) / 2),
        Stage.PREFLIGHT,
        "the quota is raised",
        RefusedError,
        r"Fargate On-Demand vCPU .*the promotion needs",
    ),
    Row(
        "image-gone",
        "the image of a critical service is not in the registry",
        breaking.missing_image,
        Stage.PREFLIGHT,
        "the image is pushed again",
        RefusedError,
        r"crisis-detection.* cannot be pulled.*manifest unknown",
    ),
    # -- failed, with the crisis page up
    Row(
        "no-database-capacity",
        "RDS has no capacity for the instance class",
        Injected(
            "api-error",
            lambda estate: here(
                estate,
                service="rds",
                operation="RestoreDBInstanceFromDBSnapshot",
                code="InsufficientDBInstanceCapacity",
                message="The specified DB instance class isn't available in the specified Availability Zone.",
            ),
        ),
        Stage.RESTORE_REFUSED,
        "there is capacity again",
        PulumiError,
        r"InsufficientDBInstanceCapacity",
    ),
    Row(
        "gateway-quota-full",
        "a zone may have no more NAT gateways",
        Injected(
            "api-error",
            lambda estate: here(
                estate,
                service="ec2",
                operation="CreateNatGateway",
                code="NatGatewayLimitExceeded",
                message="You've reached the limit on the number of NAT gateways for this Availability Zone.",
            ),
        ),
        Stage.DATABASE,
        "the quota is raised",
        PulumiError,
        r"NatGatewayLimitExceeded",
    ),
    Row(
        "credentials-expire",
        "the credentials expire while the database is restored",
        Injected("expired-credentials", lambda _: [{"principal": OPERATOR}]),
        Stage.DATABASE,
        "new credentials",
        CredentialsError,
        r"no longer taken.*ExpiredToken",
        WHILE_RESTORING,
    ),
    Row(
        "data-key-lost-midway",
        "the key of the standby's data is disabled while the database is restored",
        breaking.disabled_key(lambda estate: naming.data_key_alias(estate.standby.short)),
        Stage.DATABASE,
        "`aws kms enable-key`",
        PulumiError,
        r"(KMSKeyNotAccessibleFault|EncryptionFailure): .*KMS key",
        WHILE_RESTORING,
    ),
    Row(
        "writing-denied",
        "a critical service's login may not be written",
        Injected(
            "api-error",
            lambda estate: here(
                estate, **denied("secretsmanager", "PutSecretValue"), contains=secret_of(estate, critical=True)
            ),
        ),
        Stage.CRITICAL_SECRETS,
        "the permission is given",
        PulumiError,
        r"critical-logins-\S+: PutSecretValue: AccessDeniedException",
    ),
    Row(
        "function-failing",
        "the function that makes the logins fails",
        breaking.broken_function,
        Stage.CRITICAL_ROLES,
        "its handler is set back",
        PulumiError,
        r"database-roles.*nowhere",
    ),
    Row(
        "image-lost-midway",
        "the image of a critical service is taken away after the preflight",
        breaking.missing_image,
        Stage.CRITICAL_SERVICES,
        "the image is pushed again",
        PulumiError,
        r"no takeover.*CannotPullContainerError.*not found",
        PAST_PREFLIGHT,
    ),
    # -- failed, with the critical services serving
    Row(
        "standard-login-denied",
        "a standard service's login may not be written",
        Injected(
            "api-error",
            lambda estate: here(
                estate, **denied("secretsmanager", "PutSecretValue"), contains=secret_of(estate, critical=False)
            ),
        ),
        Stage.STANDARD_SECRETS,
        "the permission is given",
        PulumiError,
        r"standard-logins-\S+: PutSecretValue: AccessDeniedException",
    ),
    Row(
        "standard-service-crashing",
        "the tasks of a standard service end as they start",
        Injected("service-crash", lambda estate: here(estate, service=estate.service(critical=False))),
        Stage.STANDARD_SERVICES,
        "the service starts again",
        PulumiError,
        r"Essential container in task exited",
    ),
    Row(
        "compute-quota-short",
        "the vCPUs that are left are enough for the critical services only",
        breaking.lowered_quota(*CPUS, vcpus_of_critical_services),
        Stage.STANDARD_SERVICES,
        "the quota is raised",
        PulumiError,
        r"limit on the number of vCPUs",
    ),
    Row(
        "cache-failing",
        "ElastiCache has no capacity for the cache",
        Injected(
            "api-error",
            lambda estate: here(
                estate,
                service="elasticache",
                operation="CreateReplicationGroup",
                code="InsufficientCacheClusterCapacity",
                message="The requested cache node type is not available in the specified Availability Zone.",
            ),
        ),
        Stage.STANDARD_SERVICES,
        "there is capacity again",
        PulumiError,
        r"InsufficientCacheClusterCapacity",
    ),
    # -- promoted all the same
    Row(
        "latency",
        "each API call of the region is answered late",
        Injected(
            "latency",
            lambda estate: [
                {"region": estate.region, "service": service, "seconds": round(estate.random.uniform(*LATE), 2)}
                for service in PRESSED
            ],
        ),
        Stage.WHOLE,
        "the region answers as usual",
    ),
    Row(
        "throttling",
        f"of each operation only {CALLS_A_SECOND} calls a second are admitted",
        Injected(
            "throttling",
            lambda estate: [
                {"region": estate.region, "service": service, "per_second": CALLS_A_SECOND} for service in PRESSED
            ],
        ),
        Stage.WHOLE,
        "calls are admitted again",
    ),
    Row(
        "zone-without-capacity",
        "one availability zone has no capacity for tasks",
        Injected(
            "zone-without-capacity",
            lambda estate: here(estate, zone=estate.region + estate.random.choice("abc")),
        ),
        Stage.WHOLE,
        "the zone has capacity again",
    ),
)
