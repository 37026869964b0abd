"""How much memory a sandbox takes at its peak: cloud, provider, and the servers and functions that they started.

Proportional set sizes are added, because PostgreSQL's processes share most of theirs. Engine and program are left out:
they belong to the command that is rehearsed. Rehearsals share no process, so a leak can only show within one of them.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from pathlib import Path

from sandbox.supervisor import Sandbox
from scripts.benchmarks.program_watch import descendants
from scripts.benchmarks.result import Result
from scripts.benchmarks.stage import SEED, progress
from scripts.errors import PulumiError
from scripts.prerequisites.aws import explained
from scripts.rehearsal.scenario import RegionLoss

LIMIT = 1536.0  # MiB
EVERY = 2.0  # real seconds between samples
PARTS = ("cloud", "provider")
PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
KIB_PER_MIB = 1024


class Sampler(threading.Thread):
    """Adds up the memory of a sandbox every few seconds and keeps the largest sum, with what it consists of."""

    def __init__(self, directory: Path) -> None:
        super().__init__(name="memory", daemon=True)
        self._roots = {name: int(json.loads((directory / f"{name}.json").read_text())["pid"]) for name in PARTS}
        self._over = threading.Event()
        self.peak: dict[str, float] = {}

    def run(self) -> None:
        while not self._over.wait(EVERY):
            self.keep(sample(self._roots))

    def keep(self, now: dict[str, float]) -> None:
        if sum(now.values()) > sum(self.peak.values()):
            self.peak = now

    def finish(self) -> dict[str, float]:
        """MiB by part, at the moment at which the sum was largest."""
        self._over.set()
        self.join()
        return self.peak


def sample(roots: dict[str, int]) -> dict[str, float]:
    """MiB by part: the processes named in `roots`, and what runs below them by the program's name."""
    found: Counter[str] = Counter()
    for name, root in roots.items():
        found[name] += resident(root)
        for pid in descendants(root):
            found[called(pid)] += resident(pid)
    return {name: round(kib / KIB_PER_MIB, 1) for name, kib in found.most_common()}


def resident(pid: int) -> int:
    """Proportional set size in KiB; nothing of a process that ended meanwhile."""
    try:
        found = PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def called(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended"


def measure(speed: float, count: int) -> Result:
    """The largest peak of `count` rehearsals, one after the other."""
    peaks = []
    for number in range(1, count + 1):
        peaks.append(rehearsed(speed, SEED + number))
        total = sum(peaks[-1].values())
        progress(number, count, f"{total:.0f} MiB: " + ", ".join(f"{k} {v:.0f}" for k, v in peaks[-1].items()))
    return judged(peaks)


def rehearsed(speed: float, seed: int) -> dict[str, float]:
    """The peak of one whole rehearsal. Raises PulumiError where the promotion failed."""
    with Sandbox(speed=speed) as box, explained():
        sampler = Sampler(box.directory)
        sampler.start()
        try:
            rehearsal = RegionLoss(box, seed, None)
            rehearsal.run()
        finally:
            peak = sampler.finish()
    if rehearsal.evidence.up_code != 0:
        raise PulumiError(f"The promotion ended with code {rehearsal.evidence.up_code}:\n{rehearsal.evidence.up_tail}")
    return peak


def judged(peaks: list[dict[str, float]]) -> Result:
    totals = [sum(peak.values()) for peak in peaks]
    return Result(
        what=f"memory of the sandbox, the largest peak of {len(peaks)} rehearsals",
        unit="MiB",
        figure=max(totals),
        against="the limit",
        reference=LIMIT,
        bound=1.0,
        details={"peaks": [round(total, 1) for total in totals], "parts at the largest": max(peaks, key=_total)},
    )


def _total(peak: dict[str, float]) -> float:
    return sum(peak.values())
