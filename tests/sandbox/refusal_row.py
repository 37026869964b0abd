"""How a refusal is written down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple


class Kind(StrEnum):
    """Where a rule was found. The first three are held against botocore's copy of AWS's API reference by a test."""

    MODEL = "a constraint of the API's model"
    REFERENCE = "the API reference"
    LISTED = "an error that the API reference lists for the operation"
    ANSWERED = "AWS's answer, as public reports of it quote"  # looked up on 2026-11-27
    UNVERIFIED = "not verified"


class Source(NamedTuple):
    """`place`: a shape, "Shape.member" or an operation; `words`: the reference's, the answer's, or what is known."""

    kind: Kind
    place: str = ""
    words: str = ""


def model(shape: str) -> Source:
    return Source(Kind.MODEL, shape)


def reference(place: str, words: str) -> Source:
    return Source(Kind.REFERENCE, place, words)


def answered(words: str) -> Source:
    return Source(Kind.ANSWERED, words=words)


def unverified(words: str) -> Source:
    return Source(Kind.UNVERIFIED, words=words)


LISTED: Final = Source(Kind.LISTED)


class Refusal(NamedTuple):
    """A request that AWS does not accept. `title` says why, `source` where that is written."""

    title: str
    service: str
    operation: str
    parameters: Mapping[str, Any]
    code: str
    source: Source


def document(*statements: Mapping[str, Any]) -> str:
    """A policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(**members: Any) -> dict[str, Any]:
    """A statement that allows."""
    return {"Effect": "Allow", **members}
