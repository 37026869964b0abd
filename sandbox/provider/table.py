"""The vocabulary of the tables: how one resource type maps to API calls.

Names: a field's Pulumi name and AWS's member name are matched without regard to case against botocore's model ("vpcId"
is "VpcId", "dbSubnetGroupName" is "DBSubnetGroupName"); only exceptions are written down. Strings that begin with "$"
inside a call's parameters stand for the resource's id ("$id") or the value of one of its properties ("$bucket").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.provider.operation import Operation

Description = dict[str, Any]
Failure = tuple[str, str]  # input name, reason


@dataclass(frozen=True, kw_only=True)
class Call:
    """One API call to the resource's service. `result` is a JMESPath into the answer."""

    operation: str
    params: Mapping[str, Any] = field(default_factory=dict)
    result: str = ""


def call(operation: str, params: Mapping[str, Any] | None = None, result: str = "") -> Call:
    """A Call, positionally."""
    return Call(operation=operation, params=params or {}, result=result)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One input or output property."""

    name: str
    aws: str = ""  # member (dotted path) in requests; empty: matched by name
    read: str | None = (
        ""  # JMESPath in the description; empty: as `aws` or by name; None: AWS doesn't tell, the state remembers
    )
    get: Callable[[Operation, Description], Any] | None = None  # instead of `read`
    create: bool = True  # whether the create call takes it
    replace: bool = False
    default: Any = None  # what an absent input means
    computed: bool = False  # AWS chooses when absent: then any value is fine
    json: bool = False  # a JSON document, compared by meaning
    unordered: bool = False
    ignore_case: bool = False
    sensitive: bool = False
    single: bool = False  # an object in Pulumi, a list of one in AWS
    block: tuple[Field, ...] = ()
    empty: Any = None  # what an update sends when the input was removed
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None
    equal: Callable[[Any, Any], bool] | None = None  # old (as AWS says), new (as the program says)


def f(name: str, aws: str = "", **options: Any) -> Field:
    """A Field, briefly."""
    return Field(name=name, aws=aws, **options)


def fields(names: str, **options: Any) -> tuple[Field, ...]:
    """Several fields that share their options."""
    return tuple(Field(name=name, **options) for name in names.split())


@dataclass(frozen=True, kw_only=True)
class Update:
    """A call made when one of `fields` changed; it carries all of them.

    `after_create`: also made after the create call, if one of them is given.
    """

    call: Call | Callable[[Operation], object]
    fields: tuple[str, ...]
    after_create: bool = False


def update(on: str, operation: Call | Callable[[Operation], object], after_create: bool = False) -> Update:
    """An Update for the blank-separated field names `on`."""
    return Update(call=operation, fields=tuple(on.split()), after_create=after_create)


@dataclass(frozen=True, kw_only=True)
class Tags:
    """How a service spells tags: member names of an item (none: a plain map), the read and the two write calls.

    `create` is the member of the create call ("" where tags are added afterwards); `target` maps the identifying
    parameters of add and remove.
    """

    key: str = "Key"
    value: str = "Value"
    create: str = "Tags"
    specification: str = ""  # EC2: resource type of a TagSpecifications entry
    read: str | Call | Callable[[Operation], Any] = "Tags"  # JMESPath in the description, or a call
    target: Mapping[str, Any] = field(default_factory=dict)
    add: str = "tag_resource"
    remove: str = "untag_resource"
    items: str = "Tags"
    keys: str = "TagKeys"
    pairs_removed: bool = False  # remove takes items instead of keys
    put: Callable[[Operation], None] | None = None  # replaces all of them at once, instead of add and remove


CreateHook = Callable[["Operation"], str]
ReadHook = Callable[["Operation"], Description | None]
Hook = Callable[["Operation"], None]


def _never(_: Description) -> bool:
    return False


def _at_once(_: Operation, __: Description) -> bool:
    return True


def _no_constraints(_: Mapping[str, Any]) -> list[Failure]:
    return []


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource type."""

    token: str
    service: str
    create: Call | CreateHook
    read: Call | ReadHook
    delete: Call | Hook | None  # None: nothing in AWS to delete
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...] = ()
    more: tuple[Call, ...] = ()  # further reads, merged into the description
    updates: tuple[Update, ...] = ()
    tags: Tags | None = None
    missing: tuple[str, ...] = ()  # error codes that mean: it doesn't exist
    gone: Callable[[Description], bool] = _never  # a description that means the same
    ready: Callable[[Operation, Description], bool] = _at_once  # polled after create and update; raises when it failed
    wait_gone: bool = False
    physical_name: str = ""  # input that the plugin would fill with a generated name; here the program must give it
    required: tuple[str, ...] = ()  # beyond what the SDK requires
    check: Callable[[Mapping[str, Any]], list[Failure]] = _no_constraints
    patience: float = 60.0  # modelled minutes that a wait may last, as the plugin would
    delete_first: bool = False  # a replacement can't be made while the old one exists
    retry_delete: tuple[str, ...] = ()  # error codes of a delete that pass by themselves
    changing: tuple[str, ...] = ()  # outputs that an update may change (unknown in its preview)
