"""What is a message for the sync service, and what is told of one that is not: rules, never contents."""

import json
from typing import Any

import pytest

from components import sync_message
from components.sync_message import Malformed, NoKey, SyncMessage

SECRET = "what nobody else may read"


def text(**changes: Any) -> str:
    values = {"key": "phone-1:42", "seq": 42, "body": SECRET, **changes}
    return json.dumps({name: value for name, value in values.items() if value is not ...})


def test_a_message_is_read() -> None:
    assert sync_message.parse(text()) == SyncMessage("phone-1:42", 42, SECRET)
    assert sync_message.parse(text(more="ignored", seq=-(2**63))).seq == -(2**63)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (SECRET, "no JSON"),
        (f'"{SECRET}"', "no JSON object"),
        ("9" * 5000, "no JSON"),
        ("[" * 100_000, "no JSON"),
        (text(seq=...), "seq"),
        (text(seq="42"), "seq"),
        (text(seq=True), "seq"),
        (text(seq=4.2), "seq"),
        (text(seq=2**63), "seq"),
        (text(body=...), "body"),
        (text(body=f"{SECRET}\0"), "body"),
        (text(body=f"{SECRET}\ud800"), "body"),
    ],
)
def test_what_is_malformed_is_told_by_its_rule(given: str, rule: str) -> None:
    with pytest.raises(Malformed, match=rule) as caught:
        sync_message.parse(given)
    assert not isinstance(caught.value, NoKey)
    assert SECRET not in str(caught.value)
    assert SECRET not in sync_message.shape(given)


@pytest.mark.parametrize("key", [..., None, "", 5, SECRET, "x" * 129, "ä", "a\n"])
def test_a_key_that_cannot_be_recognised_again_is_none(key: Any) -> None:
    with pytest.raises(NoKey) as caught:
        sync_message.parse(text(key=key))
    assert SECRET not in str(caught.value)


def test_a_malformed_message_without_a_key_is_malformed() -> None:
    with pytest.raises(Malformed) as caught:
        sync_message.parse(text(key=..., seq=...))
    assert not isinstance(caught.value, NoKey)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (text(), f"key text of 10, seq number, body text of {len(SECRET)}"),
        (text(key=..., seq=[1], body={"a": SECRET}), "seq list, body object"),
        (
            text(key=None, seq=False, body=1.5, **{SECRET: SECRET}),
            "key null, seq boolean, body number, 1 other members",
        ),
        (json.dumps({SECRET: 1, "b": 2}), "2 other members"),
        ("{}", "an object without members"),
    ],
)
def test_the_shape_of_a_message_tells_nothing_of_it(given: str, shape: str) -> None:
    assert sync_message.shape(given) == shape
