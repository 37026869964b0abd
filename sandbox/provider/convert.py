"""Between Pulumi's property values and AWS's request and response members, led by botocore's shapes."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from typing import Any

import jmespath
from botocore.model import ListShape, MapShape, Shape, StructureShape

from sandbox.provider.table import Field
from sandbox.provider.wire import contains_unknown


def encode(value: Any, shape: Shape | None, field: Field | None = None) -> Any:
    """`value` as the request member of `shape` wants it: numbers from text, one object as a list, nested names."""
    if field is not None and field.encode is not None:
        value = field.encode(value)
        field = None
    if shape is None or value is None:
        return value
    if isinstance(shape, ListShape):
        items = value if isinstance(value, list | tuple) else [value]
        return [encode(item, shape.member, field) for item in items]
    if isinstance(shape, MapShape):
        return {str(key): encode(item, shape.value) for key, item in value.items()}
    if isinstance(shape, StructureShape):
        return _structure(value, shape, field)
    return _scalar(value, shape)


def _structure(value: Any, shape: StructureShape, field: Field | None) -> Any:
    if field is None or not field.block:
        return value
    result: dict[str, Any] = {}
    for part in field.block:
        if value.get(part.name) is not None:
            place(result, shape, part, value[part.name])
    return result


def _scalar(value: Any, shape: Shape) -> Any:
    if shape.type_name in ("integer", "long"):
        return int(float(value))
    if shape.type_name in ("float", "double"):
        return float(value)
    if shape.type_name == "boolean":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    if shape.type_name == "string":
        return ("true" if value else "false") if isinstance(value, bool) else str(value)
    return value


def member(shape: Shape | None, name: str) -> str | None:
    """The member of a structure that is called `name` apart from case."""
    if not isinstance(shape, StructureShape):
        return None
    wanted = name.lower()
    return next((candidate for candidate in shape.members if candidate.lower() == wanted), None)


def place(request: dict[str, Any], shape: Shape | None, field: Field, value: Any) -> bool:
    """Put `value` of `field` into `request`; False if the operation has no such member."""
    target, path = request, (field.aws or field.name).split(".")
    for depth, part in enumerate(path):
        name = (
            part if field.aws and isinstance(shape, StructureShape) and part in shape.members else member(shape, part)
        )
        if name is None or not isinstance(shape, StructureShape):
            return False
        shape = shape.members[name]
        if depth == len(path) - 1:
            target[name] = encode(value, shape, field)
        else:
            target = target.setdefault(name, {})
    return True


def look(description: Any, field: Field) -> Any:
    """The raw value of `field` in AWS's answer."""
    path = field.read or field.aws or field.name
    if path.isidentifier() and isinstance(description, Mapping):
        if path in description:
            return description[path]
        wanted = path.lower()
        return next((value for key, value in description.items() if key.lower() == wanted), None)
    return jmespath.search(path, description)


def decode(value: Any, field: Field) -> Any:
    """AWS's value as the engine's: nested names, times as text, a list of one as an object."""
    if field.decode is not None:
        return field.decode(value)
    if field.single and isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, list) and field.block:
        return [_decode_block(item, field.block) for item in value]
    if isinstance(value, Mapping) and field.block:
        return _decode_block(value, field.block)
    return plain(value)


def _decode_block(value: Any, block: Iterable[Field]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for part in block:
        if part.read is None:
            continue
        found = decode(look(value, part), part)
        if found is not None:
            result[part.name] = found
    return result


def plain(value: Any) -> Any:
    """Times as ISO text, everything else unchanged."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def same(field: Field, old: Any, new: Any) -> bool:
    """Whether the state's `old` is what the program's `new` asks for."""
    if contains_unknown(new) or contains_unknown(old):
        return False
    old, new = (field.default if value is None else value for value in (old, new))
    if new is None and field.computed:
        return True
    if _empty(old) and _empty(new):
        return True
    if field.equal is not None:
        return bool(field.equal(old, new))
    if field.block:
        return _same_blocks(field, old, new)
    return canonical(field, old) == canonical(field, new)


def _same_blocks(field: Field, old: Any, new: Any) -> bool:
    olds, news = _list(old), _list(new)
    if len(olds) != len(news):
        return False
    if not field.unordered:
        return all(_same_block(field.block, was, now) for was, now in zip(olds, news, strict=True))
    for now in news:
        match = next((was for was in olds if _same_block(field.block, was, now)), None)
        if match is None:
            return False
        olds.remove(match)
    return True


def _same_block(block: Iterable[Field], old: Any, new: Any) -> bool:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return False
    return all(same(part, old.get(part.name), new.get(part.name)) for part in block)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [] if value is None else [value]


def _empty(value: Any) -> bool:
    """Null and zero values mean the same to the plugin."""
    return value is None or value is False or value in ("", 0, [], {})


def canonical(field: Field, value: Any) -> str | list[str]:
    """A form in which two equal values are the same text."""
    if field.json and isinstance(value, str):
        return _document(value)
    if isinstance(value, list):
        items = [_text(item) for item in value]
        return sorted(items) if field.unordered else items
    if isinstance(value, str) and field.ignore_case:
        return value.lower()
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, Mapping):
        return json.dumps({key: _text(item) for key, item in value.items()}, sort_keys=True)
    if isinstance(value, list):
        return json.dumps([_text(item) for item in value])
    return str(getattr(value, "hash", value))


def _document(text: str) -> str:
    try:
        return json.dumps(_policy(json.loads(text)), sort_keys=True)
    except json.JSONDecodeError:
        return text


def _policy(value: Any) -> Any:
    """IAM ignores the order of lists and lets a single element stand without its list."""
    if isinstance(value, dict):
        return {key: _policy(item) for key, item in value.items()}
    if isinstance(value, list):
        items = sorted((_policy(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
        return items[0] if len(items) == 1 else items
    return value
