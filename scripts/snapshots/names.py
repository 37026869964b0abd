"""What can be asked for on the command line. Imported before the command is known, so it imports nothing slow."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a snapshot is taken, as its tag says it."""

    BEFORE_DEPLOY = "before-deploy"
    BEFORE_SCHEMA_CHANGE = "before-schema-change"
    WEEKLY = "weekly"
    MANUAL = "manual"
