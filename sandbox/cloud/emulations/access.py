"""IAM at work: what a role of the account may do, asked by the gate for each call and by emulations that act for one.

Functions sign as FUNCTION-<name>, the code of a task as TASK-<name of its role>; everybody else counts as an
administrator. Managed policies, permission boundaries and session policies are not modelled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl

from moto.iam.models import IAMBackend, Role, iam_backends
from moto.sqs.models import sqs_backends

from sandbox.cloud.access import key_needs, object_needs, operations, policy
from sandbox.cloud.access.conditions import Context
from sandbox.cloud.access.ledger import AccessLedger
from sandbox.cloud.access.policy import Caller, Need
from sandbox.cloud.accounting import Origin
from sandbox.cloud.context import ACCOUNT, AwsError, Cloud
from sandbox.cloud.emulations import patching
from sandbox.cloud.requests import Request

TASK: Final = "TASK-"
_LINKED: Final = "/aws-service-role/"
# How a service says no; those that aren't here say AccessDeniedException ("Common errors" of each API reference).
_CODES: Final = {"monitoring": "AccessDenied", "rds": "AccessDenied", "s3": "AccessDenied", "sqs": "AccessDenied"}
# … and how, where it is the key that the caller may not use.
_KEY_CODES: Final = {"rds": "KMSKeyNotAccessibleFault", "s3": "AccessDenied", "sqs": "KMS.AccessDeniedException"}


@dataclass(frozen=True)
class Session:
    """A role that somebody has assumed, and what is known of all its requests."""

    role: str  # ARN
    name: str
    context: Context


@dataclass(frozen=True)
class Refusal:
    """What a role may not do, as IAM tells it."""

    need: Need
    message: str


class Access:
    """Decides, and remembers what was used."""

    def __init__(self, cloud: Cloud) -> None:
        self.ledger = AccessLedger(cloud.directory / "access.jsonl")
        self._sessions: dict[str, Session] = {}  # by principal
        cloud.on_stop(self.ledger.close)
        cloud.route("GET", "access", lambda _: {"roles": _documents(), **self.ledger.told()})

    def begin(self, principal: str, session: Session) -> None:
        """From now on calls by `principal` are made by this session."""
        known = self._sessions.get(principal, session)
        if known.context != session.context and known.role != session.role:
            raise NotImplementedError(f"{principal} would be two roles: {known.role}, {session.role}")
        self._sessions[principal] = session

    def ask(
        self, role: str, needs: Iterable[Need], session: str = "session", context: Context | None = None
    ) -> Refusal | None:
        """What of `needs` a role (ARN) may not do: the first of them, None where it may do all. Counts as a use."""
        found = find(role)
        if found is None:
            return Refusal(Need("sts:AssumeRole", role), f"The role {role} cannot be found.")
        for need in needs:
            decision = _decide(found, need, context or {})
            self.ledger.add(str(found.name), need, decision)
            if decision.refused:
                who = f"arn:aws:sts::{ACCOUNT}:assumed-role/{found.name}/{session}"
                return Refusal(
                    need,
                    f"User: {who} is not authorized to perform: {need.action} on resource: {need.resource} "
                    f"{decision.refused}",
                )
        return None

    @staticmethod
    def allows(role: str, needs: Iterable[Need]) -> bool:
        """Whether a role may do all of `needs`; for a look ahead, which is no use."""
        found = find(role)
        return found is not None and not any(_decide(found, need, {}).refused for need in needs)

    def check(self, environ: Mapping[str, Any], origin: Origin, request: Request | None) -> None:
        """Raise AwsError for a call that its caller's role does not allow."""
        session = self._session(origin.principal)
        if session is None:
            return
        call = operations.CallMade(
            region=origin.region,
            operation=origin.operation,
            path=str(environ["PATH_INFO"]),
            query=dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)),
            parameters=request.parameters if request else {},
        )
        refusal = self.ask(session.role, operations.needs(origin.service, call), session.name, session.context)
        if refusal is not None:
            raise _denied(origin.service, refusal)

    def _session(self, principal: str) -> Session | None:
        if not principal.startswith(TASK):
            return self._sessions.get(principal)
        role = f"arn:aws:iam::{ACCOUNT}:role/{principal.removeprefix(TASK)}"
        if find(role) is None:
            raise AwsError("InvalidClientTokenId", "The security token included in the request is invalid.")
        return Session(role, "task", {})


