"""S3: bucket policies evaluated as IAM does, and live replication of new versions and delete markers.

Not modelled: replica modification sync, replication of later tag changes, and
filters by tag. A configuration that asks for what is not modelled is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.access_control import PermissionResult
from moto.s3.exceptions import ReplicationConfigurationNotFoundError, S3ClientError
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, PublicAccessBlock, S3Backend, s3_backends
from moto.s3.responses import S3Response

from sandbox.clock import minutes
from sandbox.cloud import bucket_policy
from sandbox.cloud.access import object_needs
from sandbox.cloud.access.policy import Need
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import access
from sandbox.cloud.emulations.measurements import record
from sandbox.cloud.emulations.patching import replace
from sandbox.cloud.emulations.task_start import key_enabled

# moto derives the action from the HTTP method; these are IAM's names for two of them.
_ACTIONS = {"s3:HeadObject": "s3:GetObject", "s3:PostObject": "s3:PutObject"}
_RESULTS = {
    bucket_policy.Decision.PERMITTED: PermissionResult.PERMITTED,
    bucket_policy.Decision.DENIED: PermissionResult.DENIED,
    bucket_policy.Decision.NEUTRAL: PermissionResult.NEUTRAL,
}
_RULE_ELEMENTS = {
    "ID",
    "Priority",
    "Status",
    "Prefix",
    "Filter",
    "DeleteMarkerReplication",
    "SourceSelectionCriteria",
    "Destination",
}

METRICS_AFTER_SECONDS = 15 * 60  # modelled

Version = FakeKey | FakeDeleteMarker


@dataclass(frozen=True)
class Rule:
    """A replication rule as the configuration's XML has it."""

    data: dict[str, Any]

    @property
    def prefix(self) -> str:
        """What keys begin with."""
        return str((self.data.get("Filter") or {}).get("Prefix") or self.data.get("Prefix") or "")

    @property
    def target(self) -> str:
        """The destination bucket's name."""
        return str(self.data["Destination"]["Bucket"]).rpartition(":")[2]

    @property
    def replica_key(self) -> str | None:
        """The KMS key for replicas of KMS-encrypted objects."""
        found = (self.data["Destination"].get("EncryptionConfiguration") or {}).get("ReplicaKmsKeyID")
        return str(found) if found else None

    @property
    def encrypted_too(self) -> bool:
        """Whether it opts in to objects under a KMS key."""
        return _enabled((self.data.get("SourceSelectionCriteria") or {}).get("SseKmsEncryptedObjects"))

    @property
    def measured(self) -> bool:
        """Whether it has replication metrics; Replication Time Control demands them."""
        return _enabled(self.data["Destination"].get("Metrics"))

    def covers(self, version: Version) -> bool:
        """Whether it asks for this version or delete marker to be replicated."""
        if self.data["Status"] != "Enabled" or not str(version.name).startswith(self.prefix):
            return False
        if isinstance(version, FakeDeleteMarker):
            return _enabled(self.data.get("DeleteMarkerReplication"))
        return self.encrypted_too or not _under_kms(version)


def _enabled(element: Any) -> bool:
    return bool(element) and element.get("Status") == "Enabled"


def _under_kms(version: FakeKey) -> bool:
    return "kms" in str(version.encryption or "")


def _rules(bucket: FakeBucket) -> list[dict[str, Any]]:
    """The configuration's rules, the one of highest priority first."""
    found = (getattr(bucket, "replication", None) or {}).get("Rule", [])
    return sorted(found, key=lambda rule: -int(rule["Priority"]))


@dataclass(frozen=True)
class Backlog:
    """What one rule with metrics has not replicated yet; `region` is where S3 publishes it."""

    region: str
    dimensions: dict[str, str]
    operations: int
    size: int
    seconds: float


