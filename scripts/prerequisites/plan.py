"""Decisions of `dr bootstrap`: what is there, what is missing, what forbids going on. No AWS calls, no printing."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from scripts.project import Project

SERVICE_LINKED_ROLES = {
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
    "elasticache.amazonaws.com": "AWSServiceRoleForElastiCache",
    "rds.amazonaws.com": "AWSServiceRoleForRDS",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
}
BUCKET_SETTINGS = ("versioning", "encryption", "public access block", "TLS-only policy")
GENERATED = ("databaseMasterPassword", "databasePasswords", "cacheAuthToken", "signingKey")
SECRETS = (*GENERATED, "registryCredential")
# What a region must be before anything can be made in it (account:GetRegionOptStatus).
USABLE = ("ENABLED", "ENABLED_BY_DEFAULT")


@dataclass
class Found:
    """What exists now. Key ARNs are None where the alias doesn't exist."""

    account: str
    caller: str
    region_status: dict[str, str] = field(default_factory=dict)
    service_linked_roles: set[str] = field(default_factory=set)
    state_key: str | None = None
    replica_key: str | None = None
    buckets: dict[str, set[str]] = field(default_factory=dict)  # name -> settings that are right
    replication_role: bool = False
    replication: bool = False
    zone_ids: list[str] = field(default_factory=list)
    stacks: set[str] = field(default_factory=set)
    provided: set[str] = field(default_factory=set)  # stacks whose file says with what it is encrypted
    deployed: set[str] = field(default_factory=set)  # stacks that have resources
    config: dict[str, set[str]] = field(default_factory=dict)  # stack -> keys that are set
    public_policies_refused: set[str] = field(default_factory=set)  # settings of the account that do so


@dataclass(frozen=True)
class Step:
    """One thing that must exist. `key` tells what makes it, `subject` which one."""

    key: str
    subject: str
    title: str
    exists: bool
    detail: str = ""


def refusals(project: Project, found: Found) -> list[str]:
    """Reasons why nothing may be made at all."""
    reasons = []
    wanted = project.standby.account
    if found.account != wanted:
        reasons.append(f"The credentials belong to account {found.account}; the stack files say {wanted}.")
    for region, status in found.region_status.items():
        if status not in USABLE:
            reasons.append(
                f"Region {region} is {status}: enable it (`aws account enable-region --region-name {region}`, takes "
                "minutes to hours) and run this again."
            )
    if reasons:
        return reasons  # in another account or without a region, nothing else can be told
    if len(found.zone_ids) > 1 and project.standby.zone_id not in found.zone_ids:
        reasons.append(
            f"{len(found.zone_ids)} public hosted zones of {project.standby.zone} exist: {', '.join(found.zone_ids)}. "
            "Set zoneId in both stack files to the right one."
        )
    for stack in project.stacks:
        if stack.zone_id and stack.zone_id not in found.zone_ids:
            reasons.append(f"{stack.file.name}: zoneId {stack.zone_id} is no public hosted zone of {stack.zone}.")
    return [*reasons, *_blocked_page(found), *_lost_secrets(project, found)]


def _blocked_page(found: Found) -> Iterable[str]:
    if found.public_policies_refused:
        yield (
            f"The account forbids public bucket policies ({', '.join(sorted(found.public_policies_refused))}), and "
            "the crisis page's bucket needs one. Set these to false for the account (`aws s3control "
            f"put-public-access-block --account-id {found.account}`; each bucket keeps its own block), or use another "
            "account."
        )


def _lost_secrets(project: Project, found: Found) -> Iterable[str]:
    """Secrets that something runs with, and that would get other values here."""
    for stack in project.stacks:
        lost = [key for key in GENERATED if key not in found.config.get(stack.stack, set())]
        if stack.stack in found.deployed and lost:
            yield (
                f"{stack.file.name} lacks {', '.join(lost)}, but {stack.stack} is deployed with them: new ones would "
                "lock services and users out. Fetch the file as it was committed after the first bootstrap, or write "
                f"it back from the last deployment (`pulumi config refresh --stack {stack.stack}`) and commit it."
            )


def steps(project: Project, found: Found) -> list[Step]:
    """Everything that must exist, in the order in which it is made."""
    return [*_cloud_steps(project, found), *_stack_steps(project, found)]


def _cloud_steps(project: Project, found: Found) -> Iterable[Step]:
    for service, role in SERVICE_LINKED_ROLES.items():
        yield Step("service-linked-role", service, f"service-linked role {role}", service in found.service_linked_roles)
    home, away = project.standby.region, project.primary.region
    alias = project.state_key_alias
    yield Step("state-key", home, f"multi-Region key {alias} in {home}", bool(found.state_key), found.state_key or "")
    yield Step("replica-key", away, f"its replica in {away}", bool(found.replica_key), found.replica_key or "")
    for bucket, region in ((project.replica_bucket, away), (project.state_bucket, home)):
        yield Step("bucket", bucket, f"bucket {bucket} in {region}", bucket in found.buckets)
        for setting in BUCKET_SETTINGS:
            right = setting in found.buckets.get(bucket, set())
            yield Step(f"bucket {setting}", bucket, f"  {setting}", right)
    role = replication_role(project)
    yield Step("replication-role", role, f"role {role}", found.replication_role)
    yield Step("replication", project.state_bucket, f"replication into {project.replica_bucket}", found.replication)
    zone = found.zone_ids[0] if found.zone_ids else ""
    yield Step("zone", project.standby.zone, f"hosted zone {project.standby.zone}", bool(zone), zone)


def _stack_steps(project: Project, found: Found) -> Iterable[Step]:
    for stack in project.stacks:
        # Without what it names, its file can't take a secret: it was made in another clone and not committed.
        exists = stack.stack in found.stacks & found.provided
        yield Step("stack", stack.stack, f"stack {stack.stack} and its secrets provider", exists)
    for stack in project.stacks:
        keys = found.config.get(stack.stack, set())
        yield Step("zone-id", stack.stack, f"{stack.file.name}: zoneId", "zoneId" in keys, stack.zone_id or "")
        for secret in SECRETS:
            yield Step(f"secret {secret}", stack.stack, f"{stack.file.name}: {secret} (encrypted)", secret in keys)


def missing(all_steps: Iterable[Step]) -> list[Step]:
    return [step for step in all_steps if not step.exists]


def needs_registry_credential(all_steps: Iterable[Step]) -> bool:
    """Whether it must be asked for: neither stack has it, so it can't be copied from the other."""
    return all(not step.exists for step in all_steps if step.key == "secret registryCredential")


def replication_role(project: Project) -> str:
    return f"{project.state_bucket}-replication"


def chosen_zone(project: Project, found: Found) -> str | None:
    """The id of the zone to use: the configured one, else the only one there is."""
    return project.standby.zone_id or project.primary.zone_id or next(iter(found.zone_ids), None)
