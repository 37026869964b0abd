"""How a refusal is written down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class Refusal(NamedTuple):
    """A request that AWS does not accept. `title` says why, `source` where that is written."""

    title: str
    service: str
    operation: str
    parameters: Mapping[str, Any]
    code: str
    source: str


MODEL: Final = "botocore's service model: "  # a constraint that AWS publishes with its API
API: Final = "API reference: "
GUIDE: Final = "user guide: "


def document(*statements: Mapping[str, Any]) -> str:
    """A policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(**members: Any) -> dict[str, Any]:
    """A statement that allows."""
    return {"Effect": "Allow", **members}
