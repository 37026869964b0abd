"""What using a KMS key through another service needs of the caller, with the condition keys of such a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moto.kms.models import kms_backends

from sandbox.cloud.access.policy import Need
from sandbox.cloud.context import ACCOUNT
from sandbox.cloud.emulations import keys

_AWS_MANAGED = "alias/aws/"


def through(
    service: str, region: str, key_id: str | None, actions: Sequence[str], encryption: Mapping[str, str] | None = None
) -> list[Need]:
    """Needs on a key of `region` that `service` (rds, s3, …) uses for its caller; `encryption` is the KMS context.

    None for AWS's own and AWS managed keys, whose policies admit whoever may use the service ("AWS managed keys", KMS
    developer guide), and for a key that isn't there: that is another error.
    """
    key = None if not key_id or _AWS_MANAGED in key_id else keys.find(region, key_id)
    if key is None:
        return []
    context = {
        "kms:viaservice": (f"{service}.{region}.amazonaws.com",),
        "kms:resourcealiases": tuple(sorted(key.aliases)),
        **{f"kms:encryptioncontext:{name}": (value,) for name, value in (encryption or {}).items()},
        **tagged(kms_backends[ACCOUNT][region].tagger.get_tag_dict_for_resource(str(key.id))),
    }
    for_aws = {"kms:grantisforawsresource": ("true",)}
    return [
        Need(action, str(key.arn), {**context, **for_aws} if action == "kms:CreateGrant" else context)
        for action in actions
    ]


def directly(region: str, key_id: str, action: str) -> list[Need]:
    """Need on a key that its caller names without another service between; none for a key that isn't there."""
    key = keys.find(region, key_id)
    return [] if key is None else [Need(action, str(key.arn), {"kms:resourcealiases": tuple(sorted(key.aliases))})]


def policy_of(region: str, key_id: str) -> str | None:
    """The key's own policy."""
    key = keys.find(region, key_id)
    return None if key is None else str(key.policy)


def tagged(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The condition keys by which a policy sees a resource's tags."""
    return {f"aws:resourcetag/{name}": (value,) for name, value in tags.items()}
