"""What a rehearsal found out, and the result that is written down. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scripts.rehearsal.calls import Accounting
from scripts.rehearsal.sources import Source
from scripts.rehearsal.writer import Look, Row

Answered = dict[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """A snapshot or copy, in modelled epoch seconds.

    `taken` is OriginalSnapshotCreateTime (the moment of the data), `listed` is SnapshotCreateTime (of the copy).
    """

    identifier: str
    taken: float
    listed: float
    status: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DataMoment:
    """Real moments between which the data of a snapshot was fixed (epoch seconds)."""

    not_before: float
    not_after: float


@dataclass(frozen=True)
class ServiceState:
    """An ECS service as AWS describes it."""

    name: str
    critical: bool
    desired: int
    running: int


@dataclass(frozen=True)
class ReadBack:
    """What the promoted platform answered through the public name."""

    answered_by: str | None
    numbers: list[int]
    written: int | None  # number of a row accepted by it, None if refused


@dataclass
class Evidence:
    """Filled step by step. Moments are real epoch seconds, None where something never happened."""

    lost_region: str
    standby_region: str
    fault: str | None
    rpo_limit: float  # modelled minutes
    rto_limit: float
    crisis_limit: float
    speed: float  # modelled time passes that many times faster
    phone_lines: list[str]
    source: Source = Source.COPIES
    standby_instance: str = ""  # DbiResourceId of the replica in peace time
    loss: float = 0.0
    modelled_loss: float = 0.0  # modelled epoch seconds
    deleted_state: list[str] = field(default_factory=list)
    stacks_left: list[str] = field(default_factory=list)
    promotion_start: float = 0.0
    promotion_end: float = 0.0
    up_code: int | None = None
    up_seconds: float | None = None  # real
    up_tail: str = ""
    restore_began: float | None = None
    crisis_page: float | None = None
    page: str = ""
    health_ok: float | None = None
    write_accepted: float | None = None
    takeover: float | None = None
    all_running: float | None = None
    targets_healthy: dict[str, float] = field(default_factory=dict)  # critical service -> first healthy target
    looks: list[Look] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    copies: list[Snapshot] = field(default_factory=list)  # available in the standby region at the promotion
    backups_reach: float | None = None  # modelled epoch seconds: latest restorable time of the replicated backups
    restored_from: str | None = None
    data_moment: DataMoment | None = None
    instance: dict[str, Any] = field(default_factory=dict)
    database_group: str | None = None
    read_back: ReadBack | None = None
    services: list[ServiceState] = field(default_factory=list)
    recordings_due: int = 0
    recordings_missing: list[str] = field(default_factory=list)
    accounting: Accounting | None = None
    pull_after_restore: int = 0
    dns: dict[str, Answered] = field(default_factory=dict)
    dns_after_return: list[str] = field(default_factory=list)  # regions seen while kenya was back half-alive
    writes_after_return: dict[str, int] = field(default_factory=dict)  # region -> acknowledged rows
    preview_after: list[str] | None = None  # what would change; None where nobody looked
    preview_code: int | None = None
    drift_after: list[str] | None = None
    drift_code: int | None = None
    later: list[str] | None = None  # what changes or fails after a newer copy came and the used one went
    sandbox_errors: list[str] = field(default_factory=list)
    access_refused: list[str] | None = None  # what roles of the program asked for and were not allowed
    access_unused: list[str] | None = None  # what they are allowed and nothing needed

    def minutes(self, moment: float | None) -> float | None:
        """Modelled minutes from the loss to a moment."""
        return None if moment is None else (moment - self.loss) * self.speed / 60

    @property
    def critical(self) -> float | None:
        """When the critical services were back: they answer, and a write was accepted."""
        if self.health_ok is None or self.write_accepted is None:
            return None
        return max(self.health_ok, self.write_accepted)

    @property
    def copy(self) -> Snapshot | None:
        """The copy that was restored."""
        return next((copy for copy in self.copies if copy.identifier == self.restored_from), None)

    @property
    def rpo_minutes(self) -> float | None:
        """Modelled minutes between the moment of the data and the loss: by the copy's time, else by the last row."""
        if self.copy:
            return (self.modelled_loss - self.copy.taken) / 60
        kept = [row.acknowledged for row in self.rows if row.seq in set(self.present)]
        if self.source is Source.COPIES or not kept:
            return None
        return max(0.0, self.loss - max(kept)) * self.speed / 60

    @property
    def present(self) -> list[int]:
        """Numbers of the rows that were there before the promoted platform accepted new ones."""
        if self.read_back is None:
            return []
        last_before = max((row.seq for row in self.rows if row.acknowledged <= self.loss), default=0)
        return [number for number in self.read_back.numbers if number <= last_before]

    @property
    def committed_before(self) -> int:
        return sum(1 for row in self.rows if row.acknowledged <= self.loss)


@dataclass(frozen=True)
class Check:
    """One promise, whether it holds, and what shows it."""

    name: str
    title: str
    ok: bool
    evidence: str
