"""What AWS's own models refuse of any request: a missing member, an unknown word, a length, a range, a pattern.

botocore carries these models; its clients check only required members and types, and moto next to nothing. A request
that breaks one is answered as AWS does, with the service's error code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import regex
from botocore.model import ListShape, MapShape, Shape, StructureShape

from sandbox.cloud.context import AwsError
from sandbox.cloud.requests import Request

# The code for a value outside its constraint. Each service's page "Common errors" in its API reference, and for
# Lambda, Logs and ELB the messages that people quote; services that aren't here say ValidationException.
_CODES = {
    "cloudwatch": "ValidationError",
    "ec2": "InvalidParameterValue",
    "ecs": "InvalidParameterException",
    "elasticache": "InvalidParameterValue",
    "elbv2": "ValidationError",
    "iam": "ValidationError",
    "logs": "InvalidParameterException",
    "rds": "InvalidParameterValue",
    "route53": "InvalidInput",
    "s3": "MalformedXML",
    "servicediscovery": "InvalidInput",
    "sns": "InvalidParameter",
    "sqs": "InvalidParameterValue",
    "sts": "ValidationError",
}
# … and for a member that is missing, where that is another one.
_MISSING = {"ec2": "MissingParameter", "elasticache": "MissingParameter", "rds": "MissingParameter"}
# … and for a few members by themselves.
_MEMBERS = {
    ("lambda", "Runtime"): "InvalidParameterValueException",
    ("s3", "CreateBucketConfiguration"): "InvalidLocationConstraint",
    ("sqs", "Attributes"): "InvalidAttributeName",
}
# A pattern that this machine's engine of regular expressions cannot read (surrogate pairs of UTF-16): it means "text".
_UTF16 = r"\uD800\uDC00-\uDBFF\uDFFF"


def check(request: Request) -> None:
    """Raise AwsError for the constraints that a request breaks."""
    shape = request.operation.input_shape
    if shape is None:
        return
    missing = list(_missing(shape, request.parameters, ""))
    if missing:
        raise AwsError(_code(request, shape, missing[0][0], _MISSING), _message(missing))
    broken = list(_broken(shape, request.parameters, ""))
    if broken:
        raise AwsError(_code(request, shape, broken[0][0], {}), _message(broken))


def _code(request: Request, shape: StructureShape, path: str, special: Mapping[str, str]) -> str:
    name = path.split(".")[0]
    if (request.service, name) in _MEMBERS:
        return _MEMBERS[request.service, name]
    if request.service == "s3" and "location" in shape.members[name].serialization:
        return "InvalidArgument"  # in a header or the address, not in the XML
    return special.get(request.service) or _CODES.get(request.service, "ValidationException")


def _message(found: list[tuple[str, str]]) -> str:
    errors = "error" if len(found) == 1 else "errors"
    return f"{len(found)} validation {errors} detected: " + "; ".join(text for _, text in found)


def _missing(shape: Shape, value: Any, path: str) -> Iterator[tuple[str, str]]:
    for name, inner, part in _parts(shape, value, path):
        yield from _missing(inner, part, name)
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name in shape.required_members:
            if value.get(name) is None:
                place = f"{path}.{name}" if path else name
                yield place, f"Value null at '{_spelt(place)}' failed to satisfy constraint: Member must not be null"


def _parts(shape: Shape, value: Any, path: str) -> Iterator[tuple[str, Shape, Any]]:
    """(path, shape, value) of what a value consists of."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name, inner in value.items():
            if inner is not None and name in shape.members:
                yield (f"{path}.{name}" if path else name), shape.members[name], inner
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for number, inner in enumerate(value, start=1):
            yield f"{path}.{number}.member", shape.member, inner
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"{path}.{key}.key", shape.key, key
            yield f"{path}.{key}.member", shape.value, inner


def _broken(shape: Shape, value: Any, path: str) -> Iterator[tuple[str, str]]:
    shown = "***" if shape.metadata.get("sensitive") else value
    for rule in _rules(shape, value):
        yield path, f"Value '{shown}' at '{_spelt(path)}' failed to satisfy constraint: Member must {rule}"
    for name, inner, part in _parts(shape, value, path):
        yield from _broken(inner, part, name)


def _rules(shape: Shape, value: Any) -> Iterator[str]:
    """The constraints of `shape` itself that `value` breaks."""
    known = shape.metadata
    least, most = known.get("min"), known.get("max")
    if shape.type_name in ("integer", "long", "float", "double"):
        if least is not None and value < least:
            yield f"have value greater than or equal to {least}"
        if most is not None and value > most:
            yield f"have value less than or equal to {most}"
    elif shape.type_name in ("string", "blob", "list", "map"):
        if least is not None and len(value) < least:
            yield f"have length greater than or equal to {least}"
        if most is not None and len(value) > most:
            yield f"have length less than or equal to {most}"
    if shape.type_name == "string":
        words, pattern = known.get("enum"), known.get("pattern")
        if words and value not in words:
            yield f"satisfy enum value set: [{', '.join(words)}]"
        if pattern and not _compiled(pattern).fullmatch(value):
            yield f"satisfy regular expression pattern: {pattern}"


@cache
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern.replace(_UTF16, r"\U00010000-\U0010FFFF"))


def _spelt(path: str) -> str:
    """AWS's messages begin member names with a small letter."""
    return ".".join(part[:1].lower() + part[1:] for part in path.split("."))