class Replication:
    """Copies new versions to where their bucket's configuration says, once, after a while."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[FakeBucket, Rule, int, float]] = {}  # by id(version): …, bytes, since when
        self.measured_from: dict[str, float] = {}  # bucket -> when its first rule with metrics was put

    def backlogs(self) -> Iterator[Backlog]:
        """Of each rule with metrics, from 15 minutes after it was put (S3 user guide, "S3 Replication metrics")."""
        now = self.cloud.clock.epoch()
        with self._lock:
            waiting = list(self._waiting.values())
        for name, since in list(self.measured_from.items()):
            bucket = _bucket(name)
            if bucket is None or now < since + METRICS_AFTER_SECONDS or self.cloud.is_cut(str(bucket.region_name)):
                continue
            for rule in [rule for data in _rules(bucket) if (rule := Rule(data)).measured]:
                target = _bucket(rule.target)
                if target is not None:  # no longer published once the destination is deleted
                    own = [entry for entry in waiting if entry[0] is bucket and entry[1] == rule]
                    yield Backlog(
                        str(target.region_name),
                        _dimensions(bucket, rule),
                        len(own),
                        sum(size for _, _, size, _ in own),
                        max((now - began for *_, began in own), default=0.0),
                    )

    def _count(self, bucket: FakeBucket, rule: Rule, failed: bool) -> None:
        """OperationsFailedReplication is published where the source is, with each operation."""
        if rule.measured:
            name, dimensions = "OperationsFailedReplication", _dimensions(bucket, rule)
            record(str(bucket.region_name), "AWS/S3", name, dimensions, float(failed), "Count")

    def begin(self, bucket: FakeBucket, version: Version) -> None:
        """Replicate a version or delete marker that has just been put, if a rule covers it."""
        rule = next((rule for data in _rules(bucket) if (rule := Rule(data)).covers(version)), None)
        if rule is None:
            return
        _set_status(version, "PENDING")
        size = 0 if isinstance(version, FakeDeleteMarker) else int(version.size)
        with self._lock:
            self._waiting[id(version)] = bucket, rule, size, self.cloud.clock.epoch()
        target = _bucket(rule.target)
        regions = [str(place.region_name) for place in (bucket, target) if place is not None]
        name = f"replicate {bucket.name}/{version.name}"
        self.cloud.after(minutes("s3.replicate"), lambda: self._replicate(bucket, version, rule), name, regions=regions)

    def _replicate(self, bucket: FakeBucket, version: Version, rule: Rule) -> None:
        with self._lock:
            self._waiting.pop(id(version))
        if not any(kept is version for kept in bucket.keys.getlist(version.name, [])):
            return  # deleted meanwhile
        target = _bucket(rule.target)
        usable = target is not None and target.is_versioned and _keys_usable(bucket, target, version, rule)
        if target is None or not usable or not _role_may(bucket, target, version, rule):
            _set_status(version, "FAILED")
            self._count(bucket, rule, failed=True)
            return
        copy = _marker(version) if isinstance(version, FakeDeleteMarker) else _copy(version, target, rule)
        _set_status(copy, "REPLICA")
        with self._lock:  # replicas keep their original's time, and so their place among the versions
            versions = [*target.keys.getlist(version.name, []), copy]
            target.keys.setlist(version.name, sorted(versions, key=lambda kept: kept.last_modified))
        _set_status(version, "COMPLETED")
        self._count(bucket, rule, failed=False)


def _bucket(name: str) -> FakeBucket | None:
    return s3_backends[ACCOUNT]["aws"].buckets.get(name)


def _dimensions(bucket: FakeBucket, rule: Rule) -> dict[str, str]:
    return {"SourceBucket": str(bucket.name), "DestinationBucket": rule.target, "RuleId": str(rule.data["ID"])}


def _set_status(version: Version, status: str) -> None:
    version.replication_status = status  # type: ignore[union-attr]


def _keys_usable(bucket: FakeBucket, target: FakeBucket, version: Version, rule: Rule) -> bool:
    if isinstance(version, FakeDeleteMarker) or not _under_kms(version):
        return True
    return key_enabled(str(bucket.region_name), version.kms_key_id) and key_enabled(
        str(target.region_name), rule.replica_key
    )


def _role_may(bucket: FakeBucket, target: FakeBucket, version: Version, rule: Rule) -> bool:
    """Whether S3 may copy with the configured role ("Setting up permissions for live replication" and "Replicating
    encrypted objects", S3 user guide; GenerateDataKey for the destination's bucket key)."""
    role = str((getattr(bucket, "replication", None) or {})["Role"])
    if not access.may_assume(role, "s3.amazonaws.com"):
        return False
    source, copy = f"arn:aws:s3:::{bucket.name}", f"arn:aws:s3:::{target.name}/{version.name}"
    needs = [Need(f"s3:{action}", source) for action in ("GetReplicationConfiguration", "ListBucket")]
    if isinstance(version, FakeDeleteMarker):
        return access.running().ask(role, [*needs, Need("s3:ReplicateDelete", copy)]) is None
    reading = ("GetObjectVersionForReplication", "GetObjectVersionAcl", "GetObjectVersionTagging")
    needs += [Need(f"s3:{action}", f"{source}/{version.name}") for action in reading]
    needs += [Need(f"s3:{action}", copy) for action in ("ReplicateObject", "ReplicateTags")]
    if _under_kms(version):
        needs += object_needs.with_key(str(bucket.name), str(version.name), version.kms_key_id, ("kms:Decrypt",))
        encrypt = ("kms:Encrypt", "kms:GenerateDataKey")
        needs += object_needs.with_key(str(target.name), str(version.name), rule.replica_key, encrypt)
    return access.running().ask(role, needs) is None


def _marker(original: FakeDeleteMarker) -> FakeDeleteMarker:
    copy = FakeDeleteMarker(original.key)
    copy._version_id, copy.last_modified = original.version_id, original.last_modified
    return copy


def _copy(original: FakeKey, target: FakeBucket, rule: Rule) -> FakeKey:
    """The same version in the destination: same id, time, content, metadata and tags."""
    backend = s3_backends[ACCOUNT]["aws"]
    copy = FakeKey(
        name=original.name,
        value=original.value,
        account_id=ACCOUNT,
        region_name=backend.region_name,
        storage=rule.data["Destination"].get("StorageClass") or original.storage_class,
        etag=original.etag.strip('"'),
        is_versioned=True,
        version_id=original.version_id,
        bucket_name=target.name,
        encryption=original.encryption,
        kms_key_id=rule.replica_key if _under_kms(original) else None,
        bucket_key_enabled=original.bucket_key_enabled,
        checksum_value=original.checksum_value,
        checksum_type=original.checksum_type,
        checksum_parts=original.checksum_parts,
    )
    copy.checksum_algorithm = original.checksum_algorithm
    copy.last_modified = original.last_modified
    copy.set_metadata(original.metadata, replace=True)
    backend.tagger.copy_tags(original.arn, copy.arn)
    return copy


# -- installation ---------------------------------------------------------------------------------------------------
_replication: Replication | None = None


def replication() -> Replication:
    """The replication of this process."""
    if _replication is None:
        raise RuntimeError("objects are not installed")
    return _replication


def install(cloud: Cloud) -> None:
    """Evaluate bucket policies and replicate."""
    global _replication
    found = _replication = Replication(cloud)
    _install_policies()
    _install_configuration(found)
    _install_copying(found)


def _install_policies() -> None:
    put, create = S3Backend.put_bucket_policy, S3Backend.create_bucket

    def create_bucket(self: S3Backend, *args: Any, **kwargs: Any) -> FakeBucket:
        """New buckets block public access until told otherwise ("Blocking public access", since April 2023)."""
        bucket = create(self, *args, **kwargs)
        bucket.public_access_block = PublicAccessBlock("true", "true", "true", "true")
        return bucket

    def get_permission(self: FakeBucket, action: str, resource: str) -> PermissionResult:
        # moto asks for signed requests, and looks at ACLs for the others; anonymous readers come over public_objects.
        if self.policy is None:
            return PermissionResult.NEUTRAL
        decision = bucket_policy.decide(self.policy, _ACTIONS.get(action, action), resource, anonymous=False)
        return _RESULTS[decision]

    def put_bucket_policy(self: S3Backend, bucket_name: str, policy: bytes) -> None:
        bucket_policy.check(policy)
        put(self, bucket_name, policy)

    replace(FakeBucket, get_permission=get_permission)
    replace(S3Backend, create_bucket=create_bucket, put_bucket_policy=put_bucket_policy)


def _install_configuration(running: Replication) -> None:
    put = S3Backend.put_bucket_replication

    def put_bucket_replication(self: S3Backend, bucket_name: str, replication: dict[str, Any]) -> None:
        configuration = _filled(replication)
        listed = configuration["Rule"] if isinstance(configuration["Rule"], list) else [configuration["Rule"]]
        for rule in listed:
            _check_rule(Rule(rule))
        put(self, bucket_name, configuration)
        if any(Rule(rule).measured for rule in listed):
            running.measured_from.setdefault(bucket_name, running.cloud.clock.epoch())

    def get_bucket_replication(self: S3Response) -> Any:
        self.data["Action"] = "GetBucketReplication"
        found = self.backend.get_bucket_replication(self.bucket_name)
        if not found:
            raise ReplicationConfigurationNotFoundError(bucket_name=self.bucket_name)
        configuration = {"Role": found["Role"], "Rules": found["Rule"]}
        return self.serialized(ActionResult({"ReplicationConfiguration": configuration}))

    replace(S3Backend, put_bucket_replication=put_bucket_replication)
    replace(S3Response, get_bucket_replication=get_bucket_replication)


def _filled(parsed: Any) -> Any:
    """Parsed XML with its empty elements as what they are: an empty text or an empty structure."""
    if isinstance(parsed, list):
        return [_filled(item) for item in parsed]
    if not isinstance(parsed, dict):
        return parsed
    empty = {name: "" if name in ("Prefix", "ID") else {} for name, value in parsed.items() if value is None}
    return {name: empty[name] if name in empty else _filled(value) for name, value in parsed.items()}


def _check_rule(rule: Rule) -> None:
    """Refuse what S3 refuses, and what is not modelled."""
    unknown = rule.data.keys() - _RULE_ELEMENTS | (rule.data.get("Filter") or {}).keys() - {"Prefix"}
    unknown |= (rule.data.get("SourceSelectionCriteria") or {}).keys() - {"SseKmsEncryptedObjects"}
    if unknown:
        raise NotImplementedError(f"the sandbox's replication has no {', '.join(sorted(unknown))}")
    target = _bucket(rule.target)
    if target is None:
        raise S3ClientError("InvalidRequest", "Destination bucket must exist.")
    if not target.is_versioned:
        raise S3ClientError("InvalidRequest", "Destination bucket must have versioning enabled.")
    if rule.encrypted_too and rule.replica_key is None:
        raise S3ClientError(
            "InvalidRequest", "ReplicaKmsKeyID must be specified if SseKmsEncryptedObjects tag is present."
        )
    if "Filter" in rule.data and "DeleteMarkerReplication" not in rule.data:
        raise S3ClientError("InvalidRequest", "DeleteMarkerReplication must be specified for this version of XML.")


def _install_copying(replication: Replication) -> None:
    put, mark = S3Backend.put_object, S3Backend._set_delete_marker
    described = FakeKey.response_dict

    def put_object(self: S3Backend, bucket_name: str, *args: Any, **kwargs: Any) -> FakeKey:
        key = put(self, bucket_name, *args, **kwargs)
        replication.begin(self.get_bucket(bucket_name), key)
        return key

    def set_delete_marker(self: S3Backend, bucket_name: str, key_name: str) -> FakeDeleteMarker:
        marker = mark(self, bucket_name, key_name)
        replication.begin(self.get_bucket(bucket_name), marker)
        return marker

    def response_dict(self: FakeKey) -> dict[str, Any]:
        found: dict[str, Any] = described.fget(self)  # type: ignore[attr-defined]
        status = getattr(self, "replication_status", None)
        return {**found, "x-amz-replication-status": status} if status else found

    replace(S3Backend, put_object=put_object, _set_delete_marker=set_delete_marker)
    replace(FakeKey, response_dict=property(response_dict))
