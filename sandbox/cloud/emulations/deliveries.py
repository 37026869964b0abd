"""What AWS's services write into buckets and log groups: refused or failing where the receiver does not admit it.

Modelled is whether a delivery is possible, not what is delivered: no logs, no flow records, no inventories appear.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.flow_logs import FlowLogsBackend
from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend
from moto.logs.models import logs_backends
from moto.s3.exceptions import CrossLocationLoggingProhibited, InvalidTargetBucketForLogging, S3ClientError
from moto.s3.models import FakeBucket, S3Backend, s3_backends
from moto.s3.responses import S3Response

from sandbox.cloud import bucket_policy
from sandbox.cloud.access import service_needs
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import access
from sandbox.cloud.emulations.patching import replace

LOAD_BALANCERS: Final = "logdelivery.elasticloadbalancing.amazonaws.com"
S3_LOGS: Final = "logging.s3.amazonaws.com"
FLOW_LOGS: Final = "vpc-flow-logs.amazonaws.com"
PUT: Final = "s3:PutObject"


def install(_cloud: Cloud) -> None:
    """Let receivers decide."""
    _install_access_logs()
    _install_bucket_logging()
    _install_inventories()
    _install_flow_logs()


def _bucket(name: str) -> FakeBucket | None:
    found: FakeBucket | None = s3_backends[ACCOUNT]["aws"].buckets.get(name)
    return found


def _admits(bucket: FakeBucket, service: str, key: str, source: str) -> bool:
    facts = {"aws:sourceaccount": ACCOUNT, "aws:sourcearn": source}
    return bucket_policy.admits(bucket.policy, service, PUT, f"arn:aws:s3:::{bucket.name}/{key}", facts)


# -- load balancers ---------------------------------------------------------------------------------------------------
def _install_access_logs() -> None:
    modify = ELBv2Backend.modify_load_balancer_attributes

    def modify_load_balancer_attributes(self: ELBv2Backend, arn: str, attrs: dict[str, Any]) -> dict[str, Any]:
        known = self.load_balancers[arn].attrs if arn in self.load_balancers else {}
        wanted = {**known, **attrs}
        if wanted.get("access_logs.s3.enabled") == "true" and attrs.keys() & {
            "access_logs.s3.enabled",
            "access_logs.s3.bucket",
            "access_logs.s3.prefix",
        }:
            _write_test_file(self.region_name, arn, wanted)
        return modify(self, arn, attrs)

    replace(ELBv2Backend, modify_load_balancer_attributes=modify_load_balancer_attributes)


def _write_test_file(region: str, balancer: str, wanted: Mapping[str, str]) -> None:
    """What enabling access logs does at once, and why it is refused ("Enable access logs", ALB user guide)."""
    name, prefix = wanted.get("access_logs.s3.bucket", ""), wanted.get("access_logs.s3.prefix", "")
    key = f"{prefix}/".lstrip("/") + f"AWSLogs/{ACCOUNT}/ELBAccessLogTestFile"
    bucket = _bucket(name)
    if bucket is None or bucket.region_name != region:
        raise _refused(f"S3Bucket: {name} is not located in the same region with the ELB: {balancer}")
    if "AWSLogs" in prefix:
        raise _refused('The prefix must not include the string "AWSLogs"')
    if _under_customer_key(bucket) or not _admits(bucket, LOAD_BALANCERS, key, balancer):
        raise _refused(f"Access Denied for bucket: {name}. Please check S3bucket permission")
    s3_backends[ACCOUNT]["aws"].put_object(name, key, b"Enable access logging")


def _refused(message: str) -> ELBClientError:
    return ELBClientError("InvalidConfigurationRequest", message)


def _under_customer_key(bucket: FakeBucket) -> bool:
    return "aws:kms" in json.dumps(bucket.encryption or {})


# -- buckets ----------------------------------------------------------------------------------------------------------
def _install_bucket_logging() -> None:
    def set_logging(self: FakeBucket, logging_config: dict[str, Any] | None, _backend: S3Backend) -> None:
        if logging_config:
            target = _bucket(logging_config["TargetBucket"])
            if target is None:
                raise InvalidTargetBucketForLogging("The target bucket for logging does not exist.")
            if target.region_name != self.region_name:
                raise CrossLocationLoggingProhibited
            if not _admits(target, S3_LOGS, f"{logging_config['TargetPrefix']}2026", f"arn:aws:s3:::{self.name}"):
                raise InvalidTargetBucketForLogging(
                    "You must either provide the necessary permissions to the logging service using a bucket policy or "
                    "give the log-delivery group WRITE and READ_ACP permissions to the target bucket"
                )
        self.logging = logging_config or {}

    replace(FakeBucket, set_logging=set_logging)


def _install_inventories() -> None:
    put = S3Backend.put_bucket_inventory_configuration
    get, delete = S3Backend.get_bucket_inventory_configuration, S3Response._bucket_response_delete

    def put_inventory(self: S3Backend, bucket_name: str, inventory_configuration: dict[str, Any]) -> None:
        if inventory_configuration["IncludedObjectVersions"] != "All":
            raise NotImplementedError("the sandbox's inventories list all versions")
        destination = str(inventory_configuration["Destination"]["S3BucketDestination"]["Bucket"])
        if not destination.startswith("arn:aws:s3:::") or _bucket(destination.rpartition(":")[2]) is None:
            raise S3ClientError("InvalidS3DestinationBucket", "The S3 destination bucket is invalid.")
        fields = (inventory_configuration.get("OptionalFields") or {}).get("Field", [])
        listed = [fields] if isinstance(fields, str) else fields
        put(self, bucket_name, {**inventory_configuration, "OptionalFields": listed})

    def get_inventory(self: S3Backend, bucket_name: str, id: str) -> Any:
        if id not in self.get_bucket(bucket_name).inventory_configs:  # moto's error has another code
            raise S3ClientError("NoSuchConfiguration", "The specified configuration does not exist.")
        return get(self, bucket_name, id)

    def delete_inventory(self: S3Response, bucket_name: str, querystring: dict[str, Any]) -> Any:
        if "inventory" not in querystring:  # where moto would delete the bucket
            return delete(self, bucket_name, querystring)
        name = querystring["id"][0]
        get_inventory(self.backend, bucket_name, name)
        self.backend.get_bucket(bucket_name).inventory_configs.pop(name)
        return 204, {}, ""

    replace(
        S3Backend, put_bucket_inventory_configuration=put_inventory, get_bucket_inventory_configuration=get_inventory
    )
    replace(S3Response, _bucket_response_delete=delete_inventory)


# -- networks ---------------------------------------------------------------------------------------------------------
def _install_flow_logs() -> None:
    create = FlowLogsBackend.create_flow_logs

    def create_flow_logs(self: Any, **given: Any) -> Any:
        if given["log_destination_type"] not in (None, "cloud-watch-logs"):
            raise NotImplementedError("the sandbox's flow logs go to log groups")
        role, region = str(given["deliver_logs_permission_arn"]), self.region_name
        if not access.may_assume(role, FLOW_LOGS, f"arn:aws:ec2:{region}:{ACCOUNT}:vpc-flow-log/fl-0"):
            raise EC2ClientError("InvalidParameter", "Unable to assume given IAM role")
        made, failed = create(self, **given)
        group = str(given["log_destination"]).split(":", 6)[6]
        exists = group in logs_backends[ACCOUNT][region].groups
        reached = exists and access.running().ask(role, service_needs.flow_log(region, group)) is None
        for flow_log in made:
            flow_log.deliver_logs_status = "SUCCESS" if reached else "FAILED"
            flow_log.deliver_logs_error_message = None if reached else "Access error"
        return made, failed

    replace(FlowLogsBackend, create_flow_logs=create_flow_logs)
