"""AWS's own schemas of CloudFormation types, as cfn-lint carries them, and how an API's members fit into one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from sandbox.cloud.recording import MASKED

# A secret is never in a template: it refers to where it would be kept.
_SECRET = "{{resolve:secretsmanager:masked}}"  # noqa: S105
Schema = Mapping[str, Any]


class Unmatched(ValueError):
    """A member that no property stands for: the table of kinds must say where it goes."""


@cache
def schema(kind: str, region: str) -> dict[str, Any]:
    """The schema of a type in a region. Raises KeyError where the region does not have it."""
    names = json.loads((files("cfnlint.data.schemas.providers") / f"{region}.json").read_text())
    found: dict[str, Any] = json.loads((files("cfnlint.data.schemas.resources") / f"{names[kind]}.json").read_text())
    return found


def fit(kind: str, region: str, members: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Members of requests as the properties of a type. Raises Unmatched for one that has no property."""
    root = schema(kind, region)
    found: dict[str, Any] = _Fit(root, renamed).value(root, members, kind)
    return found


class _Fit:
    """One translation. `renamed`: member -> property where the case is not the only difference."""

    def __init__(self, root: Schema, renamed: Mapping[str, str]) -> None:
        self._root = root
        self._renamed = renamed

    def value(self, shape: Schema, value: Any, path: str) -> Any:
        """A value as the schema wants it."""
        shape = self._resolved(shape)
        types = shape.get("type", ())
        types = {types} if isinstance(types, str) else set(types)
        if value == MASKED:
            return _SECRET
        if isinstance(value, str) and "object" in types and value.lstrip().startswith("{"):
            return json.loads(value)  # a document
        if isinstance(value, Mapping):
            if "array" in types:  # tags: a map in some APIs, a list in CloudFormation
                return [{"Key": key, "Value": str(text)} for key, text in value.items()]
            return self._object(shape, value, path) if shape.get("properties") else dict(value)
        if isinstance(value, list):
            items = shape.get("items", {})
            return [self.value(items, item, f"{path}[]") for item in value]
        return _scalar(types, value)

    def _object(self, shape: Schema, value: Mapping[str, Any], path: str) -> dict[str, Any]:
        names = {name.lower(): name for name in shape["properties"]}
        result = {}
        for member, inner in value.items():
            name = names.get(self._renamed.get(member, member).lower())
            if name is None:
                raise Unmatched(f"{path}.{member}: no property of this name")
            if inner is not None:
                result[name] = self.value(shape["properties"][name], inner, f"{path}.{name}")
        return result

    def _resolved(self, shape: Schema) -> Schema:
        while "$ref" in shape:
            target: Any = self._root
            for part in shape["$ref"].lstrip("#/").split("/"):
                target = target[part]
            shape = target
        return shape


def _scalar(types: set[str], value: Any) -> Any:
    """Numbers and truth values in the schema's words: some APIs carry them as text, and CloudFormation some as text."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "boolean" in types and text in ("true", "false"):
        return text == "true"
    if types & {"integer", "number"} and text.lstrip("-").isdigit():
        return int(text)
    return text if "string" in types else value
