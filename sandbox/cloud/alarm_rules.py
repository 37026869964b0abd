"""The rules of composite alarms: ALARM("a") AND NOT (OK("b") OR INSUFFICIENT_DATA("c")), TRUE, FALSE.

Grammar and precedence (NOT, then AND, then OR): PutCompositeAlarm, CloudWatch API reference. AT_LEAST isn't modelled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_TOKEN = re.compile(
    r'\s*(?:(?P<word>AND|OR|NOT|TRUE|FALSE)\b|(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?P<alarm>"[^"]+"|[^\s()"]+)'
    r"\s*\)|(?P<bracket>[()]))"
)
MOST_CHILDREN = 100

StateOf = Callable[[str], str]


class MalformedRule(Exception):
    """The text is no rule; the message says where."""


@dataclass(frozen=True)
class Rule:
    """A parsed rule: the alarms it names, and what it says of their states."""

    children: tuple[str, ...]
    holds: Callable[[StateOf], bool]


def alarm_name(reference: str) -> str:
    """The name in a rule's reference, which may be an ARN."""
    return reference.partition(":alarm:")[2] if reference.startswith("arn:") else reference


def parse(text: str) -> Rule:
    """Read a rule. Raises MalformedRule."""
    parser = _Parser(text)
    holds = parser.disjunction()
    if parser.more():
        raise MalformedRule(f"unexpected {text[parser.position :]!r}")
    return Rule(tuple(dict.fromkeys(parser.children)), holds)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text.rstrip()
        self.position = 0
        self.children: list[str] = []

    def more(self) -> bool:
        return self.position < len(self._text)

    def _peek(self) -> re.Match[str]:
        found = _TOKEN.match(self._text, self.position)
        if found is None:
            raise MalformedRule(f"not understood at {self._text[self.position :]!r}")
        return found

    def _take(self, *expected: str) -> bool:
        if not self.more():
            return False
        found = self._peek()
        if (found["word"] or found["bracket"]) not in expected:
            return False
        self.position = found.end()
        return True

    def disjunction(self) -> Callable[[StateOf], bool]:
        parts = [self._conjunction()]
        while self._take("OR"):
            parts.append(self._conjunction())
        return lambda state: any(part(state) for part in parts)

    def _conjunction(self) -> Callable[[StateOf], bool]:
        parts = [self._negation()]
        while self._take("AND"):
            parts.append(self._negation())
        return lambda state: all(part(state) for part in parts)

    def _negation(self) -> Callable[[StateOf], bool]:
        if self._take("NOT"):
            inner = self._negation()
            return lambda state: not inner(state)
        if self._take("("):
            inner = self.disjunction()
            if not self._take(")"):
                raise MalformedRule("a bracket is not closed")
            return inner
        for word, value in (("TRUE", True), ("FALSE", False)):
            if self._take(word):
                return lambda _state, value=value: value  # type: ignore[misc]
        return self._state()

    def _state(self) -> Callable[[StateOf], bool]:
        if not self.more() or not (found := self._peek())["state"]:
            raise MalformedRule(f"a state was expected at {self._text[self.position :]!r}")
        self.position = found.end()
        wanted, name = found["state"], alarm_name(found["alarm"].strip('"'))
        self.children.append(name)
        return lambda state: state(name) == wanted
