"""The measurements by the names that the command line takes."""

from enum import StrEnum


class Benchmark(StrEnum):
    PROMOTION = "promotion"
    PREVIEW = "preview"
    RPO = "rpo"
    REPLICA = "replica"
    NO_CHANGE = "no-change"
    MEMORY = "memory"
    STATUS = "status"
