"""Which action of an ALB listener answers a request: conditions, priorities, fixed responses and redirects.

Pure functions over the dictionaries that the ELBv2 API takes (as moto stores them).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from sandbox.cloud.emulations.endpoints import Request, Response

Condition = dict[str, Any]
Action = dict[str, Any]


class Unmodelled(Exception):
    """A rule uses something that this emulation does not evaluate."""


def wildcard(pattern: str, text: str, ignore_case: bool = False) -> bool:
    """ALB matching: * is any number of characters, ? exactly one, everything else literal."""
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def _values(condition: Condition, config: str) -> list[Any]:
    return list(condition.get(config, {}).get("Values") or condition.get("Values") or [])


def _path(condition: Condition, request: Request) -> bool:
    return any(wildcard(pattern, request.path) for pattern in _values(condition, "PathPatternConfig"))


def _host(condition: Condition, request: Request) -> bool:
    host = request.host.split(":")[0]
    return any(wildcard(pattern, host, ignore_case=True) for pattern in _values(condition, "HostHeaderConfig"))


def _method(condition: Condition, request: Request) -> bool:
    return request.method in _values(condition, "HttpRequestMethodConfig")


def _header(condition: Condition, request: Request) -> bool:
    found = request.headers.get(condition["HttpHeaderConfig"]["HttpHeaderName"].lower())
    patterns = _values(condition, "HttpHeaderConfig")
    return found is not None and any(wildcard(pattern, found, ignore_case=True) for pattern in patterns)


def _query(condition: Condition, request: Request) -> bool:
    pairs = parse_qsl(request.query, keep_blank_values=True)
    return any(
        wildcard(wanted["Value"], value, ignore_case=True)
        and ("Key" not in wanted or wildcard(wanted["Key"], key, ignore_case=True))
        for wanted in _values(condition, "QueryStringConfig")
        for key, value in pairs
    )


_MATCHERS: dict[str, Callable[[Condition, Request], bool]] = {
    "path-pattern": _path,
    "host-header": _host,
    "http-request-method": _method,
    "http-header": _header,
    "query-string": _query,
}


def check_conditions(conditions: Iterable[Condition]) -> None:
    """Raise Unmodelled for a condition that `choose` could not evaluate."""
    for condition in conditions or ():
        if condition.get("Field") not in _MATCHERS:
            raise Unmodelled(f"listener rule condition {condition.get('Field')!r}")


def check_actions(actions: Iterable[Action]) -> None:
    """Raise Unmodelled for an action that `answer` could not carry out."""
    for action in actions or ():
        if action.get("Type") not in ("forward", "fixed-response", "redirect"):
            raise Unmodelled(f"listener action {action.get('Type')!r}")


def matches(conditions: Iterable[Condition], request: Request) -> bool:
    """Whether all conditions hold; within one, any value is enough."""
    return all(_MATCHERS[condition["Field"]](condition, request) for condition in conditions)


def choose(rules: Iterable[Any], request: Request) -> Action:
    """The last action of the first matching rule by priority; the default rule comes last."""
    numbered = sorted((rule for rule in rules if not rule.is_default), key=lambda rule: int(rule.priority))
    for rule in numbered:
        if matches(rule.conditions, request):
            return final_action(rule.actions)
    return final_action(next(rule for rule in rules if rule.is_default).actions)


def final_action(actions: Iterable[Any]) -> Action:
    """The action that ends the rule, the one with the highest Order."""
    return max((action.data for action in actions), key=lambda data: int(data.get("Order") or 1))


def target_groups(action: Action) -> dict[str, int]:
    """ARN -> weight of the target groups that a forward action names; empty for another action."""
    if action.get("Type") != "forward":
        return {}
    listed = action.get("ForwardConfig", {}).get("TargetGroups") or []
    if listed:
        return {group["TargetGroupArn"]: int(group.get("Weight", 1)) for group in listed}
    return {action["TargetGroupArn"]: 1}


def fixed_response(action: Action) -> Response:
    """What a fixed-response action answers."""
    config = action["FixedResponseConfig"]
    body = (config.get("MessageBody") or "").encode()
    return Response(int(config["StatusCode"]), body, config.get("ContentType") or "text/plain")


def redirect(action: Action, request: Request) -> Response:
    """Where a redirect action sends the client; #{…} are the parts of the request."""
    config = action["RedirectConfig"]
    parts = {
        "#{protocol}": request.scheme.upper(),
        "#{host}": request.host.split(":")[0],
        "#{port}": str(request.port),
        "#{path}": request.path.lstrip("/"),
        "#{query}": request.query,
    }

    def fill(key: str, default: str) -> str:
        text = str(config.get(key) or default)
        for name, value in parts.items():
            text = text.replace(name, value)
        return text

    query = fill("Query", "#{query}")
    location = (
        f"{fill('Protocol', '#{protocol}').lower()}://{fill('Host', '#{host}')}:{fill('Port', '#{port}')}"
        f"{fill('Path', '/#{path}')}{'?' + query if query else ''}"
    )
    return Response(int(config["StatusCode"].removeprefix("HTTP_")), headers={"Location": location})
