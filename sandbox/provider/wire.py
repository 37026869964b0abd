"""Property values on the wire: protobuf structs with sentinels for secrets, unknowns, assets and archives.

Sentinels are those of the Pulumi SDK (pulumi.runtime.rpc). A secret anywhere in a property makes the whole top-level
property secret: that is coarser than what came in, never finer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

SIGNATURE: Final = rpc._special_sig_key
SECRET: Final = rpc._special_secret_sig
ASSET: Final = rpc._special_asset_sig
ARCHIVE: Final = rpc._special_archive_sig
OUTPUT: Final = rpc._special_output_value_sig


class Unknown:
    """A value that is known only after something else has been created (previews)."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Blob:
    """An asset or archive as it came in; two are equal when the engine's content hashes are."""

    kind: str  # "asset" or "archive"
    hash: str
    raw: Mapping[str, Any] = field(compare=False)


@dataclass
class Properties:
    """Plain values by property name, and which of them are secret."""

    values: dict[str, Any]
    secret: set[str]


def unmarshal(struct: struct_pb2.Struct) -> Properties:
    """The values of a struct. Missing and null properties are left out."""
    values: dict[str, Any] = {}
    secret: set[str] = set()
    for name, item in struct.fields.items():
        seen: list[bool] = []
        value = _value(item, seen)
        if value is not None:
            values[name] = value
        if seen:
            secret.add(name)
    return Properties(values, secret)


def marshal(values: Mapping[str, Any], secret: Iterable[str] = ()) -> struct_pb2.Struct:
    """The struct for `values`; properties named in `secret` are wrapped so that the engine encrypts them."""
    hidden = set(secret)
    struct = struct_pb2.Struct()
    for name, value in values.items():
        if value is None:
            continue
        wrapped = {SIGNATURE: SECRET, "value": value} if name in hidden else value
        struct.fields[name].CopyFrom(_pack(wrapped))
    return struct


def contains_unknown(value: Any) -> bool:
    """Whether something inside `value` is not known yet."""
    if isinstance(value, Mapping):
        return any(contains_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(contains_unknown(item) for item in value)
    return value is UNKNOWN


def _value(item: struct_pb2.Value, secret: list[bool]) -> Any:
    kind = item.WhichOneof("kind")
    if kind == "struct_value":
        return _struct(item.struct_value, secret)
    if kind == "list_value":
        return [_value(element, secret) for element in item.list_value.values]
    if kind == "number_value":
        number = item.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return UNKNOWN if item.string_value == rpc.UNKNOWN else item.string_value
    if kind == "bool_value":
        return item.bool_value
    return None


def _struct(struct: struct_pb2.Struct, secret: list[bool]) -> Any:
    fields = struct.fields
    signature = fields[SIGNATURE].string_value if SIGNATURE in fields else ""
    if signature == SECRET:
        secret.append(True)
        return _value(fields["value"], secret)
    if signature == OUTPUT:
        if "secret" in fields and fields["secret"].bool_value:
            secret.append(True)
        return _value(fields["value"], secret) if "value" in fields else UNKNOWN
    plain = {name: value for name, item in fields.items() if (value := _value(item, secret)) is not None}
    if signature in (ASSET, ARCHIVE):
        kind = "asset" if signature == ASSET else "archive"
        return Blob(kind, str(plain.get("hash", "")), plain)
    return plain


def _pack(value: Any) -> struct_pb2.Value:
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=rpc.UNKNOWN)
    if isinstance(value, Blob):
        return _pack(value.raw)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Mapping):
        packed = {str(name): _pack(item) for name, item in value.items() if item is not None}
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=packed))
    if isinstance(value, list | tuple | set | frozenset):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_pack(item) for item in value]))
    raise TypeError(f"a {type(value).__name__} cannot be sent to the engine")
