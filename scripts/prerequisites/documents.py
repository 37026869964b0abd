"""Policies and configurations of the prerequisites, as pure functions.

Sources: the S3 user guide on replicating encrypted objects (permissions of the replication role with S3 Bucket Keys)
and the KMS developer guide on multi-Region keys (each replica carries its own key policy).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import ReplicationConfigurationTypeDef

Document = dict[str, Any]


def bucket_arn(name: str) -> str:
    return f"arn:aws:s3:::{name}"


def _document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def key_policy(account: str) -> Document:
    """Delegates to IAM: a policy that names a role which doesn't exist yet would be refused."""
    return _document(
        {
            "Sid": "DelegateToIam",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    )


def tls_only(bucket: str) -> Document:
    return _document(
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket_arn(bucket), f"{bucket_arn(bucket)}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )


def replication_trust() -> Document:
    """S3 may take the replication role. Without a condition: S3 documents none that it meets for replication ("Setting
    up permissions for live replication", S3 user guide), and one that it does not meet would stop it silently."""
    return _document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    )


def replication_permissions(
    source: str, source_region: str, source_key: str, target: str, target_region: str, target_key: str
) -> Document:
    """Read versions here, write replicas there; keys are usable only through S3 and only for these buckets."""
    return _document(
        {
            "Effect": "Allow",
            "Action": ["s3:GetReplicationConfiguration", "s3:ListBucket"],
            "Resource": bucket_arn(source),
        },
        {
            "Effect": "Allow",
            "Action": [
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
            ],
            "Resource": f"{bucket_arn(source)}/*",
        },
        {
            "Effect": "Allow",
            "Action": ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"],
            "Resource": f"{bucket_arn(target)}/*",
        },
        _key_use(["kms:Decrypt"], source_key, source, source_region),
        _key_use(["kms:Encrypt", "kms:GenerateDataKey"], target_key, target, target_region),
    )


def _key_use(actions: list[str], key: str, bucket: str, region: str) -> Document:
    return {
        "Effect": "Allow",
        "Action": actions,
        "Resource": key,
        "Condition": {
            # With S3 Bucket Keys the context is the bucket's ARN, without them the object's.
            "StringLike": {
                "kms:ViaService": f"s3.{region}.amazonaws.com",
                "kms:EncryptionContext:aws:s3:arn": [bucket_arn(bucket), f"{bucket_arn(bucket)}/*"],
            }
        },
    }


def replication(role: str, target: str, target_key: str) -> ReplicationConfigurationTypeDef:
    return {
        "Role": role,
        "Rules": [
            {
                "ID": "state",
                "Priority": 1,
                "Status": "Enabled",
                "Filter": {"Prefix": ""},
                "DeleteMarkerReplication": {"Status": "Enabled"},
                "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
                "Destination": {
                    "Bucket": bucket_arn(target),
                    "EncryptionConfiguration": {"ReplicaKmsKeyID": target_key},
                },
            }
        ],
    }
