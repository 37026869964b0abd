"""What a setting may be, in words: from its type, its constraints and the forms beside them.

docs/settings.md is made of it, and messages about a text of the wrong form say it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from components.settings.base import Form, Unit

Found = TypeVar("Found")


@dataclass(frozen=True)
class Setting:
    """One key of the configuration."""

    key: str
    meaning: str
    allowed: str
    default: str


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """Every key of a model, in its order, what is nested behind the list that holds it (`[]`: each entry).

    Raises ValueError for a field without a description.
    """
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        inner, listed = nested(field.annotation)
        if inner is None or listed:
            if not field.description:
                raise ValueError(f"{model.__name__}.{name} has no description")
            yield Setting(key, field.description, allowed(field), _default(field))
        if inner is not None:
            yield from settings(inner, f"{key}[]." if listed else f"{key}.")


def nested(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside of an annotation, and whether it is the entry of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for argument in get_args(annotation) if get_origin(annotation) in (tuple, UnionType, Union) else ():
        found, listed = nested(argument)
        if found:
            return found, listed or get_origin(annotation) is tuple
    return None, False


def form(field: FieldInfo) -> str | None:
    """The form of a field in words, where it has one: its own rather than that of its type."""
    found = [item.words for item in _metadata(field) if isinstance(item, Form)]
    return found[-1] if found else None


def allowed(field: FieldInfo) -> str:
    """Everything that one field alone says of its value."""
    metadata, kind = list(_metadata(field)), _kind(field.annotation)
    unit = _first(Unit, metadata)
    words = form(field) or _of_type(kind, metadata)
    return ", ".join([f"{words} {unit.name}" if unit else words, *_bound(kind, metadata)])


def _metadata(field: FieldInfo) -> Iterator[Any]:
    """What stands beside the type: pydantic's constraints and our words, also inside of `… | None`."""
    yield from _flat(field.metadata)
    yield from _inside(field.annotation)


def _inside(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        kind, *metadata = get_args(annotation)
        yield from _flat(metadata)
        yield from _inside(kind)
    elif get_origin(annotation) in (Union, UnionType):
        for argument in get_args(annotation):
            yield from _inside(argument)


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else (item,)


def _kind(annotation: Any) -> Any:
    """The type itself, without what stands beside it and without None."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return next(_kind(argument) for argument in get_args(annotation) if argument is not type(None))
    return annotation


def _of_type(kind: Any, metadata: list[Any]) -> str:
    if get_origin(kind) is Literal:
        *others, last = (f"`{value}`" for value in get_args(kind))
        return f"{', '.join(others)} or {last}"
    if get_origin(kind) is tuple:
        return "a list"
    if kind is bool:
        return "`true` or `false`"
    if kind is int:
        low, high = _first(Ge, metadata), _first(Le, metadata)
        return (
            f"{low.ge:,} to {high.le:,}" if low and high else ("a number of" if _first(Unit, metadata) else "a number")
        )
    return "text"


def _bound(kind: Any, metadata: list[Any]) -> Iterator[str]:
    """One-sided bounds, and lengths."""
    least, most = _first(Ge, metadata), _first(Le, metadata)
    if least and not most:
        yield f"at least {least.ge:,}"
    low, high = _first(MinLen, metadata), _first(MaxLen, metadata)
    if low and high:
        yield f"{low.min_length} to {high.max_length:,} characters"
    elif high:
        yield f"at most {high.max_length:,} characters"
    elif low:
        yield "at least one entry" if get_origin(kind) is tuple else "not empty"


def _first(kind: type[Found], metadata: Iterable[Any]) -> Found | None:
    return next((item for item in metadata if isinstance(item, kind)), None)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "none" if field.default is None else f"`{str(field.default).lower()}`"
