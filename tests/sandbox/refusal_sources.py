"""Refusals held against AWS's API reference (botocore carries it), and the page that lists them.

Regenerate it after a change: `.venv/bin/python -m tests.sandbox.refusal_sources > docs/refusals.md` (`make docs`).
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import Any, Final

import botocore.session

from tests.sandbox.refusal_row import Kind, Refusal, Source
from tests.sandbox.refusals import REFUSALS

_PLUGIN: Final = "the plugin's list of AWS's codes"  # internal/service/*/errors.go of terraform-provider-aws
_QUOTED: Final = "quoted in public reports"  # "An error occurred (CODE) when calling the OPERATION operation"
# Codes that the model does not name, looked up on 2026-11-27: EC2 and S3 publish none with their model, and other
# services answer what breaks a constraint of the model with a code that all of their operations share.
CODES: Final = {
    ("ec2", "DependencyViolation"): _PLUGIN,
    ("ec2", "InvalidGroup.Duplicate"): _QUOTED,
    ("ec2", "InvalidGroup.NotFound"): _PLUGIN,
    ("ec2", "InvalidParameterValue"): _PLUGIN,
    ("ec2", "InvalidPermission.Duplicate"): _PLUGIN,
    ("ec2", "InvalidSubnet.Conflict"): _QUOTED,
    ("ec2", "InvalidSubnet.Range"): _QUOTED,
    ("ec2", "InvalidVpc.Range"): _QUOTED,
    ("elbv2", "ValidationError"): _PLUGIN,
    ("lambda", "ValidationException"): _QUOTED,
    ("rds", "InvalidParameterCombination"): _PLUGIN,
    ("rds", "InvalidParameterValue"): _PLUGIN,
    ("s3", "AccessControlListNotSupported"): "the reference's text",
    ("s3", "AccessDenied"): _PLUGIN,
    ("s3", "InvalidArgument"): _PLUGIN,
    ("s3", "InvalidBucketName"): _QUOTED,
    ("s3", "InvalidRequest"): _PLUGIN,
    ("s3", "MalformedPolicy"): _PLUGIN,
    ("s3", "MalformedXML"): _QUOTED,
    ("secretsmanager", "ValidationException"): _QUOTED,
    ("sqs", "InvalidParameterValue"): _QUOTED,
    ("ssm", "AccessDeniedException"): _QUOTED,
    ("ssm", "ValidationException"): _QUOTED,
}
_NOT: Final = "**not verified**"


@cache
def _described(service: str) -> dict[str, Any]:
    found: dict[str, Any] = (
        botocore.session.get_session().get_component("data_loader").load_service_model(service, "service-2")
    )
    return found


def documented(service: str, place: str) -> str:
    """The reference's text about a shape, a member ("Shape.member") or an operation, without its markup."""
    described = _described(service)
    name, _, member = place.partition(".")
    found = described["operations"].get(name) or described["shapes"][name]
    text = (found["members"][member] if member else found).get("documentation", "")
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", text)).split())


def constrained(service: str, shape: str) -> bool:
    """Whether the model limits the values of a shape, or requires members of it."""
    return bool(_described(service)["shapes"][shape].keys() & {"enum", "min", "max", "pattern", "required"})


def listed(refusal: Refusal) -> bool:
    """Whether the reference lists the code among the operation's errors."""
    described = _described(refusal.service)
    errors = [error["shape"] for error in described["operations"][refusal.operation].get("errors", ())]
    codes = {described["shapes"][shape].get("error", {}).get("code", shape) for shape in errors}
    return refusal.code in codes | set(errors)


_HEAD: Final = """# What the sandbox refuses

Requests that AWS refuses and the sandbox refuses with the same error code; `tests/sandbox/test_refusals.py` sends each
of them. This page is generated from the rows: `.venv/bin/python -m tests.sandbox.refusal_sources > docs/refusals.md`.

*The code*: "listed" where AWS's API reference lists it for the operation, as botocore carries it; otherwise where else
it was found. *The rule*: a shape of the API's model that forbids the value, or words of the API reference, both held
against botocore's copy by a test; or AWS's answer as reports in public code and threads quote it, looked up on
2026-11-27. **Not verified** is known of the service and was not found in anything that could be read.

| request | refused because of | code | the code | the rule |
| --- | --- | --- | --- | --- |
"""


def page() -> str:
    """docs/refusals.md."""
    return _HEAD + "".join(f"{_row(refusal)}\n" for refusal in REFUSALS)


def _row(refusal: Refusal) -> str:
    code = "listed" if listed(refusal) else CODES.get((refusal.service, refusal.code), _NOT)
    request = f"{refusal.service} {refusal.operation}"
    return f"| {request} | {refusal.title} | {refusal.code} | {code} | {_rule(refusal.source)} |"


def _rule(source: Source) -> str:
    match source.kind:
        case Kind.MODEL:
            return f"model, `{source.place}`"
        case Kind.REFERENCE:
            return f"API reference, `{source.place}`: “{source.words}”"
        case Kind.LISTED:
            return "the error itself"
        case Kind.ANSWERED:
            return f"answer: “{source.words}”"
        case Kind.UNVERIFIED:
            return f"{_NOT}: {source.words}"


if __name__ == "__main__":
    print(page(), end="")
