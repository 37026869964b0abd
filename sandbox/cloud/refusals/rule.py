"""How a rule is written: a function of a request's parameters and region that raises AwsError."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

Parameters = Mapping[str, Any]
Rule = Callable[[Parameters, str], None]

registered: dict[tuple[str, str], list[Rule]] = defaultdict(list)


def refuses(service: str, *operations: str) -> Callable[[Rule], Rule]:
    """Register the decorated rule for operations of a service (botocore's names)."""

    def register(rule: Rule) -> Rule:
        for operation in operations:
            registered[service, operation].append(rule)
        return rule

    return register
