"""Scenario "region loss": both stacks up, the primary is lost with its state, the standby is promoted, all is checked.

The steps follow one another in `RegionLoss.run`; each does one thing to the world and notes what it saw.
"""

from __future__ import annotations

import html
import json
import random
import time
from typing import Any

from sandbox.public import DEFAULT_TIMEOUT_SECONDS, PublicClient
from sandbox.supervisor import Sandbox
from scripts import console
from scripts import sandbox as sandbox_task
from scripts.project import Project, load
from scripts.pulumi_cli import Outcome, PulumiCli, changes_in_preview
from scripts.rehearsal import access, calls, inspection
from scripts.rehearsal.evidence import Evidence, Snapshot
from scripts.rehearsal.faults import Fault, half_alive, request
from scripts.rehearsal.sources import PROMISES, Source, settings
from scripts.rehearsal.timeline import Display, Timeline
from scripts.rehearsal.waiting import Waiting
from scripts.rehearsal.world import World
from scripts.rehearsal.writer import Onlooker, RecordingWriter, RowWriter

CRISIS_LIMIT = 2.5  # modelled minutes
RTO_LIMIT = 240.0  # the plan: 4 hours for critical services
DELAY = (1.0, 13.0)  # modelled minutes: the loss may come anywhere in a snapshot cycle
COPIES_NEEDED = 2  # so that there is a newest one to choose
COPY_NAMES = ("rehearsal-decoy", "rehearsal-later")
PATIENCE_MINUTES = 0.25  # modelled: how long a person waits for a page before reloading it
LEAST_PATIENCE = 1.0  # real seconds: this machine is what takes long then
WATCH_RETURN = 6.0  # modelled minutes: longer than three health checks, propagation and the TTL together


