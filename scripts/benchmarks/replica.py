"""How far a read replica is behind at 20 moments while rows are written, and which acknowledged rows it lacks then.

Measured: PostgreSQL's streaming replication over the loopback interface. Not modelled: the distance between regions.
The lag is the age of the newest replayed commit, so it contains the pause between two rows; a modelled second is
1/speed of a real one, so whatever this machine adds counts `speed` times.
"""

from __future__ import annotations

import random
import ssl
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pg8000.native

from scripts import console
from scripts.benchmarks.result import Result
from scripts.benchmarks.stage import SEED, both_stacks
from scripts.rehearsal.scenario import RegionLoss
from scripts.rehearsal.sources import Source
from scripts.rehearsal.writer import Row

LIMIT = 60.0  # modelled seconds
WINDOW = 20.0  # modelled minutes over which the moments are spread
QUERY = """
select extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()), (select max(seq) from app.events)
"""


@dataclass(frozen=True)
class Look:
    """What the replica held at a moment: real seconds since its newest replayed commit, and its newest row."""

    moment: float
    behind: float
    newest: int


def measure(speed: float, count: int) -> Result:
    """The worst of `count` seeded moments."""
    dice = random.Random(SEED)
    with both_stacks(speed, Source.REPLICA) as rehearsal:
        try:
            rehearsal.start_life()
            rehearsal.attach_source()
            console.step(f"Looking at the replica {count} times", f"{rehearsal.clock.seconds(WINDOW):.0f} s")
            with session(rehearsal) as replica:
                looks = look_at(replica, moments(dice, count, rehearsal))
        finally:
            rehearsal.end_life()
    return judged(looks, rehearsal.rows.rows, speed)


def moments(dice: random.Random, count: int, rehearsal: RegionLoss) -> list[float]:
    """Real moments (epoch seconds) in their order."""
    now, window = time.time(), rehearsal.clock.seconds(WINDOW)
    return sorted(now + dice.uniform(0, window) for _ in range(count))


def session(rehearsal: RegionLoss) -> pg8000.native.Connection:
    """A connection to the replica as the master user, over TLS."""
    stack = rehearsal.project.standby
    instance = rehearsal.world.instance()
    return pg8000.native.Connection(
        instance["MasterUsername"],
        "127.0.0.1",
        instance["DBName"],
        instance["Endpoint"]["Port"],
        rehearsal.cli.secret(stack.stack, "databaseMasterPassword"),
        ssl_context=ssl.create_default_context(cafile=str(rehearsal.sandbox.directory / "rds-ca.pem")),
    )


def look_at(replica: pg8000.native.Connection, when: Sequence[float]) -> list[Look]:
    looks = []
    for moment in when:
        time.sleep(max(0.0, moment - time.time()))
        asked = time.time()
        ((behind, newest),) = replica.run(QUERY)
        looks.append(Look(asked, float(behind), int(newest)))
    return looks


def lacking(look: Look, rows: Sequence[Row]) -> int:
    """How many rows were acknowledged before the moment and were not in the replica."""
    return sum(1 for row in rows if row.acknowledged <= look.moment and row.seq > look.newest)


def judged(looks: Sequence[Look], rows: Sequence[Row], speed: float) -> Result:
    behind = [look.behind * speed for look in looks]
    return Result(
        what=f"lag of the read replica at the worst of {len(looks)} moments",
        unit="modelled s",
        figure=max(behind),
        against="the limit",
        reference=LIMIT,
        bound=1.0,
        details={
            "median": statistics.median(behind),
            "real seconds behind": [round(look.behind, 3) for look in looks],
            "acknowledged rows that it lacks": [lacking(look, rows) for look in looks],
            "measured": "streaming on the loopback interface, pauses between rows included",
            "modelled": "nothing; a second counts as `speed` modelled ones",
        },
    )