def _decide(role: Role, need: Need, context: Context) -> policy.Decision:
    whole = replace(need, context={**_common(need), **context, **need.context})
    return policy.decide(Caller(str(role.arn), ACCOUNT), _policies(role), _policy_of(need.resource), whole)


def _denied(service: str, refusal: Refusal) -> AwsError:
    if not refusal.need.action.startswith("kms:"):
        return AwsError(_CODES.get(service, "AccessDeniedException"), refusal.message)
    if service == "secretsmanager":
        return AwsError("AccessDeniedException", "Access to KMS is not allowed")
    return AwsError(_KEY_CODES.get(service, "AccessDeniedException"), refusal.message)


def find(role_arn: str) -> Role | None:
    """The role with this ARN."""
    return next((role for role in list(iam_backends[ACCOUNT]["aws"].roles.values()) if role.arn == role_arn), None)


def may_assume(role_arn: str, service: str, source: str | None = None) -> bool:
    """Whether a role exists and trusts an AWS service that acts on behalf of `source`, an ARN of this account."""
    role = find(role_arn)
    if role is None:
        return False
    context = {"aws:sourceaccount": (ACCOUNT,), "aws:sourcearn": (source,)} if source else {}
    return policy.trusts(_text(role.assume_role_policy_document), service, context)


def _common(need: Need) -> Context:
    """What every request carries; it arrives over the loopback interface, which stands for TLS."""
    region = need.resource.split(":")[3] if need.resource.startswith("arn:") else ""
    own = {"aws:principalaccount": (ACCOUNT,), "aws:securetransport": ("true",)}
    return {**own, "aws:requestedregion": (region,)} if region else own


def _policies(role: Role) -> dict[str, str]:
    if role.managed_policies or role.permissions_boundary_arn:
        raise NotImplementedError(f"the sandbox has no managed policies and boundaries: {role.name}")
    return {name: _text(document) for name, document in role.policies.items()}


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)


def _policy_of(resource: str) -> str | None:
    """The policy of a key, a bucket or a queue."""
    if not resource.startswith("arn:"):
        return None
    _, _, service, region, _, name = resource.split(":", 5)
    if service == "kms":
        return key_needs.policy_of(region, resource)
    if service == "s3":
        return object_needs.policy_of(name.split("/")[0])
    if service == "sqs":
        queue = sqs_backends[ACCOUNT][region].queues.get(name)
        return _text(queue.policy) if queue is not None and queue.policy else None
    return None


def _documents() -> dict[str, dict[str, Any]]:
    """The policies of all roles that AWS has not made itself, by the role's name."""
    roles = [role for role in iam_backends[ACCOUNT]["aws"].roles.values() if not role.path.startswith(_LINKED)]
    return {str(role.name): {name: json.loads(text) for name, text in _policies(role).items()} for role in roles}


_access: Access | None = None


def running() -> Access:
    """The access control of this process."""
    if _access is None:
        raise RuntimeError("access is not installed")
    return _access


def install(cloud: Cloud) -> None:
    """Decide on calls, and refuse policies that could not be decided upon."""
    global _access
    _access = Access(cloud)
    put = IAMBackend.put_role_policy

    def put_role_policy(self: IAMBackend, role_name: str, policy_name: str, policy_json: str) -> None:
        put(self, role_name, policy_name, policy_json)
        policy.statements(_text(policy_json))

    patching.replace(IAMBackend, put_role_policy=put_role_policy)
