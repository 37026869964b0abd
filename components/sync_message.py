"""What a message in the sync queue looks like: the agreement between who sends, the sync service and `dr replay`.

docs/replay.md explains it. No text raised here holds anything of a message: bodies are about people.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

KEY = re.compile(r"[A-Za-z0-9._:-]{1,128}")
LEAST_SEQ, MOST_SEQ = -(2**63), 2**63 - 1  # a bigint


class Malformed(ValueError):
    """A message that no sync service could work off; says which rule it breaks."""


class NoKey(Malformed):
    """A message that could be worked off, but not a second time without doubling what it says."""


@dataclass(frozen=True)
class SyncMessage:
    """One row that a phone hands over. `key`: the same in each sending of it, and in nothing else."""

    key: str
    seq: int
    body: str


def parse(text: str) -> SyncMessage:
    """Read a message. Raises Malformed, or NoKey where the key is all that is wrong."""
    values = _members(text)
    seq, body, key = values.get("seq"), values.get("body"), values.get("key")
    if not isinstance(seq, int) or isinstance(seq, bool) or not LEAST_SEQ <= seq <= MOST_SEQ:
        raise Malformed("seq is no whole number of 64 bits")
    if not isinstance(body, str) or not _storable(body):
        raise Malformed("body is no text that PostgreSQL can store")
    if key is None:
        raise NoKey("it has no key")
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise NoKey("key is no 1 to 128 letters, digits and . _ : -")
    return SyncMessage(key, seq, body)


def shape(text: str) -> str:
    """The members of a message and their kinds, without what they say."""
    try:
        values = _members(text)
    except Malformed as fault:
        return str(fault)
    known = [name for name in ("key", "seq", "body") if name in values]
    shown = [f"{name} {_kind(values[name])}" for name in known]
    others = len(values) - len(known)
    return ", ".join([*shown, *([f"{others} other members"] if others else [])]) or "an object without members"


def _members(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):  # also a number of thousands of digits
        raise Malformed("it is no JSON") from None
    if not isinstance(values, dict):
        raise Malformed("it is no JSON object")
    return values


def _storable(text: str) -> bool:
    """PostgreSQL takes neither the character 0 nor half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return f"text of {len(value)}"
    return {bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}.get(type(value), "null")