class RegionLoss:
    """One rehearsal in one sandbox. `run` fills `evidence` and `timeline`."""

    def __init__(
        self,
        sandbox: Sandbox,
        seed: int,
        fault: Fault | None,
        source: Source = Source.COPIES,
        silent: bool = False,
    ) -> None:
        """`silent`: connections to the lost region hang instead of ending at once."""
        self.sandbox = sandbox
        self.source = source
        self.silent = silent
        self.seed = seed
        self.fault = fault
        self.random = random.Random(seed)
        self.project: Project = load(sandbox.project)
        self.world = World(sandbox, self.project)
        self.clock = sandbox.clock
        self.cli = PulumiCli(sandbox.project, sandbox.process_env())
        standby, primary = self.project.standby, self.project.primary
        self.critical = frozenset(service.name for service in standby.services if service.critical)
        self.timeline = Timeline(self.clock, self.critical)
        self.evidence = Evidence(
            lost_region=primary.region,
            standby_region=standby.region,
            fault=fault,
            source=source,
            rpo_limit=PROMISES[source].rpo_minutes,
            rto_limit=RTO_LIMIT,
            crisis_limit=CRISIS_LIMIT,
            speed=self.clock.speed,
            phone_lines=list(standby.phone_numbers),
        )
        self.client = self._public_client()
        self.rows = RowWriter(self.client)
        # A person of their own, with a DNS cache of their own; the page shows the text as HTML.
        self.onlooker = Onlooker(self._public_client(), html.escape(standby.crisis_text))
        self.recordings = RecordingWriter(self.world.s3(primary.region), primary.physical("audio-storage"))
        workers = (self.rows, self.onlooker, self.recordings)
        self.waiting = Waiting(self.clock, self.status, workers)

    def status(self) -> dict[str, Any]:
        """How things stand, for the message of a wait that was in vain."""
        told: dict[str, Any] = self.sandbox.control("GET", "status")
        return {**told, "rows_committed": len(self.rows.rows), "last_refused_row": self.rows.last_failure or None}

    def _public_client(self) -> PublicClient:
        # People's patience is modelled time, where it matters: with a region that hangs.
        patience = max(LEAST_PATIENCE, self.clock.seconds(PATIENCE_MINUTES)) if self.silent else DEFAULT_TIMEOUT_SECONDS
        return PublicClient(f"http://127.0.0.1:{self.sandbox.port}", self.clock, self.project.public_name, patience)

    # -- the whole ----------------------------------------------------------------------------------------------
    def run(self, *, after_promotion: bool = True) -> None:
        """All steps; a benchmark ends after the promotion.

        Raises SandboxError, SandboxFailed or PulumiError where a step can't be done.
        """
        self.bring_up()
        try:
            self.start_life()
            if self.source is not Source.COPIES:
                self.attach_source()
            self.wait_for_copies()
            with Display(self.timeline, console.err).showing():
                self.lose_region()
                self.wait_for_crisis_page()
                self.promote()
                self.wait_until_served()
            if after_promotion:
                self.look_after_promotion()
        finally:
            self.end_life()
        self.collect()

    # -- peace time ---------------------------------------------------------------------------------------------
    def bring_up(self) -> None:
        sandbox_task.seed_registry(f"http://127.0.0.1:{self.sandbox.port}", self.project)
        console.step("Bootstrap: state bucket, key, roles, zone, stacks, secrets", "about 15 s")
        sandbox_task.bootstrap(self.project, self.sandbox.env())
        for stack, role in ((self.project.standby, "standing by"), (self.project.primary, "serving")):
            console.step(f"pulumi up -s {stack.stack}, {role} in {stack.region}", "1 to 3 min")
            outcome = self.up(stack.stack)
            console.note(f"took {outcome.seconds:.0f} s")

    def up(self, stack: str, watched: bool = False, check: bool = True) -> Outcome:
        """The plain command that a person would type."""
        arguments = ("up", "--stack", stack, "--yes")
        if not watched:
            return self.cli.run(*arguments, check=check)
        log = self.sandbox.directory / "engine-events.jsonl"  # holds secrets: goes away with the sandbox
        return self.cli.watch(*arguments, log=log, on_event=self.timeline.engine_event, check=check)

    def start_life(self) -> None:
        console.step("Waiting until the platform answers under its public name", "under a minute")
        self.onlooker.start()
        primary = self.project.primary.region
        self.waiting.until("an answer under the public name", lambda: self.onlooker.first("ok", primary, 0.0))
        self.rows.start()
        self.recordings.start()
        self.waiting.until("the first row", lambda: self.rows.rows)
        self.evidence.dns["before"] = self.world.resolve()

    def attach_source(self) -> None:
        """The standby's second deployment: the primary's database exists now, so that its ARN can be configured."""
        primary, standby = self.project.primary.stack, self.project.standby.stack
        arn = self.cli.run("stack", "output", "databaseArn", "--stack", primary).stdout.strip()
        for path, value in settings(self.source, arn).items():
            self.cli.run("config", "set", "--stack", standby, "--path", path, value)
        console.step(f"pulumi up -s {standby}, with {self.source} of {arn}", "2 to 4 min")
        outcome = self.up(standby)
        console.note(f"took {outcome.seconds:.0f} s")
        self.evidence.standby_instance = str(self.world.instance().get("DbiResourceId", ""))

    def wait_for_copies(self) -> None:
        console.step(f"Waiting for {COPIES_NEEDED} database copies in the standby region", "2 to 3 min")
        begun = self.clock.at(self.rows.rows[0].acknowledged).timestamp()
        copies = self.waiting.until("copies", lambda: _enough(self.world.copies(), begun), minutes=90)
        delay = self.random.uniform(*DELAY)
        console.step(
            f"Life goes on for {delay:.1f} modelled minutes (seed {self.seed}), then an old copy is copied again"
        )
        time.sleep(self.clock.seconds(delay))
        # The loss follows at once, so that the copy made last is not the one with the newest data.
        oldest = min(copies, key=lambda copy: copy.taken)
        self.world.recopy(oldest, COPY_NAMES[0])
        self.waiting.until("the decoy", lambda: COPY_NAMES[0] in {copy.identifier for copy in self.world.copies()})

    # -- the disaster -------------------------------------------------------------------------------------------
    def lose_region(self) -> None:
        lost = self.project.primary
        moment = time.time()
        self.sandbox.control("POST", "cut", region=lost.region, timing_out=self.silent)
        self.timeline.loss = self.evidence.loss = moment
        self.evidence.modelled_loss = self.clock.at(moment).timestamp()
        self.timeline.begin("loss", moment)
        self.timeline.end("loss", moment)
        self.timeline.begin("crisis-page", moment)
        self.recordings.stop()
        self.evidence.deleted_state = self.world.delete_state(lost.stack)
        self.evidence.stacks_left = sorted(self.cli.stacks() & {lost.stack})
        self.timeline.remark(f"{lost.region} is gone, and so is the state of {lost.stack}")

    def wait_for_crisis_page(self) -> None:
        """Nobody does anything; only if the page doesn't come, the rehearsal goes on without it."""
        region, loss = self.project.standby.region, self.evidence.loss
        found = self.waiting.look_for(lambda: self.onlooker.first("crisis-page", region, loss), minutes=10)
        if found is not None:
            self.evidence.crisis_page = found.t
            self.timeline.end("crisis-page", found.t)
        self.evidence.page = self.onlooker.page
        self.evidence.dns["after_loss"] = self.world.resolve()

    def promote(self) -> None:
        """The documented command, nothing else."""
        stack = self.project.standby.stack
        if self.fault is not None:
            self.sandbox.control("POST", "faults", **request(self.fault, self.project))
            self.timeline.remark(f"injected: {self.fault}")
        self.evidence.promotion_start = time.time()
        self.timeline.begin("engine", self.evidence.promotion_start)
        self.timeline.remark(f"pulumi config set standby false -s {stack} && pulumi up -s {stack}")
        self.cli.set_plain(stack, "standby", "false")
        self.evidence.copies = self.world.copies()
        self.evidence.backups_reach = self.world.backups_reach() if self.source is Source.BACKUPS else None
        outcome = self.up(stack, watched=True, check=False)
        self.evidence.promotion_end = outcome.ended
        self.evidence.up_code = outcome.code
        self.evidence.up_tail = outcome.tail(12)
        self.evidence.up_seconds = outcome.seconds
        self.timeline.remark(f"pulumi up ended with code {outcome.code} after {outcome.seconds:.0f} s of real time")

    def wait_until_served(self) -> None:
        region, start = self.project.standby.region, self.evidence.promotion_start
        patience = 10.0 if self.evidence.up_code == 0 or self.fault else 1.0
        self.waiting.look_for(lambda: self.onlooker.first("ok", region, start), minutes=patience)
        self.waiting.look_for(lambda: self.rows.first_after(start, region), minutes=patience)
        self.note_served()
        self.evidence.services = self.world.services()
        if self.evidence.up_code == 0:
            self.evidence.all_running = max(self.evidence.promotion_end, self.evidence.critical or 0.0)
            self.timeline.end("all", self.evidence.all_running)
        self.evidence.dns["after_promotion"] = self.world.resolve()

    def note_served(self) -> None:
        """When the promoted platform first answered and first took a row, if it did."""
        region, start = self.project.standby.region, self.evidence.promotion_start
        ok, row = self.onlooker.first("ok", region, start), self.rows.first_after(start, region)
        self.evidence.health_ok = ok.t if ok else None
        self.evidence.write_accepted = row.acknowledged if row else None
        if self.evidence.critical is not None:
            self.timeline.end("critical", self.evidence.critical)

    # -- afterwards ---------------------------------------------------------------------------------------------
    def look_after_promotion(self) -> None:
        console.step("Reading everything back through DNS, load balancer, task and database")
        self.evidence.read_back = inspection.read_back(self.client, self.rows)
        self.evidence.instance = self.world.instance()
        if self.fault is None:
            console.step("preview --expect-no-changes and refresh --preview-only", "about 20 s")
            self.preview_and_drift()
        self.bring_region_back()
        if self.fault is None:
            self.later_copies()

    def preview_and_drift(self) -> None:
        e = self.evidence
        e.preview_code, e.preview_after = self.preview()
        found: list[str] = []
        outcome = self.cli.watch(
            *("refresh", "--stack", self.project.standby.stack, "--preview-only", "--expect-no-changes"),
            log=self.sandbox.directory / "drift-events.jsonl",
            on_event=lambda _, event: found.extend(inspection.drift_in(event)),
            check=False,
        )
        e.drift_code, e.drift_after = outcome.code, found
        if outcome.code not in (0, 7) or (outcome.code and not found):
            e.drift_after = [*found, outcome.tail(12)]

    def preview(self) -> tuple[int, list[str]]:
        arguments = ("preview", "--stack", self.project.standby.stack, "--expect-no-changes", "--json")
        outcome = self.cli.run(*arguments, check=False)
        try:
            changes = changes_in_preview(outcome.stdout)
        except json.JSONDecodeError:
            changes = []
        return outcome.code, changes if outcome.ok or changes else [outcome.tail(12)]

    def bring_region_back(self) -> None:
        lost = self.project.primary
        console.step(f"{lost.region} comes back half-alive; watching DNS", f"{WATCH_RETURN:g} modelled minutes")
        self.sandbox.control("POST", "faults", **half_alive(self.project))
        self.sandbox.control("POST", "restore", region=lost.region)
        since = time.time()
        while time.time() < since + self.clock.seconds(WATCH_RETURN):
            self.evidence.dns_after_return.append(str(self.world.resolve()["region"]))
            time.sleep(0.5)
        self.evidence.dns["after_return"] = self.world.resolve()
        for row in [row for row in list(self.rows.rows) if row.sent >= since]:
            count = self.evidence.writes_after_return.get(row.region, 0)
            self.evidence.writes_after_return[row.region] = count + 1

    def later_copies(self) -> None:
        """A newer copy of the old database appears, the restored one is deleted: a deployment must not care."""
        self.evidence.restored_from = inspection.restored_from(self.evidence.instance)
        used = self.evidence.copy or max(self.evidence.copies, key=lambda copy: copy.taken, default=None)
        if used is None:
            return
        console.step("A newer copy appears and the restored one is deleted: nothing may change", "about 1 min")
        primary, name = self.project.primary, COPY_NAMES[1]
        self.waiting.until("the returned database", lambda: self.world.available(primary))
        arn = self.world.snapshot_of_primary(name)
        self.waiting.until("the snapshot", lambda: self.world.snapshot_status(primary, name) == "available")
        self.world.copy_across(arn, name, like=used)
        self.waiting.until("the copy", lambda: name in {copy.identifier for copy in self.world.copies()})
        self.world.delete_copy(used.identifier)
        self.evidence.later = self.deployment_that_changes_nothing()

    def deployment_that_changes_nothing(self) -> list[str]:
        """What `pulumi up` would change, or what does not work after it: nothing of either is expected."""
        code, changes = self.preview()
        if code != 0 or changes:
            return changes or [f"`pulumi preview` ended with code {code}"]
        stack, since = self.project.standby, time.time()
        outcome = self.cli.run("up", "--stack", stack.stack, "--yes", "--expect-no-changes", check=False)
        if not outcome.ok:
            return [f"`pulumi up` ended with code {outcome.code}: {outcome.tail(6)}"]
        row = self.waiting.look_for(lambda: self.rows.first_after(since, stack.region), minutes=10.0)
        return [] if row else ["no row was accepted after `pulumi up`"]

    # -- end ----------------------------------------------------------------------------------------------------
    def end_life(self) -> None:
        for worker in (self.rows, self.onlooker, self.recordings):
            if worker.ident is not None:
                worker.finish()

    def collect(self) -> None:
        """Read what the sandbox wrote down, now that nothing moves any more."""
        e = self.evidence
        e.rows, e.looks = list(self.rows.rows), list(self.onlooker.looks)
        if e.promotion_start:
            self.note_served()
        e.instance = e.instance or self.world.instance()
        e.restored_from = inspection.restored_from(e.instance)
        e.database_group = self.world.database_group()
        e.data_moment = self.world.data_moment(e.copy) if e.copy else inspection.data_moment(e)
        e.recordings_due, e.recordings_missing = inspection.missing_recordings(
            self.recordings.stored, self.world.objects(self.project.standby), e.loss, e.speed
        )
        counted, events = self.world.calls(), list(self.world.events())
        if e.promotion_end:  # counting a promotion that was interrupted would find less than it called
            e.accounting = calls.account(
                counted, e.promotion_start, e.promotion_end, e.lost_region, self.project.primary.physical("")
            )
        e.restore_began = inspection.restore_began(counted, e)
        e.pull_after_restore = inspection.pulls_after(counted, events, e)
        e.targets_healthy = inspection.targets_healthy(events, e, self.critical)
        e.takeover, both = inspection.takeover_said(events, self.timeline.spans, e)
        if both is not None:
            self.timeline.end("takeover", both)
        told = self.world.access()
        e.access_refused = access.refused(told["refusals"])
        e.access_unused = [str(part) for part in access.unused(told["roles"], told["uses"])]
        e.sandbox_errors = list(self.sandbox.control("GET", "status")["errors"])


def _enough(copies: list[Snapshot], begun: float) -> list[Snapshot]:
    """The copies that were taken since rows are written, once they are enough; earlier ones could prove nothing."""
    with_rows = [copy for copy in copies if copy.taken > begun]
    return with_rows if len({copy.taken for copy in with_rows}) >= COPIES_NEEDED else []
