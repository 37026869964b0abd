"""AWS access of `dr bootstrap`: looking at what exists, and making one thing at a time. No decisions, no printing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from scripts.clients import Clients
from scripts.errors import AwsError, DrError, IncompleteError
from scripts.prerequisites import documents
from scripts.prerequisites.plan import SERVICE_LINKED_ROLES, USABLE, Found, replication_role
from scripts.project import Project
from scripts.promotion.failures import EXPIRED, of_credentials

if TYPE_CHECKING:
    from types_boto3_iam.client import IAMClient
    from types_boto3_kms.client import KMSClient
    from types_boto3_route53.client import Route53Client
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.literals import BucketLocationConstraintType
    from types_boto3_s3.type_defs import PublicAccessBlockConfigurationTypeDef
    from types_boto3_sts.client import STSClient

Answer = TypeVar("Answer")

GLOBAL = "us-east-1"  # where the control planes of global services sit; asked in peace time only
REPLICATE = "replicate"  # the replication role's only policy
TAGS = {"Platform": "mental-health-platform", "ManagedBy": "dr-bootstrap"}
BLOCK_ALL: PublicAccessBlockConfigurationTypeDef = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
ABSENT = (
    "404",
    "NoSuchBucket",
    "NoSuchEntity",
    "NotFoundException",
    "NoSuchBucketPolicy",
    "NoSuchPublicAccessBlockConfiguration",
    "ServerSideEncryptionConfigurationNotFoundError",
    "ReplicationConfigurationNotFoundError",
)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what boto3 raises into one message."""
    try:
        yield
    except ClientError as error:
        operation = error.operation_name
        if error.response["Error"].get("Code") in EXPIRED:
            raise of_credentials(f"AWS refused {operation}: {error.response['Error'].get('Message', error)}") from error
        raise AwsError(f"AWS refused {operation}: {error.response['Error'].get('Message', error)}") from error
    except NoCredentialsError as error:
        raise of_credentials(str(error)) from error
    except BotoCoreError as error:
        raise AwsError(f"AWS could not be reached or the credentials are incomplete: {error}") from error


@contextmanager
def continuing() -> Iterator[None]:
    """Like `explained`, for what comes after a change: whatever fails here leaves something half-made."""
    try:
        with explained():
            yield
    except IncompleteError:
        raise
    except DrError as error:
        hint = " ".join(filter(None, (error.hint, "What was made stays: running it again continues.")))
        raise IncompleteError(error.message, hint) from error


def _if_there(ask: Callable[[], Answer]) -> Answer | None:
    """The answer, or None when AWS says that what is asked for doesn't exist."""
    try:
        return ask()
    except ClientError as error:
        if error.response["Error"]["Code"] not in ABSENT:
            raise
        return None


