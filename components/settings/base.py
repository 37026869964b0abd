"""What every settings object is: frozen, closed to unknown fields, written in camelCase in the YAML files."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


@dataclass(frozen=True)
class Form:
    """What a text may be, in words: for the settings page and for messages, where a pattern says it to nobody."""

    words: str


@dataclass(frozen=True)
class Unit:
    """What a number counts."""

    name: str


Slug = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40), Form("lower-case letters, digits, hyphens, a letter first")
]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$"), Form("an AWS region such as `af-south-1`")]


def _flag(value: object) -> bool:
    """Only the two words. A library that also takes `no` or `0` for false would promote a stack by a slip."""
    match value:
        case True | "true":
            return True
        case False | "false":
            return False
        case _:
            raise ValueError("allowed: true, false")


Flag = Annotated[bool, BeforeValidator(_flag)]
DomainName = Annotated[
    str,
    Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$", max_length=253),
    Form("a name such as `platform.example.org`, lower case"),
]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, regex_engine="python-re")
