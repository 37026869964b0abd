"""What AWS refuses of restores to a point in time.

`$restorable` has automated backups, and its key was disabled after the first one; `$kept_nothing` has none.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from tests.sandbox.refusal_row import LISTED, Refusal, Source, answered, reference, unverified

_SOURCES: Final = ("SourceDBInstanceIdentifier", "SourceDbiResourceId", "SourceDBInstanceAutomatedBackupsArn")
_SHAPE: Final = "RestoreDBInstanceToPointInTimeMessage"
_AT_ONCE: Final = {"UseLatestRestorableTime": True}


def _restore(title: str, code: str, source: Source, **changed: Any) -> Refusal:
    wanted = {"TargetDBInstanceIdentifier": "refused", **changed}
    if not wanted.keys() & {*_SOURCES}:
        wanted["SourceDBInstanceIdentifier"] = "$restorable"
    return Refusal(title, "rds", "RestoreDBInstanceToPointInTime", wanted, code, source)


ROWS: Final = (
    _restore(
        "a time after the latest restorable one",
        "InvalidParameterValue",
        answered("The specified instance cannot be restored to a time later than …"),
        RestoreTime=datetime(2099, 1, 1, tzinfo=UTC),
    ),
    _restore(
        "a time before the retention",
        "InvalidParameterValue",
        answered(
            "The specified instance cannot be restored to a time earlier than … because its backup retention "
            "period is set to 1 days."
        ),
        RestoreTime=datetime(2001, 1, 1, tzinfo=UTC),
    ),
    _restore(
        "both a time and the latest one",
        "InvalidParameterCombination",
        reference(f"{_SHAPE}.RestoreTime", "Can't be specified if the UseLatestRestorableTime parameter is enabled"),
        RestoreTime=datetime(2099, 1, 1, tzinfo=UTC),
        **_AT_ONCE,
    ),
    _restore(
        "neither a time nor the latest one",
        "InvalidParameterCombination",
        unverified("a restore needs one of the two; which code AWS answers was not found"),
    ),
    _restore(
        "two sources",
        "InvalidParameterCombination",
        unverified("a restore has one source; which code AWS answers was not found"),
        SourceDBInstanceIdentifier="$restorable",
        SourceDbiResourceId="db-NONE",
        **_AT_ONCE,
    ),
    _restore("an unknown source", "DBInstanceNotFound", LISTED, SourceDBInstanceIdentifier="nobody", **_AT_ONCE),
    _restore(
        "an unknown resource", "DBInstanceAutomatedBackupNotFound", LISTED, SourceDbiResourceId="db-NONE", **_AT_ONCE
    ),
    _restore(
        "unknown backups",
        "DBInstanceAutomatedBackupNotFound",
        LISTED,
        SourceDBInstanceAutomatedBackupsArn="arn:aws:rds:eu-west-1:123456789012:auto-backup:ab-none",
        **_AT_ONCE,
    ),
    _restore(
        "a source without automated backups",
        "PointInTimeRestoreNotEnabled",
        LISTED,
        SourceDBInstanceIdentifier="$kept_nothing",
        **_AT_ONCE,
    ),
    _restore(
        "a name that is taken", "DBInstanceAlreadyExists", LISTED, TargetDBInstanceIdentifier="$restorable", **_AT_ONCE
    ),
    _restore("a key that is disabled", "KMSKeyNotAccessibleFault", LISTED, **_AT_ONCE),
)