class Aws:
    """Clients for the services of the prerequisites, by region."""

    def __init__(self, project: Project, clients: Clients) -> None:
        self.project = project
        self._clients = clients

    def _s3(self, region: str) -> S3Client:
        client: S3Client = self._clients.get("s3", region)
        return client

    def _kms(self, region: str) -> KMSClient:
        client: KMSClient = self._clients.get("kms", region)
        return client

    def _iam(self) -> IAMClient:
        client: IAMClient = self._clients.get("iam", GLOBAL)
        return client

    def _route53(self) -> Route53Client:
        client: Route53Client = self._clients.get("route53", GLOBAL)
        return client

    def region_of(self, bucket: str) -> str:
        return self.project.primary.region if bucket == self.project.replica_bucket else self.project.standby.region

    # -- looking ------------------------------------------------------------------------------------------------
    def look(self) -> Found:
        """Read what exists. Nothing is changed. Stacks and configuration are read elsewhere, through Pulumi."""
        project = self.project
        # Not in a region that may still have to be enabled: it would call the credentials invalid.
        sts: STSClient = self._clients.get("sts", GLOBAL)
        identity = sts.get_caller_identity()
        found = Found(account=identity["Account"], caller=identity["Arn"])
        found.region_status = {stack.region: self._region_status(stack.region) for stack in project.stacks}
        if any(status not in USABLE for status in found.region_status.values()):
            return found  # refused by that alone, and nothing else there answers
        found.service_linked_roles = {
            service for service, role in SERVICE_LINKED_ROLES.items() if self._role_arn(role) is not None
        }
        found.state_key = self._key(project.standby.region)
        found.replica_key = self._key(project.primary.region)
        for bucket in (project.state_bucket, project.replica_bucket):
            settings = self._bucket_settings(bucket)
            if settings is not None:
                found.buckets[bucket] = settings
        found.replication_role = self._has_policy(replication_role(project))
        found.replication = project.state_bucket in found.buckets and self._replicated()
        found.zone_ids = self._zones()
        found.public_policies_refused = self.public_policies_refused()
        return found

    def public_policies_refused(self) -> set[str]:
        """Settings of the account's own Block Public Access, valid in all regions, that no bucket can override."""
        s3control = self._clients.get("s3control", self.project.standby.region)
        if ".amazonaws.com" not in s3control.meta.endpoint_url:
            return set()  # asked at <account>.<host>, a name that a sandbox's address can't have
        account = self.project.standby.account
        block = _if_there(
            lambda: s3control.get_public_access_block(AccountId=account)["PublicAccessBlockConfiguration"]
        )
        return {name for name in ("BlockPublicPolicy", "RestrictPublicBuckets") if (block or {}).get(name)}

    def _region_status(self, region: str) -> str:
        account = self._clients.get("account", GLOBAL)
        return str(account.get_region_opt_status(RegionName=region)["RegionOptStatus"])

    def _role_arn(self, name: str) -> str | None:
        return _if_there(lambda: self._iam().get_role(RoleName=name)["Role"]["Arn"])

    def _has_policy(self, role: str) -> bool:
        """Whether the replication role is complete: it exists, and with it what it may do."""
        return _if_there(lambda: self._iam().get_role_policy(RoleName=role, PolicyName=REPLICATE)) is not None

    def _key(self, region: str) -> str | None:
        alias = self.project.state_key_alias
        return _if_there(lambda: self._kms(region).describe_key(KeyId=alias)["KeyMetadata"].get("Arn"))

    def _bucket_settings(self, bucket: str) -> set[str] | None:
        s3 = self._s3(self.region_of(bucket))
        owner = self.project.standby.account
        if _if_there(lambda: s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=owner)) is None:
            return None
        right = set()
        if s3.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled":
            right.add("versioning")
        encryption = _if_there(lambda: s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"])
        for rule in encryption["Rules"] if encryption else ():
            if rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") == "aws:kms":
                right.add("encryption")
        block = _if_there(lambda: s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"])
        if block and all(block.get(flag) for flag in BLOCK_ALL):
            right.add("public access block")
        policy = _if_there(lambda: s3.get_bucket_policy(Bucket=bucket)["Policy"])
        if policy and any(statement.get("Sid") == "TlsOnly" for statement in json.loads(policy)["Statement"]):
            right.add("TLS-only policy")
        return right

    def _replicated(self) -> bool:
        s3, bucket = self._s3(self.project.standby.region), self.project.state_bucket
        found_rules = _if_there(lambda: s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]["Rules"])
        target = documents.bucket_arn(self.project.replica_bucket)
        return any(
            rule["Destination"]["Bucket"] == target and rule["Status"] == "Enabled" for rule in found_rules or ()
        )

    def _zones(self) -> list[str]:
        """Ids of the public hosted zones of exactly our name (the listing goes on alphabetically)."""
        name = f"{self.project.standby.zone}."
        listed = self._route53().list_hosted_zones_by_name(DNSName=name)["HostedZones"]
        return [
            zone["Id"].removeprefix("/hostedzone/")
            for zone in listed
            if zone["Name"] == name and not zone.get("Config", {}).get("PrivateZone")
        ]

    # -- making -------------------------------------------------------------------------------------------------
    def make_service_linked_role(self, service: str) -> None:
        try:
            self._iam().create_service_linked_role(AWSServiceName=service)
        except ClientError as error:
            # AWS creates them by itself at a service's first use: somebody may have been faster.
            if "has been taken" not in error.response["Error"].get("Message", ""):
                raise

    def make_state_key(self) -> str:
        region = self.project.standby.region
        kms = self._kms(region)
        key = kms.create_key(
            Description="Secrets and state of the mental-health-platform stacks",
            MultiRegion=True,  # so that the replicated state can be decrypted without the standby region
            Policy=json.dumps(documents.key_policy(self.project.standby.account)),
            Tags=[{"TagKey": name, "TagValue": value} for name, value in TAGS.items()],
        )["KeyMetadata"]["Arn"]
        with continuing():
            kms.enable_key_rotation(KeyId=key)
            self._alias(region, key)
        return key

    def make_replica_key(self, primary_key: str) -> str:
        region = self.project.primary.region
        try:
            self._kms(self.project.standby.region).replicate_key(
                KeyId=primary_key.rpartition("/")[2],
                ReplicaRegion=region,
                Description="Secrets and state of the mental-health-platform stacks (replica)",
                Policy=json.dumps(documents.key_policy(self.project.standby.account)),
                Tags=[{"TagKey": name, "TagValue": value} for name, value in TAGS.items()],
            )
        except ClientError as error:
            # A run that ended before the alias left it behind.
            if error.response["Error"]["Code"] != "AlreadyExistsException":
                raise
        # A replica differs from its primary in the region only.
        replica = primary_key.replace(f":{self.project.standby.region}:", f":{region}:")
        with continuing():
            self._wait_until_enabled(region, replica)
            self._alias(region, replica)
        return replica

    def _alias(self, region: str, key: str) -> None:
        """Give the key its alias. Aliases are regional: primary and replica each need their own."""
        alias = self.project.state_key_alias
        try:
            self._kms(region).create_alias(AliasName=alias, TargetKeyId=key.rpartition("/")[2])
        except ClientError as error:
            taken = error.response["Error"]["Code"] == "AlreadyExistsException"
            if not taken or self._key(region) != key:
                raise

    def _wait_until_enabled(self, region: str, key: str) -> None:
        """A new replica is "Creating" for some seconds and refuses to be used."""

        def enabled() -> bool:
            return self._kms(region).describe_key(KeyId=key)["KeyMetadata"].get("KeyState") == "Enabled"

        attempts = Retrying(
            retry=retry_if_result(lambda found: not found),
            wait=wait_fixed(2),
            stop=stop_after_delay(120),
            retry_error_callback=lambda _: False,
        )
        if not attempts(enabled):
            raise IncompleteError(f"The replica {key} is not enabled after 2 minutes.", "Run this again: it continues.")

    def make_bucket(self, bucket: str) -> None:
        region = self.region_of(bucket)
        # Every region except us-east-1 has to be named; the settings never place the state there.
        location = cast("BucketLocationConstraintType", region)
        self._s3(region).create_bucket(
            Bucket=bucket,
            CreateBucketConfiguration={"LocationConstraint": location},
            ObjectOwnership="BucketOwnerEnforced",
        )

    def set_bucket(self, bucket: str, setting: str) -> None:
        """Put one of `plan.BUCKET_SETTINGS` right."""
        s3 = self._s3(self.region_of(bucket))
        if setting == "versioning":
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        elif setting == "encryption":
            key = self._key(self.region_of(bucket))
            if key is None:
                raise IncompleteError(f"{bucket} has no key to be encrypted with: run this again.")
            s3.put_bucket_encryption(
                Bucket=bucket,
                ServerSideEncryptionConfiguration={
                    "Rules": [
                        {
                            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
                            "BucketKeyEnabled": True,
                        }
                    ]
                },
            )
        elif setting == "public access block":
            s3.put_public_access_block(
                Bucket=bucket,
                PublicAccessBlockConfiguration=BLOCK_ALL,
            )
        elif setting == "TLS-only policy":
            s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(documents.tls_only(bucket)))
        else:
            raise ValueError(setting)

    def make_replication_role(self, state_key: str, replica_key: str) -> None:
        project, iam = self.project, self._iam()
        name = replication_role(project)
        existed = self._role_arn(name) is not None
        if not existed:
            iam.create_role(
                RoleName=name,
                Description="Replicates the Pulumi state into the other region",
                AssumeRolePolicyDocument=json.dumps(documents.replication_trust()),
                Tags=[{"Key": key, "Value": value} for key, value in TAGS.items()],
            )
        permissions = documents.replication_permissions(
            project.state_bucket,
            project.standby.region,
            state_key,
            project.replica_bucket,
            project.primary.region,
            replica_key,
        )
        with explained() if existed else continuing():
            iam.put_role_policy(RoleName=name, PolicyName=REPLICATE, PolicyDocument=json.dumps(permissions))

    def make_replication(self, replica_key: str) -> None:
        project = self.project
        role = f"arn:aws:iam::{project.standby.account}:role/{replication_role(project)}"
        self._s3(project.standby.region).put_bucket_replication(
            Bucket=project.state_bucket,
            ReplicationConfiguration=documents.replication(role, project.replica_bucket, replica_key),
        )

    def make_zone(self) -> tuple[str, list[str]]:
        """Create the hosted zone: its id and the name servers that the registrar has to delegate to."""
        zone = self.project.standby.zone
        made = self._route53().create_hosted_zone(
            Name=zone,
            CallerReference=str(uuid.uuid4()),
            HostedZoneConfig={"Comment": "mental-health-platform", "PrivateZone": False},
        )
        return made["HostedZone"]["Id"].removeprefix("/hostedzone/"), list(made["DelegationSet"]["NameServers"])
