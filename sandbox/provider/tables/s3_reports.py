"""S3: what a bucket writes about itself into another one, access logs and inventories."""

from __future__ import annotations

from typing import Final

from sandbox.provider.operation import Operation
from sandbox.provider.table import Field, Resource, call, f, fields, update
from sandbox.provider.tables.s3 import MISSING_BUCKET, configuration

LOGGING: Final = configuration(
    "aws:s3/bucketLogging:BucketLogging",
    "put_bucket_logging",
    "get_bucket_logging",
    call("put_bucket_logging", {"Bucket": "$id", "BucketLoggingStatus": {}}),
    "LoggingEnabled",
    tuple(
        f(name, f"BucketLoggingStatus.LoggingEnabled.{name}", read=name) for name in ("targetBucket", "targetPrefix")
    ),
    (),
)


# -- inventories: several on a bucket, each with a name

_DESTINATION: Final = (
    f("bucket", "S3BucketDestination", block=(f("bucketArn", "Bucket"), *fields("accountId format prefix"))),
)
_INPUTS: Final[tuple[Field, ...]] = (
    f("enabled", "InventoryConfiguration.IsEnabled", read="IsEnabled", default=True),
    f("includedObjectVersions", "InventoryConfiguration.IncludedObjectVersions", read="IncludedObjectVersions"),
    f("optionalFields", "InventoryConfiguration.OptionalFields", read="OptionalFields", unordered=True),
    f("schedule", "InventoryConfiguration.Schedule", read="Schedule", block=(f("frequency"),)),
    f("destination", "InventoryConfiguration.Destination", read="Destination", block=_DESTINATION),
)


def _put(op: Operation) -> str:
    bucket, name = op.inputs["bucket"], op.inputs["name"]
    carried = (f("name", "InventoryConfiguration.Id"), *_INPUTS)
    op.call(call("put_bucket_inventory_configuration", {"Bucket": bucket, "Id": name}), carried)
    return f"{bucket}:{name}"


def _place(op: Operation) -> dict[str, str]:
    bucket, _, name = op.id.partition(":")
    return {"Bucket": bucket, "Id": name}


_PLACE: Final = {name: lambda op, name=name: _place(op)[name] for name in ("Bucket", "Id")}

INVENTORY: Final = Resource(
    token="aws:s3/inventory:Inventory",
    service="s3",
    create=_put,
    read=call("get_bucket_inventory_configuration", _PLACE, "InventoryConfiguration"),
    delete=call("delete_bucket_inventory_configuration", _PLACE),
    inputs=(
        f("bucket", get=lambda op, _: _place(op)["Bucket"], replace=True),
        f("name", get=lambda op, _: _place(op)["Id"], replace=True),
        *_INPUTS,
    ),
    updates=(update(" ".join(field.name for field in _INPUTS), _put),),
    missing=(*MISSING_BUCKET, "NoSuchConfiguration"),
    physical_name="name",
)

RESOURCES: Final = (LOGGING, INVENTORY)
