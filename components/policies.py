"""IAM policy documents as plain data: small builders, one spelling of each repeated statement."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

VERSION = "2012-10-17"


def document(*statements: Mapping[str, Any]) -> str:
    """A policy document as JSON text, in the order given."""
    return json.dumps({"Version": VERSION, "Statement": list(statements)})


def allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], conditions: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """One Allow statement of an identity policy."""
    statement: dict[str, Any] = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(resources),
    }
    if conditions:
        statement["Condition"] = dict(conditions)
    return statement


def delegate_to_iam(account_id: str) -> dict[str, Any]:
    """Of a key: IAM policies decide. No role is named: one that does not exist yet would be refused."""
    return {
        "Sid": "DelegateToIam",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }


def trust(service: str, conditions: Mapping[str, Any] | None = None) -> str:
    """Who may assume a role: one AWS service, under the conditions that this service documents."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if conditions:
        statement["Condition"] = dict(conditions)
    return document(statement)


def tls_only(bucket_arn: str) -> dict[str, Any]:
    """Deny every request to a bucket that does not come over TLS."""
    return deny_without_tls("s3:*", [bucket_arn, f"{bucket_arn}/*"])


def deny_without_tls(action: str, resources: Sequence[str]) -> dict[str, Any]:
    """Deny what does not come over TLS."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": list(resources),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def public_read(bucket_arn: str, keys: Sequence[str]) -> dict[str, Any]:
    """Let anybody read exactly these objects."""
    return {
        "Sid": "PublicPage",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": [f"{bucket_arn}/{key}" for key in keys],
    }
