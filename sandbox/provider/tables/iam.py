"""IAM: roles and their inline policies."""

from __future__ import annotations

import json
from typing import Any, Final

from sandbox.provider.operation import Operation
from sandbox.provider.table import Resource, Tags, call, f, update


def document(value: Any) -> Any:
    """boto3 hands policy documents over parsed; the plugin's property is text."""
    return value if isinstance(value, str) or value is None else json.dumps(value)


def _put_policy(op: Operation) -> str:
    role, name = op.inputs["role"], op.inputs["name"]
    op.api("put_role_policy", RoleName=role, PolicyName=name, PolicyDocument=op.inputs["policy"])
    return f"{role}:{name}"


def _part(position: int) -> Any:
    return lambda op: op.id.split(":", 1)[position]


def _trust(op: Operation) -> None:
    # The same document has another member name here than in the create call.
    op.api("update_assume_role_policy", RoleName=op.id, PolicyDocument=op.inputs["assumeRolePolicy"])


def _delete_role(op: Operation) -> None:
    if op.state.get("forceDetachPolicies"):
        for name in op.api("list_role_policies", RoleName=op.id)["PolicyNames"]:
            op.api("delete_role_policy", RoleName=op.id, PolicyName=name)
        for attached in op.api("list_attached_role_policies", RoleName=op.id)["AttachedPolicies"]:
            op.api("detach_role_policy", RoleName=op.id, PolicyArn=attached["PolicyArn"])
    op.api("delete_role", RoleName=op.id)


ROLE: Final = Resource(
    token="aws:iam/role:Role",
    service="iam",
    create=call("create_role", result="Role.RoleName"),
    read=call("get_role", {"RoleName": "$id"}, "Role"),
    delete=_delete_role,
    inputs=(
        f("name", "RoleName", replace=True),
        f("assumeRolePolicy", "AssumeRolePolicyDocument", json=True, decode=document),
        f("description", empty=""),
        f("path", replace=True, default="/"),
        f("maxSessionDuration", default=3600),
        f("forceDetachPolicies", read=None, create=False, default=False),
    ),
    outputs=(f("arn"), f("uniqueId", read="RoleId"), f("createDate")),
    updates=(
        update("assumeRolePolicy", _trust),
        update("description maxSessionDuration", call("update_role", {"RoleName": "$id"})),
    ),
    tags=Tags(
        read=call("list_role_tags", {"RoleName": "$id"}, "Tags"),
        target={"RoleName": "$id"},
        add="tag_role",
        remove="untag_role",
    ),
    missing=("NoSuchEntity",),
    physical_name="name",
)

ROLE_POLICY: Final = Resource(
    token="aws:iam/rolePolicy:RolePolicy",
    service="iam",
    create=_put_policy,
    read=call("get_role_policy", {"RoleName": _part(0), "PolicyName": _part(1)}),
    delete=call("delete_role_policy", {"RoleName": _part(0), "PolicyName": _part(1)}),
    inputs=(
        f("role", read="RoleName", replace=True),
        f("name", read="PolicyName", replace=True),
        f("policy", read="PolicyDocument", json=True, decode=document),
    ),
    updates=(update("policy", _put_policy),),
    missing=("NoSuchEntity",),
    physical_name="name",
)

RESOURCES: Final = (ROLE, ROLE_POLICY)
