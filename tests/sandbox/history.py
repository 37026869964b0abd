"""A writer's own log of what it did to a database, replayed without PostgreSQL: what was there at any moment."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import datetime

from sandbox.clock import Clock
from tests.sandbox.database_estate import Estate, session

Content = dict[int, int]

_SET = "insert into written values (:n, :value) on conflict (n) do update set value = excluded.value"


@dataclass
class History:
    """Statements with the real moments between which each was committed. `n` is a key, `value` what it is set to."""

    clock: Clock
    started: Content
    log: list[tuple[float, float, int, int | None]] = field(default_factory=list)

    def gap(self, number: int) -> datetime:
        """A modelled moment between two statements."""
        return self.clock.at((self.log[number - 1][1] + self.log[number][0]) / 2)

    def at(self, moment: datetime) -> Content:
        """What was committed before a moment between two statements."""
        real = self.clock.real(moment)
        found = dict(self.started)
        for begun, committed, n, value in self.log:
            assert not begun <= real <= committed, "neither before nor after"
            if committed < real and value is None:
                found.pop(n)
            elif committed < real and value is not None:
                found[n] = value
        return found


def write(estate: Estate, port: int, statements: int, seed: int) -> History:
    """Insert, update and delete rows of a table of its own, in a seeded order."""
    chance, history = random.Random(seed), History(estate.world.clock, content(estate, port))
    now = dict(history.started)
    with session(estate, port) as connection:
        for _ in range(statements):
            n = chance.choice(sorted(now)) if now and chance.random() < 0.5 else chance.randrange(10**6)
            value = None if n in now and chance.random() < 0.4 else chance.randrange(10**6)
            time.sleep(0.01)
            begun = time.time()
            if value is None:
                now.pop(n)
                connection.run("delete from written where n = :n", n=n)
            else:
                now[n] = value
                connection.run(_SET, n=n, value=value)
            history.log.append((begun, time.time(), n, value))
    assert content(estate, port) == now
    return history


def content(estate: Estate, port: int) -> Content:
    """The writer's table."""
    with session(estate, port) as connection:
        connection.run("create table if not exists written (n bigint primary key, value bigint not null)")
        return dict(connection.run("select n, value from written"))
